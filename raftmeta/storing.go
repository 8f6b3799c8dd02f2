package raftmeta

import (
	"time"

	"dfs/fs"
	"dfs/raftmeta/command"
	"dfs/raftmeta/state"
)

// keepMembers runs what looks after the members: autopilot, which decides who votes, who counts for min-replicas, and that
// who is removed is out.
func (r *reign) keepMembers() {
	stop := r.startAutopilot()
	defer stop()
	r.every(min(r.n.cfg.Timings.Heartbeat, 500*time.Millisecond), func() {
		if err := r.recordStoring(); err != nil && r.ctx.Err() == nil {
			r.n.logger.Debug("cannot record that a member stores blobs", "err", err)
		}
		if err := r.finishRemovals(); err != nil && r.ctx.Err() == nil {
			r.n.logger.Debug("cannot finish the removal of a member", "err", err)
		}
	})
}

// recordStoring has the state count those members that have been seen to take blobs, and did not count yet; see DESIGN.md,
// "Members".
func (r *reign) recordStoring() error {
	ctx, cancel := r.n.bound(r.ctx)
	defer cancel()
	r.members.Lock() // an address that a Join has just recorded must not be overwritten with the one before
	defer r.members.Unlock()
	var heard map[fs.NodeID]fs.NodeInfo
	for _, member := range r.n.records() {
		if member.Storing {
			continue
		}
		if heard == nil {
			heard = r.n.gossip()
		}
		if !r.stores(heard[member.ID]) {
			continue
		}
		if _, err := r.n.change(ctx, &command.PutNode{Node: member.NodeInfo, Storing: true}); err != nil {
			return err
		}
		r.n.logger.Info("a member stores blobs and counts for min-replicas from now on", "member", member.ID)
	}
	return nil
}

// stores reports whether a node takes blobs: it says so itself, and this leader reaches it where blobs are sent to.
func (r *reign) stores(n fs.NodeInfo) bool {
	if n.State != fs.NodeAlive || n.Load.ReadOnly || n.Load.DiskTotalBytes == 0 {
		return false
	}
	return r.answers(n.ID)
}

// records are the nodes in the local state, with whether they count.
func (n *Node) records() []state.NodeRecord {
	var list []state.NodeRecord
	err := n.local(func(s *snapshot) (err error) {
		list, err = s.NodeRecords()
		return err
	})
	if err != nil && n.ctx.Err() == nil {
		n.logger.Warn("cannot list the nodes", "err", err)
	}
	return list
}
