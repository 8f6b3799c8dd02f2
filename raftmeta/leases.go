package raftmeta

import (
	"context"
	"errors"
	"fmt"
	"time"

	"dfs/fs"
	"dfs/raftmeta/leasedesk"
)

// recallsMax is how many recalls one notice bears, so that it fits into a message.
const recallsMax = 1 << 16

// recallLimit is how long a session may leave a recall unanswered: its mount stops using its leases a time-out after it was
// sent.
func recallLimit(s *fs.Session) time.Duration {
	d := time.Duration(s.TimeoutMillis) * time.Millisecond
	return d + d/20
}

// wish is under which session a call is made, and what leases are wanted: a call without either waits for those of others as
// all do. ErrFenced: the session has ended. ErrPermission: it is somebody else's.
func (n *Node) wish(ctx context.Context, r *reign) (fs.LeaseCall, error) {
	c := fs.LeasesOf(ctx)
	if c == nil || c.Session == 0 {
		return fs.LeaseCall{}, nil
	}
	s := fs.Session{ID: c.Session, Epoch: c.Epoch}
	e, err := r.sessions.find(ctx, s)
	if err == nil {
		err = checkOwner(&s, e.owner, fs.CallerOf(ctx).Owner)
	}
	if err != nil {
		return fs.LeaseCall{}, err
	}
	w := fs.LeaseCall{Session: c.Session, Epoch: c.Epoch, Want: c.Want, Page: c.Page, Stray: c.Stray}
	if e.ReadOnly {
		w.Want = min(w.Want, fs.LeaseShared)
	}
	return w, nil
}

// letThrough waits for the leases of others on what a call reads. The snapshot that answers it is taken afterwards, and leadership
// is proven after that.
func (n *Node) letThrough(ctx context.Context, r *reign, inos ...fs.Ino) ([]fs.Lease, error) {
	w, err := n.wish(ctx, r)
	if err != nil {
		return nil, err
	}
	return n.letThroughAs(ctx, r, w, inos...)
}

func (n *Node) letThroughAs(ctx context.Context, r *reign, w fs.LeaseCall, inos ...fs.Ino) ([]fs.Lease, error) {
	if err := n.cfg.Faults.At("lease.ask"); err != nil {
		return nil, err
	}
	leases, err := r.sessions.desk.ReadAs(ctx, w, inos...)
	if err == nil {
		err = n.cfg.Faults.At("lease.granted")
	}
	return leases, err
}

// granted tells the caller what comes with the answer.
func (r *reign) granted(ctx context.Context, leases []fs.Lease) {
	if c := fs.LeasesOf(ctx); c != nil {
		c.Term, c.Got = r.term, leases
	}
}

// decide has a transaction carried out once nobody else caches what it changes, in this reign or not at all: what was let
// through here says nothing in another one. It stays let through until it is known what became of it, also if the caller has gone.
func (n *Node) decide(ctx context.Context, r *reign, tx *fs.Tx, encoded []byte) (*fs.TxResult, error) {
	work, err := n.begin(ctx, r, tx)
	if err != nil {
		return nil, fmt.Errorf("commit: %w", err)
	}
	a := n.proposer.through(ctx, &proposal{data: encoded, term: r.term, answer: make(chan proposed, 1), settled: func(a proposed) {
		work.End(a.carriedOut())
	}})
	if a.err != nil {
		return nil, fmt.Errorf("commit: %w", a.err)
	}
	result, err := decision(&a.answer)
	if err != nil {
		return nil, err
	}
	if a.carriedOut() {
		r.granted(ctx, work.Born())
	} else {
		r.granted(ctx, nil)
	}
	return result, nil
}

// carriedOut reports whether a transaction has been carried out by this proposal: not before it, so that what the result tells is
// what is there.
func (a proposed) carriedOut() bool {
	return a.err == nil && a.answer.Tx != nil && a.answer.Tx.Err == fs.CodeOK && a.answer.Tx.Index == a.index
}

// begin waits until a transaction may be proposed. Its names are looked up in the state as it is applied here: nobody else
// can change what they mean, and all who have done so have been applied.
func (n *Node) begin(ctx context.Context, r *reign, tx *fs.Tx) (*leasedesk.Work, error) {
	if err := n.cfg.Faults.At("lease.begin"); err != nil {
		return nil, err
	}
	call := fs.LeaseCall{}
	if c := fs.LeasesOf(ctx); c != nil {
		call = *c
	}
	work, err := r.sessions.desk.Begin(ctx, tx.ID.Session, tx, call, func(dir fs.Ino, name string) (ino fs.Ino, err error) {
		err = n.local(func(s *snapshot) error {
			ino, err = named(s, dir, name)
			return err
		})
		return ino, err
	})
	if err == nil {
		if err = n.cfg.Faults.At("lease.begun"); err != nil {
			work.End(false)
		}
	}
	return work, err
}

// named is what a name means; 0 where there is no such name, or no such directory.
func named(s reading, dir fs.Ino, name string) (fs.Ino, error) {
	a, err := s.Lookup(dir, name)
	switch {
	case err == nil:
		return a.Ino, nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrNotDir), errors.Is(err, fs.ErrInvalid), errors.Is(err, fs.ErrNameTooLong):
		return 0, nil
	}
	return 0, err
}
