package cluster

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"dfs/fs"
)

// Member is what the ring knows of a node.
type Member struct {
	fs.NodeInfo
	Gossip  string // host:port of its gossip
	Version string
	Cluster string // id; empty for a node that belongs to none yet
	Expect  int    // --bootstrap-expect; with an empty Cluster it is a candidate
	Applied uint64 // Raft index
	// Since is when its State last changed, by this machine's clock.
	Since time.Time
}

// Candidate reports whether the member waits for a cluster to be formed.
func (m *Member) Candidate() bool { return m.Expect > 0 && m.Cluster == "" }

const (
	// suspectAfter is how long a node that is not known to be dead may be silent: reports come every beatInterval.
	suspectAfter = 3 * beatInterval
	// forgetAfter is how long the dead are listed.
	forgetAfter = 24 * time.Hour
	membersMax  = 1024 // the longest dead are forgotten first
)

// table is the ring's list of members, fed by memberlist's events and asked by everybody.
// Invariant: at most membersMax entries, or all of them alive.
type table struct {
	mu      sync.Mutex
	entries map[fs.NodeID]*entry
	changed chan struct{} // closed and replaced at a change
}

type entry struct {
	Member
	heard   time.Time // last report
	leaving bool
}

func newTable() *table {
	return &table{entries: make(map[fs.NodeID]*entry), changed: make(chan struct{})}
}

// alive records a report of a living node. It returns the state before.
func (t *table) alive(id fs.NodeID, gossip string, r report, now time.Time) fs.NodeState {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.entries[id]
	if e == nil {
		e = &entry{}
		t.entries[id] = e
		t.trim(now)
	}
	before := e.Member
	e.Member = Member{
		NodeInfo: fs.NodeInfo{ID: id, Addr: r.addr, Zone: r.zone, State: fs.NodeAlive, Load: r.load},
		Gossip:   gossip, Version: r.version, Cluster: r.cluster, Expect: int(r.expect), Applied: r.applied,
		Since: before.Since,
	}
	e.heard, e.leaving = now, r.leaving
	if before.State != fs.NodeAlive {
		e.Since = now
	}
	if before.State != e.State || before.Addr != e.Addr || before.Zone != e.Zone || before.Cluster != e.Cluster || before.Expect != e.Expect {
		t.signal()
	}
	return before.State
}

// gone records that a node is no longer part of the ring: left if it had said that it would, dead otherwise.
func (t *table) gone(id fs.NodeID, now time.Time) (Member, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.entries[id]
	if e == nil {
		return Member{}, false
	}
	e.State = fs.NodeDead
	if e.leaving {
		e.State = fs.NodeLeft
	}
	e.Since = now
	t.signal()
	return e.Member, true
}

// list returns copies, ordered by id.
func (t *table) list(now time.Time) []Member {
	t.mu.Lock()
	defer t.mu.Unlock()
	members := make([]Member, 0, len(t.entries))
	for _, e := range t.entries {
		m := e.Member
		if m.State == fs.NodeAlive && now.Sub(e.heard) > suspectAfter {
			m.State, m.Since = fs.NodeSuspect, e.heard.Add(suspectAfter)
		}
		members = append(members, m)
	}
	slices.SortFunc(members, func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
	return members
}

func (t *table) watch() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.changed
}

func (t *table) signal() {
	close(t.changed)
	t.changed = make(chan struct{})
}

// trim forgets those that have been gone for long, and the longest gone when there are too many.
func (t *table) trim(now time.Time) {
	var gone []*entry
	for id, e := range t.entries {
		if e.State != fs.NodeDead && e.State != fs.NodeLeft {
			continue
		}
		if now.Sub(e.Since) > forgetAfter {
			delete(t.entries, id)
			continue
		}
		gone = append(gone, e)
	}
	if len(t.entries) <= membersMax {
		return
	}
	slices.SortFunc(gone, func(a, b *entry) int { return a.Since.Compare(b.Since) })
	for _, e := range gone[:min(len(gone), len(t.entries)-membersMax)] {
		delete(t.entries, e.ID)
	}
}
