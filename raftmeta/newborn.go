package raftmeta

import (
	"context"
	"fmt"

	"dfs/fs"
)

// commit decides a transaction. What it creates and wants pinned is pinned before that, also if it has been decided
// already: it may have been by an earlier leader, whose answer was lost.
func (n *Node) commit(ctx context.Context, tx *fs.Tx, encoded []byte) (*fs.TxResult, error) {
	ctx, cancel := n.bound(ctx)
	defer cancel()
	r, err := n.leading(ctx)
	if err != nil {
		return nil, fmt.Errorf("commit: %w", err)
	}
	session := fs.Session{ID: tx.ID.Session, Epoch: tx.Epoch}
	e, err := r.sessions.find(ctx, session)
	if err == nil {
		err = checkOwner(&session, e.owner, fs.CallerOf(ctx).Owner)
	}
	if err != nil {
		return nil, fmt.Errorf("commit: %w", err)
	}
	fresh, err := n.pinNewborn(ctx, r, e.Session, newborns(tx))
	if err != nil {
		return nil, fmt.Errorf("commit: pin what is created: %w", err)
	}
	result, err := n.decide(ctx, r, tx, encoded)
	if err == nil && result.Err != fs.CodeOK {
		r.sessions.unpinUnborn(session, fresh)
	}
	return result, err
}

// pinNewborn pins what a session's transaction creates and wants pinned, and returns what was not pinned yet.
func (n *Node) pinNewborn(ctx context.Context, r *reign, s fs.Session, newborn []fs.Ino) ([]fs.Ino, error) {
	if len(newborn) == 0 {
		return nil, nil
	}
	newborn, err := n.pinnable(ctx, s, newborn) // of the others, the transaction will be refused
	if err != nil {
		return nil, err
	}
	return r.sessions.pinNewborn(ctx, s, newborn)
}

// newborns lists what a transaction creates and wants pinned.
func newborns(tx *fs.Tx) (list []fs.Ino) {
	for _, op := range tx.Ops {
		if c, ok := op.(*fs.Create); ok && c.Pin {
			list = append(list, c.Ino)
		}
	}
	return list
}

// pinNewborn registers pins of inodes that are about to be made, and returns those that it did not find registered. None of
// them is being reaped, as long as the session tells what it has on its list (DESIGN.md).
func (t *sessionTable) pinNewborn(ctx context.Context, s fs.Session, inos []fs.Ino) (fresh []fs.Ino, err error) {
	err = t.with(ctx, s, func(e *session) error {
		if len(e.pins)+len(inos) > pinsMax {
			// Not ErrTooLarge, which says that the transaction has not been decided: an earlier attempt may have been.
			return fmt.Errorf("the session has %d pins: %w", len(e.pins), fs.ErrUnavailable)
		}
		for _, ino := range inos {
			if _, ok := e.pins[ino]; !ok {
				fresh = append(fresh, ino)
			}
			t.pin(e, ino)
		}
		return nil
	})
	return fresh, err
}

// unpinUnborn takes back pins of what will never be made, since the transaction was refused.
func (t *sessionTable) unpinUnborn(s fs.Session, inos []fs.Ino) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.sessions[s.ID]
	if e == nil || e.Epoch != s.Epoch {
		return
	}
	for _, ino := range inos {
		t.unpin(e, ino)
	}
}
