package raftmeta

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/hashicorp/raft"

	"dfs/fs"
)

// Config says who a node is and how it behaves.
type Config struct {
	ID      fs.NodeID
	Dir     string // the node's own directory: log, state and snapshots lie in it
	Addr    string // host:port where other nodes and mounts reach this one; the transport's address
	Zone    string
	Version string // of the program, for operators

	// Transport carries Raft's messages. The Node closes it, if it can be closed.
	Transport raft.Transport
	// Gossip is what gossip knows of the nodes now; nil for none. It must not block.
	Gossip func() []fs.NodeInfo
	// Details is what gossip knows about a node besides, for operators; nil for none.
	Details func(fs.NodeID) NodeDetails
	// Staged lists transactions of which the local blob store holds blobs that are still staged; nil for none.
	Staged func() []fs.TxStatus

	Voters  int // how many members vote, once there are as many: 3 (default) or 5; 1 is for tests
	Timings Timings

	SnapshotEntries  uint64        // a snapshot is taken after that many log entries; default 65536
	SnapshotBytes    int64         // … or that many bytes of them; default 256 MiB
	SnapshotInterval time.Duration // how often that is looked at; default 20 s
	TrailingEntries  uint64        // entries kept behind a snapshot for slow followers; default 8192
	TrailingBytes    int64         // … but not more than about that many bytes; default 64 MiB

	// NoLease makes every read verify leadership with a round of messages. With leases most reads need none; see
	// DESIGN.md for what they assume of clocks.
	NoLease bool

	Observer Observer
	Faults   fs.Faults
	Logger   *slog.Logger

	// bootID overrides the kernel's boot id, segmentSize the log's, stateTableSize the state's, in tests.
	bootID         string
	segmentSize    int
	stateTableSize int64
}

// Observer is told how long things took, for metrics. Nil functions are not called; the others must not block.
type Observer struct {
	Synced    func(time.Duration) // a write of entries to the log, its sync included
	Committed func(time.Duration) // an entry proposed here, until it was committed and applied here
}

func (o *Observer) synced(d time.Duration) {
	if o.Synced != nil {
		o.Synced(d)
	}
}

func (o *Observer) committed(d time.Duration) {
	if o.Committed != nil {
		o.Committed(d)
	}
}

// NodeDetails is what only gossip knows of a node.
type NodeDetails struct {
	Applied uint64 // Raft index
	Version string
}

// Timings are the clocks of a node. Zero values become the defaults.
type Timings struct {
	// Heartbeat is how long a follower waits for its leader before it stands for election; heartbeats are sent ten times
	// as often. Default 600 ms: an election takes place up to a quarter of that later (patience), and a busy two-core machine does not trip over it.
	Heartbeat time.Duration
	// Election bounds one election round. Default: Heartbeat.
	Election time.Duration
	// LeaderLease is when a leader that hears of no majority steps down. Default: Heartbeat.
	LeaderLease time.Duration
	// ReadLease is how long a majority's answer to a heartbeat, counted from its sending, lets the leader serve reads.
	// Default: 3/4 of Heartbeat; never more than that.
	ReadLease time.Duration
	// Commit bounds how long a follower waits to hear of a commit. Default 50 ms.
	Commit time.Duration
	// Operation bounds every call that needs a majority. Default 5 s.
	Operation time.Duration
	// Expiry is added to a session's timeout before the leader ends it. Default: a quarter of the timeout.
	Expiry time.Duration
	// Notice is the longest pause between two notices with news of the nodes. Default 1 s.
	Notice time.Duration
	// Reap is how long an orphan is left alone after the leader has seen it, so that a mount that has just looked its
	// name up can still open it. Default 2 s.
	Reap time.Duration
	// Survey is the longest pause until what a new quota found there begins to be counted. Default 500 ms.
	Survey time.Duration
	// Stable is how long a learner must have been well before it may vote, and Failed how long a voter must have been
	// unreachable before another node votes in its place. Defaults 3 s and 10 s.
	Stable time.Duration
	Failed time.Duration
	// DiskHang is how long one write to the log may take before the node gives up its disk as hung. Default 20 s.
	DiskHang time.Duration
}

func orElse[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

func (t *Timings) setDefaults() {
	orElse(&t.Heartbeat, 600*time.Millisecond)
	orElse(&t.Election, t.Heartbeat)
	orElse(&t.LeaderLease, t.Heartbeat)
	orElse(&t.ReadLease, t.Heartbeat*3/4)
	orElse(&t.Commit, 50*time.Millisecond)
	orElse(&t.Operation, 5*time.Second)
	orElse(&t.Notice, time.Second)
	orElse(&t.Reap, 2*time.Second)
	orElse(&t.Survey, 500*time.Millisecond)
	orElse(&t.Stable, 3*time.Second)
	orElse(&t.Failed, 10*time.Second)
	orElse(&t.DiskHang, 20*time.Second)
}

func (c *Config) setDefaults() {
	c.Timings.setDefaults()
	orElse(&c.Voters, 3)
	orElse(&c.SnapshotEntries, 65536)
	orElse(&c.SnapshotBytes, 256<<20)
	orElse(&c.SnapshotInterval, 20*time.Second)
	orElse(&c.TrailingEntries, 8192)
	orElse(&c.TrailingBytes, 64<<20)
	orElse(&c.stateTableSize, 64<<20)
	if c.Gossip == nil {
		c.Gossip = func() []fs.NodeInfo { return nil }
	}
	if c.Details == nil {
		c.Details = func(fs.NodeID) NodeDetails { return NodeDetails{} }
	}
	if c.Staged == nil {
		c.Staged = func() []fs.TxStatus { return nil }
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

// Validate checks a Config; Open does so itself.
func (c *Config) Validate() error {
	switch {
	case c.ID == "":
		return errors.New("raftmeta: Config.ID is empty")
	case c.Dir == "":
		return errors.New("raftmeta: Config.Dir is empty")
	case c.Addr == "":
		return errors.New("raftmeta: Config.Addr is empty")
	case c.Transport == nil:
		return errors.New("raftmeta: Config.Transport is nil")
	case string(c.Transport.LocalAddr()) != c.Addr:
		return fmt.Errorf("raftmeta: Config.Addr is %s, but the transport's address is %s", c.Addr, c.Transport.LocalAddr())
	case c.Voters != 0 && c.Voters != 1 && c.Voters != 3 && c.Voters != 5:
		return fmt.Errorf("raftmeta: Config.Voters is %d, not 1, 3 or 5", c.Voters)
	}
	return c.Timings.validate()
}

func (t Timings) validate() error {
	given := t
	t.setDefaults()
	switch {
	case t.Heartbeat < 5*time.Millisecond:
		return fmt.Errorf("raftmeta: Timings.Heartbeat is %v, shorter than 5 ms", t.Heartbeat)
	case t.Election < t.Heartbeat:
		return fmt.Errorf("raftmeta: Timings.Election (%v) is shorter than Heartbeat (%v)", t.Election, t.Heartbeat)
	case t.LeaderLease > t.Heartbeat:
		return fmt.Errorf("raftmeta: Timings.LeaderLease (%v) is longer than Heartbeat (%v)", t.LeaderLease, t.Heartbeat)
	case t.ReadLease > t.Heartbeat*3/4:
		return fmt.Errorf("raftmeta: Timings.ReadLease (%v) is longer than 3/4 of Heartbeat (%v)", t.ReadLease, t.Heartbeat)
	}
	for _, d := range []time.Duration{given.Heartbeat, given.Election, given.LeaderLease, given.ReadLease, given.Commit,
		given.Operation, given.Expiry, given.Notice, given.Reap, given.Survey, given.Stable, given.Failed, given.DiskHang} {
		if d < 0 {
			return fmt.Errorf("raftmeta: a negative time in Timings: %v", d)
		}
	}
	return nil
}
