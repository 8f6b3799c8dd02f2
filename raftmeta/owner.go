package raftmeta

import (
	"context"
	"fmt"

	"dfs/fs"
	"dfs/raftmeta/state"
)

// reading is what is read for a caller: a state.View, or that of a session.
type reading interface {
	Lookup(dir fs.Ino, name string) (fs.Attr, error)
	Getattr(ino fs.Ino) (fs.Attr, error)
	Readdir(dir fs.Ino, after fs.Cookie, limit int) (fs.Listing, error)
	Readlink(ino fs.Ino) (string, error)
	Layout(ino fs.Ino, off, length uint64) (*fs.Layout, error)
	Getxattr(ino fs.Ino, name string) ([]byte, error)
	Listxattr(ino fs.Ino) ([]string, error)
	Statfs(ino fs.Ino, whole fs.Statfs) (fs.Statfs, error)
}

// seenBy is the snapshot as a caller may read it. A certificate that is bound to a subtree reads under a session only.
func (s *snapshot) seenBy(who fs.Caller) (reading, error) {
	if who.Session == 0 {
		if who.Owner.Scope.Subtree != "" {
			return nil, fmt.Errorf("a certificate that is bound to a subtree reads under a session: %w", fs.ErrAccess)
		}
		return s.View, nil
	}
	record, err := s.session(fs.Session{ID: who.Session, Epoch: who.Epoch})
	if err == nil {
		err = checkOwner(&record.Session, record.Owner, who.Owner)
	}
	if err != nil {
		return nil, err
	}
	return s.As(record), nil
}

// session is a live session's record; ErrFenced if it has ended.
func (s *snapshot) session(id fs.Session) (*state.SessionRecord, error) {
	record, ok, err := s.Session(id.ID)
	if err == nil && (!ok || record.Epoch != id.Epoch) {
		err = fmt.Errorf("session %d: %w", id.ID, fs.ErrFenced)
	}
	return &record, err
}

// checkOwner refuses whoever is not the one that opened a session. Without TLS everybody is nobody, and may speak for all.
func checkOwner(s *fs.Session, owner, who fs.Owner) error {
	if who == owner || who == (fs.Owner{}) {
		return nil
	}
	return fmt.Errorf("session %d belongs to another certificate: %w", s.ID, fs.ErrPermission)
}

// mayUse refuses a caller that may not speak for a session: ErrPermission, or ErrFenced if it has ended. An owner never changes,
// so it is looked up in the leader's table.
func (n *Node) mayUse(ctx context.Context, s fs.Session) error {
	who := fs.CallerOf(ctx).Owner
	if who == (fs.Owner{}) {
		return nil
	}
	ctx, cancel := n.bound(ctx)
	defer cancel()
	r, err := n.leading(ctx)
	if err != nil {
		return err
	}
	e, err := r.sessions.find(ctx, s)
	if err != nil {
		return err
	}
	return checkOwner(&s, e.owner, who)
}

// find is a live session, also one that is being expired, of which only what never changes may be read. ErrFenced: it has
// ended.
func (t *sessionTable) find(ctx context.Context, s fs.Session) (*session, error) {
	for asked := false; ; asked = true {
		t.mu.Lock()
		e, closed := t.sessions[s.ID], t.closed
		t.mu.Unlock()
		switch {
		case closed:
			return nil, t.r.n.notLeader()
		case e != nil && e.Epoch == s.Epoch:
			return e, nil
		case e != nil || asked:
			return nil, fmt.Errorf("session %d: %w", s.ID, fs.ErrFenced)
		}
		if err := t.look(ctx, s); err != nil {
			return nil, err
		}
	}
}

// pinnable leaves out of pins what a session may not pin: a pin keeps an orphan on the disks. The session is as the leader's
// table has it.
func (n *Node) pinnable(ctx context.Context, s fs.Session, pins []fs.Ino) (list []fs.Ino, err error) {
	if s.Root == fs.RootIno || len(pins) == 0 {
		return pins, nil
	}
	err = n.local(func(snap *snapshot) error {
		record, err := snap.session(s)
		if err != nil {
			return err
		}
		seen := snap.As(record)
		for _, ino := range pins {
			if ctx.Err() != nil { // each may be a long way to climb
				return context.Cause(ctx)
			}
			ok, err := seen.Pinnable(ino)
			if err != nil {
				return err
			}
			if ok {
				list = append(list, ino)
			}
		}
		return nil
	})
	return list, err
}
