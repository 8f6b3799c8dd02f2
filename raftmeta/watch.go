package raftmeta

import (
	"context"
	"fmt"
	"path"
	"strings"

	"dfs/fs"
	"dfs/raftmeta/changes"
)

var _ fs.Watcher = (*Node)(nil)

// Watch implements fs.Watcher: it tells of what this node applies.
func (n *Node) Watch(ctx context.Context, r fs.WatchRequest) (fs.ChangeStream, error) {
	if len(r.Path) > fs.PathMax || strings.ContainsRune(r.Path, 0) {
		return nil, fmt.Errorf("watch a path of %d bytes: %w", len(r.Path), fs.ErrInvalid)
	}
	who := fs.CallerOf(ctx).Owner
	w, err := n.changes.Watch(func() uint64 { return n.raft.Load().CommitIndex() }, r.After, who.Scope.Subtree, func() (ino fs.Ino, err error) {
		err = n.local(func(s *snapshot) error {
			ino, err = s.watched(r, who.Scope)
			return err
		})
		return ino, err
	})
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", path.Clean("/"+r.Path), err)
	}
	return &watch{w, n}, nil
}

// watched is what a request is about. Who is bound to a subtree may watch what lies beneath it.
func (s *snapshot) watched(r fs.WatchRequest, scope fs.Scope) (fs.Ino, error) {
	at := path.Clean("/" + r.Path)
	if r.Ino != 0 {
		attr, err := s.Getattr(r.Ino)
		if err != nil || scope.Subtree == "" {
			return attr.Ino, err
		}
		if at, err = s.Path(r.Ino); err != nil {
			return 0, err
		}
	}
	if scope.Subtree != "" && at != scope.Subtree && !strings.HasPrefix(at, scope.Subtree+"/") {
		return 0, fmt.Errorf("not in the certificate's subtree: %w", fs.ErrAccess)
	}
	e := &fs.Explanation{Path: at}
	err := s.resolve(e)
	return e.Attr.Ino, err
}

// watch ends with the node.
type watch struct {
	*changes.Watcher
	n *Node
}

// Recv implements fs.ChangeStream.
func (w *watch) Recv(ctx context.Context) (fs.Changes, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(w.n.ctx, func() { cancel(fmt.Errorf("the node ends: %w", fs.ErrClosed)) })()
	return w.Watcher.Recv(ctx)
}
