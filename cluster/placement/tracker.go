package placement

import (
	"math"
	"sync"
	"time"

	"dfs/fs"
)

// Smoothing.
const (
	loadHalf    = 3 * time.Second  // a load that has changed counts half after so long
	latencyGain = 0.2              // weight of one request in the smoothed latency
	latencyOld  = 10 * time.Second // an unused node's latency is halved every so often, until it is tried again
	failureCost = time.Second      // at least what a failed request counts as
	rampTime    = time.Minute      // a new node's way to its full share of writes
	trackedMax  = 4096             // nodes
)

// Tracker keeps what one client has seen of the nodes. Times are given to it, for tests' sake; they must not run
// backwards. Its methods may be called from any goroutine.
type Tracker struct {
	mu    sync.Mutex
	nodes map[fs.NodeID]*tracked
	begun bool // the first update has been: those that come later are new
}

type tracked struct {
	since    time.Time // known since; zero for those of the first update
	load     fs.Load   // smoothed
	loadAt   time.Time
	inFlight int
	latency  float64 // nanoseconds, smoothed; 0 unknown
	usedAt   time.Time
}

// Update takes news of the nodes, all of them, and forgets those that are not listed and not in use.
func (t *Tracker) Update(nodes []fs.NodeInfo, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	listed := make(map[fs.NodeID]bool, len(nodes))
	for _, n := range nodes {
		listed[n.ID] = true
		k := t.node(n.ID)
		if k == nil {
			continue
		}
		if k.loadAt.IsZero() {
			k.load, k.loadAt = n.Load, now
			if t.begun {
				k.since = now
			}
			continue
		}
		k.smooth(n.Load, now)
	}
	for id, k := range t.nodes {
		if !listed[id] && k.inFlight == 0 {
			delete(t.nodes, id)
		}
	}
	t.begun = t.begun || len(nodes) > 0
}

// smooth moves the load towards a new report: the longer ago the last one was, the farther. What is a fact and not a
// measurement is taken as it is.
func (k *tracked) smooth(l fs.Load, now time.Time) {
	gain := 1 - math.Exp2(-float64(now.Sub(k.loadAt))/float64(loadHalf))
	towards := func(old, new float64) float64 { return old + clamp(gain)*(new-old) }
	old := k.load
	k.load, k.loadAt = l, now
	k.load.CPU = towards(old.CPU, l.CPU)
	k.load.Memory = towards(old.Memory, l.Memory)
	k.load.InFlight = uint32(math.Round(towards(float64(old.InFlight), float64(l.InFlight))))
}

// Begin counts a request to a node; the returned function, to be called once, ends it and tells how it went.
func (t *Tracker) Begin(id fs.NodeID, now time.Time) (end func(err error, now time.Time)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	k := t.node(id)
	if k == nil {
		return func(error, time.Time) {}
	}
	k.inFlight++
	return func(err error, end time.Time) {
		t.mu.Lock()
		defer t.mu.Unlock()
		k.inFlight--
		took := end.Sub(now)
		if err != nil {
			took = max(took, failureCost)
		}
		k.observe(took, end)
	}
}

// Count counts a request to a node whose duration says nothing here: it is of another kind than those that Begin tells of.
// The returned function, to be called once, ends it.
func (t *Tracker) Count(id fs.NodeID) (end func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	k := t.node(id)
	if k == nil {
		return func() {}
	}
	k.inFlight++
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		k.inFlight--
	}
}

func (k *tracked) observe(took time.Duration, now time.Time) {
	sample := float64(max(took, 1))
	if k.latency == 0 {
		k.latency = sample
	} else {
		k.latency += latencyGain * (sample - k.latency)
	}
	k.usedAt = now
}

// Candidates joins news of nodes with what has been tracked.
func (t *Tracker) Candidates(nodes []fs.NodeInfo, now time.Time) []Candidate {
	t.mu.Lock()
	defer t.mu.Unlock()
	cs := make([]Candidate, len(nodes))
	for i, n := range nodes {
		cs[i].NodeInfo = n
		k := t.nodes[n.ID]
		if k == nil {
			continue
		}
		if !k.loadAt.IsZero() {
			cs[i].Load.CPU, cs[i].Load.Memory, cs[i].Load.InFlight = k.load.CPU, k.load.Memory, k.load.InFlight
		}
		cs[i].InFlight = k.inFlight
		idle := max(now.Sub(k.usedAt), 0)
		cs[i].Latency = time.Duration(k.latency * math.Exp2(-math.Floor(float64(idle)/float64(latencyOld))))
		if age := now.Sub(k.since); !k.since.IsZero() && age < rampTime {
			cs[i].Fresh, cs[i].Ramp = true, float64(age)/float64(rampTime)
		}
	}
	return cs
}

// node finds or makes an entry; nil when there are too many. The caller holds mu.
func (t *Tracker) node(id fs.NodeID) *tracked {
	if k := t.nodes[id]; k != nil {
		return k
	}
	if len(t.nodes) >= trackedMax {
		return nil
	}
	if t.nodes == nil {
		t.nodes = make(map[fs.NodeID]*tracked)
	}
	k := &tracked{}
	t.nodes[id] = k
	return k
}
