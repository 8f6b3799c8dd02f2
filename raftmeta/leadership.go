package raftmeta

import (
	"context"
	"fmt"
	"sync"

	"github.com/hashicorp/raft"

	"dfs/fs"
)

// leadership is the reign of this node that is ready to serve, if there is one.
type leadership struct {
	mu      sync.Mutex
	reign   *reign
	changed chan struct{} // closed and replaced at every change
}

func newLeadership() *leadership { return &leadership{changed: make(chan struct{})} }

func (l *leadership) get() (*reign, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reign, l.changed
}

func (l *leadership) set(r *reign) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.reign != r {
		l.reign = r
		close(l.changed)
		l.changed = make(chan struct{})
	}
}

// watchLeadership starts a reign whenever Raft says that this node leads, and ends it when it says that it does not. It
// never blocks, since Raft does until it is heard: a reign waits for the one before it by itself.
func (n *Node) watchLeadership() {
	var last *reign
	end := func() {
		if last != nil {
			last.cancel()
		}
		n.leader.set(nil)
	}
	defer end()
	for {
		select {
		case leads := <-n.notify:
			end()
			if leads {
				last = n.newReign(last)
				n.loops.Go(last.run)
			}
		case <-n.ctx.Done():
			return
		}
	}
}

// IsLeader reports whether this node leads and is ready to serve. It may have been deposed without knowing it yet.
func (n *Node) IsLeader() bool {
	r, _ := n.leader.get()
	return r != nil
}

// Leader is IsLeader together with the term; 0 if this node does not lead.
func (n *Node) Leader() (term uint64, leads bool) {
	r, _ := n.leader.get()
	if r == nil {
		return 0, false
	}
	return r.term, true
}

// LeaderNotify is IsLeader together with a channel that is closed when the answer, or the term, may have changed.
func (n *Node) LeaderNotify() (leads bool, changed <-chan struct{}) {
	r, changed := n.leader.get()
	return r != nil, changed
}

// leading returns the reign; it waits for a fresh one to be ready. Elsewhere it is a *fs.NotLeaderError at once.
func (n *Node) leading(ctx context.Context) (*reign, error) {
	for {
		r, changed := n.leader.get()
		if r != nil {
			return r, nil
		}
		if n.ctx.Err() != nil {
			return nil, fmt.Errorf("the node has stopped: %w", fs.ErrUnavailable)
		}
		if n.raft.Load().State() != raft.Leader {
			return nil, n.notLeader()
		}
		select {
		case <-changed:
		case <-n.ctx.Done():
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// notLeader says where the leader is, as far as this node knows.
func (n *Node) notLeader() error {
	addr, id := n.raft.Load().LeaderWithID()
	if id == raft.ServerID(n.cfg.ID) {
		addr = "" // it has just been deposed, or is not ready: not to be asked again at once
	}
	return &fs.NotLeaderError{Leader: string(addr)}
}

// unset is set(nil), unless another reign has begun.
func (l *leadership) unset(r *reign) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.reign == r {
		l.reign = nil
		close(l.changed)
		l.changed = make(chan struct{})
	}
}
