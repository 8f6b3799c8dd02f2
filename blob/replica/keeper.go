package replica

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"dfs/blob"
	"dfs/fs"
)

// KeeperConfig of a Keeper. Zero durations and rates become the defaults.
type KeeperConfig struct {
	Node  fs.NodeID
	Store blob.Store // this node's own disk
	// Set reaches all nodes, this one too. The Keeper does not close it.
	Set  *Set
	Meta Metadata

	SweepEvery   time.Duration // between two looks at everything that is staged here; default 30 s
	LeadEvery    time.Duration // between two rounds of what only a leader does; default 1 s
	Grace        time.Duration // from a blob's becoming garbage to its deletion; default 30 s
	InspectEvery time.Duration // between two comparisons of what is here with what should be; default 10 min
	ScrubEvery   time.Duration // between two readings of everything that is here; default 24 h

	RepairParallel       int   // copies made at once, and nodes told at once what to delete; default 2
	RepairBytesPerSecond int64 // default 64 MiB
	ScrubBytesPerSecond  int64 // default 16 MiB

	Faults fs.Faults
	Logger *slog.Logger // nil: none
}

// Validate fills in the defaults.
func (c *KeeperConfig) Validate() error {
	if c.Node == "" || c.Store == nil || c.Set == nil || c.Meta == nil {
		return fmt.Errorf("keeper: Node, Store, Set and Meta are needed: %w", fs.ErrInvalid)
	}
	for _, d := range []struct {
		v *time.Duration
		d time.Duration
	}{{&c.SweepEvery, 30 * time.Second}, {&c.LeadEvery, time.Second}, {&c.Grace, 30 * time.Second},
		{&c.InspectEvery, 10 * time.Minute}, {&c.ScrubEvery, 24 * time.Hour}} {
		if *d.v <= 0 {
			*d.v = d.d
		}
	}
	if c.RepairParallel <= 0 {
		c.RepairParallel = 2
	}
	if c.RepairBytesPerSecond <= 0 {
		c.RepairBytesPerSecond = 64 << 20
	}
	if c.ScrubBytesPerSecond <= 0 {
		c.ScrubBytesPerSecond = 16 << 20
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// Keeper makes a node's disk hold what the metadata says, and on the leader looks after all blobs.
type Keeper struct {
	cfg     KeeperConfig
	log     *slog.Logger
	heals   labels
	repairs labels
	counts  counts

	decided chan decision // bounded; what does not fit asks for a sweep
	sweep   chan struct{}

	collector collector // of the collect loop alone
	repairer  repairer  // of the repair loop alone
	scrubRate *rate.Limiter

	stop  context.CancelFunc
	loops sync.WaitGroup
}

// Counts are what a Keeper has done since it was started.
type Counts struct {
	Committed uint64 // staged copies that became live
	Dropped   uint64 // staged copies deleted
	Collected uint64 // garbage blobs forgotten
	Repaired  uint64 // copies made on other nodes
	Healed    uint64 // own copies mended
	Lost      uint64 // own copies found missing or damaged that could not be mended, each time
	Unknown   uint64 // live copies that the table does not know, at the last inspection
}

type counts struct {
	committed, dropped, collected, repaired, healed, lost, unknown atomic.Uint64
}

// Counts returns them.
func (k *Keeper) Counts() Counts {
	c := &k.counts
	return Counts{c.committed.Load(), c.dropped.Load(), c.collected.Load(), c.repaired.Load(), c.healed.Load(), c.lost.Load(), c.unknown.Load()}
}

// StartKeeper starts a Keeper's loops.
func StartKeeper(cfg KeeperConfig) (*Keeper, error) {
	k, err := newKeeper(cfg)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	k.stop = stop
	k.loops.Go(func() { k.settleLoop(ctx) })
	k.loops.Go(func() { k.inspectLoop(ctx) })
	k.loops.Go(func() { k.leadLoop(ctx, k.collect) })
	k.loops.Go(func() { k.leadLoop(ctx, k.repair) })
	return k, nil
}

// newKeeper makes a Keeper whose rounds the caller runs.
func newKeeper(cfg KeeperConfig) (*Keeper, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	k := &Keeper{cfg: cfg, log: cfg.Logger.With("node", cfg.Node), stop: func() {}}
	k.decided = make(chan decision, decidedMax)
	k.sweep = make(chan struct{}, 1)
	k.scrubRate = rate.NewLimiter(rate.Limit(cfg.ScrubBytesPerSecond), fs.BlobMax)
	k.repairer.rate = rate.NewLimiter(rate.Limit(cfg.RepairBytesPerSecond), fs.BlobMax)
	return k, nil
}

// Close ends the loops and waits for them.
func (k *Keeper) Close() error {
	k.stop()
	k.loops.Wait()
	return nil
}

// leadIdleMax bounds how seldom a leader's loop runs when its last rounds changed nothing.
const leadIdleMax = 5 * time.Second

// leadLoop runs a round while this node leads, more seldom as long as rounds change nothing but find work.
func (k *Keeper) leadLoop(ctx context.Context, round func(context.Context) progress) {
	pause := k.cfg.LeadEvery
	for sleep(ctx, pause) {
		if round(ctx) == stuck {
			pause = min(2*pause, max(leadIdleMax, k.cfg.LeadEvery))
		} else {
			pause = k.cfg.LeadEvery
		}
	}
}

// progress is what a leader's round has come to.
type progress int

const (
	idle  progress = iota // there was nothing to do
	moved                 // something was done
	stuck                 // there is work that cannot be done now
)

// sleep reports false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// step runs one arrow of a protocol between its two failpoints.
func (k *Keeper) step(name string, f func() error) error {
	if err := k.cfg.Faults.At("keeper." + name + ".before"); err != nil {
		return err
	}
	if err := f(); err != nil {
		return err
	}
	return k.cfg.Faults.At("keeper." + name + ".after")
}
