package raftmeta

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"dfs/fs"
	"dfs/raftmeta/room"
)

// reign is one term of this node's leadership: what only a leader does, and what only a leader remembers. Everything in
// it begins empty, or from the state, and is forgotten at its end.
type reign struct {
	n      *Node
	term   uint64
	began  time.Time
	ctx    context.Context // ends with the leadership
	cancel context.CancelFunc
	before *reign // waited for, then forgotten
	done   chan struct{}

	ask      chan struct{} // wants leadership verified; see verifyLoop
	sessions *sessionTable
	rooms    *room.Table
	members  sync.Mutex // held while members come and go, so that one who goes is not recorded again
	loops    sync.WaitGroup
}

func (n *Node) newReign(before *reign) *reign {
	r := &reign{n: n, before: before, began: time.Now(), done: make(chan struct{}), ask: make(chan struct{}, 1),
		rooms: room.NewTable()}
	r.ctx, r.cancel = context.WithCancel(n.ctx)
	r.sessions = newSessionTable(r)
	return r
}

// run prepares the reign, lets it serve, and returns when all of it has ended.
func (r *reign) run() {
	defer close(r.done)
	defer r.cancel()
	if r.before != nil {
		<-r.before.done
		r.before = nil
	}
	if err := r.prepare(); err != nil {
		if r.ctx.Err() == nil && r.n.raft.Load().State() == raft.Leader {
			r.n.fail(fmt.Errorf("cannot begin to lead: %w", err)) // a leader that does not serve helps nobody
		}
		return
	}
	r.n.logger.Info("leading", "term", r.term)
	for _, loop := range []func(){r.verifyLoop, r.sessions.run, r.reap, r.keepMembers, r.survey} {
		r.loops.Go(loop)
	}
	r.loops.Go(r.serve)
	<-r.ctx.Done()
	r.sessions.close()
	r.sessions.desk.Close(r.n.notLeader())
	r.loops.Wait()
	r.n.logger.Info("not leading any more", "term", r.term)
}

// serve lets the calls in, unless the reign has ended meanwhile.
func (r *reign) serve() {
	if r.ctx.Err() == nil {
		r.n.leader.set(r)
	}
	<-r.ctx.Done()
	r.n.leader.unset(r)
}

// prepare applies everything that earlier leaders may have had acknowledged (a barrier, once a term), and takes over the
// live sessions.
func (r *reign) prepare() error {
	if err := r.n.cfg.Faults.At("reign.prepare"); err != nil {
		return err
	}
	for r.ctx.Err() == nil {
		err := r.barrier()
		if err == nil {
			return r.sessions.takeOver()
		}
		if r.n.raft.Load().State() != raft.Leader {
			return err
		}
		r.n.logger.Debug("the barrier failed", "err", err)
		waitFor(r.ctx, 10*time.Millisecond)
	}
	return r.ctx.Err()
}

func (r *reign) barrier() error {
	rf := r.n.raft.Load()
	term := rf.CurrentTerm()
	future := rf.Barrier(r.n.cfg.Timings.Operation)
	if err := await(r.ctx, future); err != nil {
		return fmt.Errorf("barrier: %w", err)
	}
	if rf.CurrentTerm() != term {
		return fmt.Errorf("barrier: the term has changed: %w", fs.ErrNotLeader)
	}
	if indexed, ok := future.(raft.IndexFuture); ok {
		r.n.progress.advance(indexed.Index()) // a barrier does not reach the FSM, but all before it has
	}
	r.term = term
	return nil
}

// every calls fn now and then, until the reign ends.
func (r *reign) every(period time.Duration, fn func()) {
	t := time.NewTicker(period)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			fn()
		case <-r.ctx.Done():
			return
		}
	}
}
