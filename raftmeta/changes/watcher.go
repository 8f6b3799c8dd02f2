package changes

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"dfs/fs"
)

const (
	tellMax   = 256         // changes told at once
	tellBytes = 1 << 20     // … or about that many bytes
	quiet     = time.Second // how long a watcher hears nothing, at most
)

// Watcher is an fs.ChangeStream.
type Watcher struct {
	feed    *Feed
	closed  sync.Once
	watched fs.Ino
	subtree string      // of the caller's certificate: what does not lie beneath it is not told; empty: the root
	at      fs.Position // how far the feed has been looked through
	upto    fs.Position // how far it has been told
	told    bool
}

var _ fs.ChangeStream = (*Watcher)(nil)

// Watch begins a watch; see Feed.enter for committed. find says what is watched, and is called when nothing can be missed any
// more. subtree is that of the caller's certificate.
func (f *Feed) Watch(committed func() uint64, after fs.Position, subtree string, find func() (fs.Ino, error)) (*Watcher, error) {
	at, err := f.enter(committed)
	if err != nil {
		return nil, err
	}
	if after != (fs.Position{}) {
		at = after
	}
	ino, err := find()
	if err != nil {
		f.leave()
		return nil, err
	}
	return &Watcher{feed: f, watched: ino, subtree: subtree, at: at, upto: at}, nil
}

// Close implements fs.ChangeStream.
func (w *Watcher) Close() error {
	w.closed.Do(w.feed.leave)
	return nil
}

// Recv implements fs.ChangeStream. When nothing happens it tells after a while how far the stream is.
func (w *Watcher) Recv(ctx context.Context) (fs.Changes, error) {
	patience := time.NewTimer(quiet)
	defer patience.Stop()
	for late := false; ; {
		b := w.feed.after(w.at, tellMax)
		c := w.take(b)
		if !c.Missing {
			c.From = w.upto // what was looked through and was none of ours is told of now
		}
		if len(c.List) > 0 || c.Missing || !w.told || late {
			w.told, w.upto = true, c.Upto
			return c, nil
		}
		if len(b.list) == tellMax {
			continue // nothing of it was for us
		}
		select {
		case <-b.changed:
		case <-patience.C:
			late = true
		case <-ctx.Done():
			return fs.Changes{}, context.Cause(ctx)
		}
	}
}

// take goes on behind a batch, or behind as much of it as is told at once.
func (w *Watcher) take(b batch) fs.Changes {
	c := fs.Changes{Watched: w.watched, From: b.from, Upto: b.upto, Missing: b.missing}
	bytes := 0
	for i, e := range b.list {
		told, ok := w.see(e)
		if !ok {
			continue
		}
		c.List = append(c.List, told)
		if bytes += e.size(); bytes >= tellBytes && i < len(b.list)-1 {
			c.Upto = e.Position
			break
		}
	}
	w.at = c.Upto
	return c
}

// see is a change as the watcher may see it, if it is any of its business.
func (w *Watcher) see(e *event) (fs.Change, bool) {
	c := e.Change
	mine := c.Ino == w.watched || c.Replaced == w.watched
	c.Dir, c.ToDir = 0, 0
	for _, side := range []struct {
		list []*where
		path *string
		dir  *fs.Ino
	}{{e.at, &c.Path, &c.Dir}, {e.to, &c.To, &c.ToDir}} {
		for _, at := range side.list {
			within := slices.Contains(at.dirs, w.watched)
			if visible(at.path, w.subtree) && (within || *side.path == "") {
				*side.path = at.path
				if len(at.dirs) > 0 {
					*side.dir = at.dirs[0]
				}
				mine = mine || within
			}
		}
	}
	if w.subtree != "" { // it is shown no sessions: see fs.Admin.Status
		c.Host, c.Mount = "", ""
	}
	return c, mine && c.Path+c.To != ""
}

// visible reports whether a path lies beneath a subtree, or is it.
func visible(path, subtree string) bool {
	return subtree == "" || path == subtree || strings.HasPrefix(path, subtree+"/")
}
