package fusefs

import (
	"context"
	"sync/atomic"
	"time"

	"dfs/fs"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// rootPoll is how often a question about the root that is not answered looks whether the cluster is gone.
const rootPoll = 100 * time.Millisecond

// root remembers the root's attributes. The kernel asks for them on the way to the status files, each time: with the
// cluster gone it must get an answer, or none of them could be read then.
type root struct {
	last atomic.Pointer[fs.Attr]
	gone func() bool // the cluster is out of reach
}

// getattr asks for attributes. Those of the root are what they last were, once the cluster has been silent for so long
// that the mount has given it up; everything else fails then.
func (f *front) getattr(r *request) (fs.Attr, time.Duration, error) {
	if r.in.NodeId != fuse.FUSE_ROOT_ID {
		return f.fs.GetattrFor(r, r.ino())
	}
	ctx, cancel := context.WithCancel(r)
	defer cancel()
	timer := time.AfterFunc(rootPoll, func() { f.root.look(ctx, cancel) })
	defer timer.Stop()
	a, valid, err := f.fs.GetattrFor(ctx, r.ino())
	if err == nil {
		f.root.last.Store(&a)
		return a, valid, nil
	}
	if last := f.root.last.Load(); last != nil && r.Err() == nil && f.root.gone() {
		return *last, 0, nil
	}
	return a, 0, err
}

// look gives the question up when the cluster is gone, and looks again later otherwise, until ctx ends. It may run once
// more after that, which changes nothing then.
func (o *root) look(ctx context.Context, giveUp func()) {
	if ctx.Err() != nil {
		return
	}
	if o.last.Load() != nil && o.gone() {
		giveUp()
		return
	}
	time.AfterFunc(rootPoll, func() { o.look(ctx, giveUp) })
}
