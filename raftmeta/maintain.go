package raftmeta

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"dfs/fs"
)

// maintain watches the disk, takes snapshots when enough has been logged, and frees space in the state.
func (n *Node) maintain() {
	watch := time.NewTicker(max(n.cfg.Timings.DiskHang/10, 10*time.Millisecond))
	defer watch.Stop()
	snapshots := time.NewTicker(n.cfg.SnapshotInterval)
	defer snapshots.Stop()
	collect := time.NewTicker(5 * time.Minute)
	defer collect.Stop()
	s := &snapshotter{n: n}
	for {
		select {
		case <-watch.C:
			if d := n.store.hung(); d > n.cfg.Timings.DiskHang {
				n.fail(fmt.Errorf("the disk has not completed a write to the log for %v: %w", d.Round(time.Second), fs.ErrTimeout))
			}
		case <-snapshots.C:
			s.consider()
		case <-collect.C:
			if err := n.db.collect(); err != nil {
				n.logger.Warn("cannot free space in the state", "err", err)
			}
		case <-n.ctx.Done():
			return
		}
	}
}

// snapshotter decides when to take a snapshot. A snapshot is a full dump: it pays when the log that it replaces is long,
// in entries or in bytes, and not much smaller than the dump.
type snapshotter struct {
	n       *Node
	written atomic.Int64 // what had been logged, bytes, when the last snapshot was taken
	busy    chan struct{}
}

func (s *snapshotter) consider() {
	n := s.n
	select {
	case <-s.busy:
		s.busy = nil
	default:
		if s.busy != nil {
			return // one is being taken
		}
	}
	list, err := n.snaps.List()
	if err != nil {
		n.logger.Warn("cannot list the snapshots", "err", err)
		return
	}
	var last raft.SnapshotMeta
	if len(list) > 0 {
		last = *list[0]
	}
	entries := n.raft.Load().LastIndex() - min(last.Index, n.raft.Load().LastIndex())
	written := n.store.written.Load()
	if !n.cfg.snapshotDue(entries, written-s.written.Load(), last.Size) {
		return
	}
	n.limitTrailing(entries, written-s.written.Load())
	s.busy = make(chan struct{})
	done := s.busy
	n.loops.Go(func() {
		defer close(done)
		err := await(n.ctx, n.raft.Load().Snapshot())
		if err == nil {
			s.written.Store(written)
		} else if !errors.Is(err, raft.ErrNothingNewToSnapshot) && n.ctx.Err() == nil {
			n.logger.Warn("cannot take a snapshot", "err", err)
		}
	})
}

// snapshotDue says whether so many entries of so many bytes are worth a dump, when the last one had size bytes.
func (c *Config) snapshotDue(entries uint64, bytes, size int64) bool {
	if entries < c.SnapshotEntries && bytes < c.SnapshotBytes {
		return false
	}
	return bytes >= size/2 || entries >= 16*c.SnapshotEntries
}

// limitTrailing sets how many entries stay behind the snapshot so that they have about TrailingBytes at most.
func (n *Node) limitTrailing(entries uint64, bytes int64) {
	keep := n.cfg.TrailingEntries
	if entries > 0 && bytes > 0 {
		each := max(uint64(bytes)/entries, 1)
		keep = min(keep, max(uint64(n.cfg.TrailingBytes)/each, 16))
	}
	if err := n.raft.Load().reload(func(rc *raft.ReloadableConfig) {
		rc.TrailingLogs = min(keep, n.cfg.TrailingEntries)
	}); err != nil {
		n.logger.Warn("cannot set how much of the log is kept", "err", err)
	}
}
