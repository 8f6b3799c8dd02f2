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

// root remembers the root's attributes. The kernel asks for them on the way to the status files, each time, and for the root's
// ACL if the one who walks there is not its owner: with the cluster gone it must get an answer, or none of the files could be read
// then. The ACL is taken to be none if it is not known; nothing but these files can be reached by it.
type root struct {
	last atomic.Pointer[fs.Attr]
	gone func() bool // the cluster is out of reach
}

// getattr asks for attributes. Those of the root are what they last were, once the cluster is gone.
func (f *front) getattr(r *request) (a fs.Attr, valid time.Duration, err error) {
	gaveUp := f.ask(r, func(ctx context.Context) error {
		a, valid, err = f.fs.GetattrFor(ctx, r.ino())
		return err
	})
	switch {
	case gaveUp:
		return *f.root.last.Load(), 0, nil
	case err == nil && r.in.NodeId == fuse.FUSE_ROOT_ID:
		f.root.last.Store(&a)
	}
	return a, valid, err
}

// ask asks the cluster. A question about the root is given up once the cluster has been silent for so long that the mount
// has given it up, if its attributes are known; everything else fails then.
func (f *front) ask(r *request, question func(context.Context) error) (gaveUp bool) {
	if r.in.NodeId != fuse.FUSE_ROOT_ID {
		_ = question(r) // its error is the asker's to look at
		return false
	}
	ctx, cancel := context.WithCancel(r)
	defer cancel()
	timer := time.AfterFunc(rootPoll, func() { f.root.look(ctx, cancel) })
	defer timer.Stop()
	if question(ctx) == nil {
		return false
	}
	return f.root.last.Load() != nil && r.Err() == nil && f.root.gone()
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
