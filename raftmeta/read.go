package raftmeta

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/hashicorp/raft"

	"dfs/fs"
	"dfs/raftmeta/state"
)

// bound gives ctx the end that every call has.
func (n *Node) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	d := n.cfg.Timings.Operation
	return context.WithTimeoutCause(ctx, d, fmt.Errorf("no majority answered within %v: %w", d, fs.ErrUnavailable))
}

// read runs fn on a snapshot that holds everything that was acknowledged anywhere before read was called.
//
// The snapshot is taken first and leadership proven afterwards: if this node was the leader at any moment after the call
// arrived, then every write acknowledged before it arrived was committed by it or before its term, so that it is no
// higher than the commit index seen at arrival.
func (n *Node) read(ctx context.Context, fn func(*snapshot) error) error {
	ctx, cancel := n.bound(ctx)
	defer cancel()
	r, err := n.leading(ctx)
	if err != nil {
		return err
	}
	return n.readIn(ctx, r, fn)
}

// readIn is read within one reign; ctx must be bounded.
func (n *Node) readIn(ctx context.Context, r *reign, fn func(*snapshot) error) error {
	arrival := time.Now()
	if !n.leased(r) {
		r.kick()
	}
	if err := n.progress.wait(ctx, n.raft.Load().CommitIndex()); err != nil {
		return err
	}
	result := n.local(fn)
	if err := n.proveLeader(ctx, r, arrival); err != nil {
		return err
	}
	return result
}

// local runs fn on the state as this node has applied it.
func (n *Node) local(fn func(*snapshot) error) error {
	snap, err := n.db.read()
	if err != nil {
		return err
	}
	defer snap.close()
	return fn(snap)
}

// leased reports whether a majority has promised, by answering a heartbeat, to follow nobody else yet. That the lease was
// not given up, nor lost, is looked at after the clock: what is so then was so at the moment that counts.
func (n *Node) leased(r *reign) bool {
	if n.cfg.NoLease {
		return false
	}
	since := n.contacts.leased(r.term, n.voters(), raft.ServerID(n.cfg.ID))
	rf := n.raft.Load()
	return time.Since(since) < n.cfg.Timings.ReadLease && rf.State() == raft.Leader && rf.CurrentTerm() == r.term &&
		n.transport.handover.Load() != r.term
}

// proveLeader returns nil if this node was the leader of r's term at some moment after since.
func (n *Node) proveLeader(ctx context.Context, r *reign, since time.Time) error {
	if n.leased(r) {
		return nil
	}
	return n.proveFollowed(ctx, r, since)
}

// proveFollowed is proveLeader by messages: a majority has answered heartbeats that were sent after since.
func (n *Node) proveFollowed(ctx context.Context, r *reign, since time.Time) error {
	for {
		last, changed := n.contacts.followed(r.term, n.voters(), raft.ServerID(n.cfg.ID))
		if last.After(since) && r.ctx.Err() == nil {
			return nil
		}
		r.kick()
		select {
		case <-changed:
		case <-r.ctx.Done():
			return n.notLeader()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// kick asks for a round of heartbeats.
func (r *reign) kick() {
	select {
	case r.ask <- struct{}{}:
	default: // one is asked for already, and has not begun
	}
}

// verifyLoop makes Raft send heartbeats at once when somebody asks for them; all who asked before they are sent share
// them. The answers are counted by contacts; what VerifyLeader itself concludes is not used, but it makes a deposed leader
// step down.
func (r *reign) verifyLoop() {
	for {
		select {
		case <-r.ask:
			if err := await(r.ctx, r.n.raft.Load().VerifyLeader()); err != nil {
				r.n.logger.Debug("leadership is not verified", "err", err)
			}
		case <-r.ctx.Done():
			return
		}
	}
}

// voters are those of the newest configuration, committed or not.
func (n *Node) voters() []raft.ServerID {
	var ids []raft.ServerID
	for _, s := range n.servers() {
		if s.Suffrage == raft.Voter {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

func (n *Node) servers() []raft.Server {
	return n.raft.Load().GetConfiguration().Configuration().Servers
}

// Local runs fn on the state as this node has applied it: possibly behind the leader's. The View is valid until fn
// returns, and for one goroutine.
func (n *Node) Local(fn func(v state.View, index uint64) error) error {
	return n.local(func(s *snapshot) error { return fn(s.View, s.index) })
}

// View is Local that also tells the term of the last entry applied; 0 if none is.
func (n *Node) View(fn func(v state.View, index, term uint64) error) error {
	return n.local(func(s *snapshot) error { return fn(s.View, s.index, s.term) })
}

// AppliedNotify returns the Raft index that this node has applied, and a channel that is closed when it rises.
func (n *Node) AppliedNotify() (uint64, <-chan struct{}) { return n.progress.now() }

// Fenced reports whether the local state knows that a session's epoch is over. A state that cannot be read fences nobody:
// the decision will be refused anyway.
func (n *Node) Fenced(epoch fs.Epoch, id fs.SessionID) bool {
	fenced := false
	err := n.local(func(s *snapshot) error {
		// No session comes to this transaction: it stays undecided as long as the epoch lives.
		outcome, err := s.Outcome(fs.TxID{Session: id, Seq: math.MaxUint64}, epoch)
		fenced = err == nil && outcome != state.Undecided
		return err
	})
	return err == nil && fenced
}
