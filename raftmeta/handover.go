package raftmeta

import (
	"context"
	"time"

	"github.com/hashicorp/raft"
)

// giveAway transfers the leadership, if this node has it, within a bounded time. First it gives up its read lease, for the
// rest of the term, and tells the others so: they would not vote for its successor otherwise.
func (n *Node) giveAway() {
	r, _ := n.leader.get()
	rf := n.raft.Load()
	if r == nil || rf.State() != raft.Leader || len(n.voters()) < 2 {
		return
	}
	ctx, cancel := context.WithTimeout(n.ctx, 2*n.cfg.Timings.Election+time.Second)
	defer cancel()
	n.transport.handover.Store(r.term)
	n.transport.gate.release(r.term) // its own vote may be the one that the successor needs
	err := n.proveFollowed(ctx, r, time.Now())
	if err == nil {
		err = await(ctx, rf.LeadershipTransfer())
	}
	if err != nil {
		n.logger.Info("leadership could not be given away", "err", err)
	}
}
