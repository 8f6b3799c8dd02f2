package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"dfs/fs"
	"dfs/raftmeta/state"
)

const (
	removedPeriod = time.Second      // between two looks at whether the local state calls us removed
	alonePeriod   = 10 * time.Second // without a leader, until the others are asked whether we still belong to them
)

// self is what the leader is told of this node.
func (n *Node) self() fs.NodeInfo {
	return fs.NodeInfo{ID: n.dir.id, Addr: n.transport.Addr(), Zone: n.cfg.Zone}
}

// stayMember returns when the leader says that the node has been removed, or ctx ends. A node that follows the log reads
// there that it is time to ask; one that hears of no leader, because it was cut off when it was removed, asks now and then.
// It asks by joining again, which changes nothing for a member.
//
// What the log says is no reason to stop: until it is out of Raft's configuration its vote may be needed to get it out.
func (n *Node) stayMember(ctx context.Context, id string) error {
	tick := time.NewTicker(removedPeriod)
	defer tick.Stop()
	heard := time.Now()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		removed, err := n.removedHere()
		if err != nil {
			return err
		}
		if s, err := n.meta.Status(ctx); err == nil && s.Quorum {
			heard = time.Now()
		}
		if !removed && time.Since(heard) < alonePeriod {
			continue
		}
		heard = time.Now()
		if err := n.join(ctx, n.self(), id); errors.Is(err, fs.ErrRemoved) {
			return n.removedError(id)
		}
	}
}

// removedHere reports whether the local state says that this node was removed. A state that cannot be read has failed by
// itself.
func (n *Node) removedHere() (removed bool, err error) {
	err = n.meta.Local(func(v state.View, _ uint64) (err error) {
		removed, err = v.Removed(n.dir.id)
		return err
	})
	return removed, err
}

// removedError ends the process: nothing that this node has kept counts any more.
func (n *Node) removedError(id string) error {
	n.log.Error("this node was removed from its cluster and stops", "node", n.dir.id, "cluster", id)
	return fmt.Errorf("node %s, cluster %s: %w; to use this machine again, delete %s and start dfsnode with another --name, or without",
		n.dir.id, id, fs.ErrRemoved, n.dir.path)
}
