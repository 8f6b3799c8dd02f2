package raftmeta

import (
	"fmt"
	"sync"

	"github.com/hashicorp/raft"

	"dfs/fs"
)

// recovery is how a node comes back from what lies on its disk.
type recovery struct {
	hasState bool // it has been part of a cluster
	restore  bool // the state must be restored from the newest snapshot before the log is replayed

	// The whole log, if it ends before the newest snapshot does: this node was killed between receiving that one and
	// cutting the log. New entries would not join on to it. 0 for none.
	staleFirst, staleLast uint64
}

// planRecovery checks log, snapshot and state against each other: together they must give every entry up to what the
// state has applied, without a gap.
func (n *Node) planRecovery() (recovery, error) {
	hasState, err := raft.HasExistingState(n.store, n.store, n.snaps)
	if err != nil {
		return recovery{}, fmt.Errorf("look for a state: %w", err)
	}
	first, err := n.store.FirstIndex()
	if err != nil {
		return recovery{}, err
	}
	last, err := n.store.LastIndex()
	if err != nil {
		return recovery{}, err
	}
	list, err := n.snaps.List()
	if err != nil {
		return recovery{}, fmt.Errorf("list the snapshots: %w", err)
	}
	snap := uint64(0)
	if len(list) > 0 {
		snap = list[0].Index
	}
	applied := n.db.applied()
	if applied > max(last, snap) {
		return recovery{}, fmt.Errorf("the state has applied entry %d, but the log ends at %d: %w", applied, max(last, snap), fs.ErrCorrupt)
	}
	if first > snap+1 {
		return recovery{}, fmt.Errorf("the log begins at entry %d, but the newest snapshot ends at %d: %w", first, snap, fs.ErrCorrupt)
	}
	plan := recovery{hasState: hasState, restore: snap > 0 && applied < snap}
	if 0 < last && last < snap {
		plan.staleFirst, plan.staleLast = first, last
	}
	if plan.restore || plan.staleLast > 0 {
		return plan, n.checkSnapshot(list[0].ID)
	}
	return plan, checkMemory(n.cfg.Dir, hasState)
}

// prepareLog makes the log fit to be gone on with.
func (n *Node) prepareLog(plan recovery) error {
	if plan.staleLast > 0 {
		if err := n.store.DeleteRange(plan.staleFirst, plan.staleLast); err != nil {
			return err
		}
	}
	if plan.hasState {
		return remember(n.cfg.Dir, n.cfg.ID)
	}
	n.store.first = sync.OnceValue(func() error { return remember(n.cfg.Dir, n.cfg.ID) })
	return nil
}

// checkSnapshot opens the snapshot that Raft is about to restore: if it is bad Raft would go on with an older one, from
// which the log does not lead on.
func (n *Node) checkSnapshot(id string) error {
	_, file, err := n.snaps.Open(id)
	if err != nil {
		return fmt.Errorf("open snapshot %s: %w: %w", id, err, fs.ErrCorrupt)
	}
	return file.Close()
}
