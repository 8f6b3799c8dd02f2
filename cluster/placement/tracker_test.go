package placement

import (
	"errors"
	"math"
	"testing"
	"time"

	"dfs/fs"
)

func info(id string, load fs.Load) fs.NodeInfo {
	return fs.NodeInfo{ID: fs.NodeID(id), State: fs.NodeAlive, Load: load}
}

func TestTracker_CountsWhatIsInFlightAndSmoothsLatency(t *testing.T) {
	var tr Tracker
	now := time.Unix(1000, 0)
	nodes := []fs.NodeInfo{info("a", fs.Load{})}
	tr.Update(nodes, now)
	see := func() Candidate { return tr.Candidates(nodes, now)[0] }
	end1, end2 := tr.Begin("a", now), tr.Begin("a", now)
	if c := see(); c.InFlight != 2 || c.Latency != 0 {
		t.Errorf("begun: %+v", c)
	}
	now = now.Add(10 * time.Millisecond)
	end1(nil, now)
	if c := see(); c.InFlight != 1 || c.Latency != 10*time.Millisecond {
		t.Errorf("one ended: %+v", c)
	}
	now = now.Add(10 * time.Millisecond)
	end2(nil, now)
	if c := see(); c.InFlight != 0 || c.Latency != 12*time.Millisecond { // 10 + 0.2·(20-10)
		t.Errorf("both ended: %+v", c)
	}
	tr.Begin("a", now)(errors.New("refused"), now)
	if c := see(); c.Latency < 200*time.Millisecond {
		t.Errorf("a quick failure made it faster: %+v", c)
	}
}

func TestTracker_CountsButDoesNotTimeRequestsOfAnotherKind(t *testing.T) {
	var tr Tracker
	now := time.Unix(1000, 0)
	nodes := []fs.NodeInfo{info("a", fs.Load{})}
	end := tr.Count("a")
	if c := tr.Candidates(nodes, now)[0]; c.InFlight != 1 {
		t.Errorf("begun: %+v", c)
	}
	end()
	if c := tr.Candidates(nodes, now)[0]; c.InFlight != 0 || c.Latency != 0 {
		t.Errorf("ended: %+v", c)
	}
}

func TestTracker_ForgivesASlowNodeThatIsNotUsed(t *testing.T) {
	var tr Tracker
	now := time.Unix(1000, 0)
	nodes := []fs.NodeInfo{info("a", fs.Load{})}
	tr.Begin("a", now)(nil, now.Add(8*time.Second))
	now = now.Add(8 * time.Second)
	if l := tr.Candidates(nodes, now)[0].Latency; l != 8*time.Second {
		t.Errorf("latency %v", l)
	}
	if l := tr.Candidates(nodes, now.Add(3*latencyOld))[0].Latency; l != time.Second {
		t.Errorf("latency later %v", l)
	}
}

func TestTracker_SmoothsLoadsAndTakesFactsAsTheyAre(t *testing.T) {
	var tr Tracker
	now := time.Unix(1000, 0)
	idle, full := fs.Load{DiskFreeBytes: 100, InFlight: 0}, fs.Load{CPU: 1, Memory: 0.5, InFlight: 10, DiskFreeBytes: 7, ReadOnly: true}
	tr.Update([]fs.NodeInfo{info("a", idle)}, now)
	now = now.Add(loadHalf)
	nodes := []fs.NodeInfo{info("a", full)}
	tr.Update(nodes, now)
	l := tr.Candidates(nodes, now)[0].Load
	if math.Abs(l.CPU-0.5) > 1e-9 || math.Abs(l.Memory-0.25) > 1e-9 || l.InFlight != 5 || l.DiskFreeBytes != 7 || !l.ReadOnly {
		t.Errorf("half way: %+v", l)
	}
	tr.Update(nodes, now)
	if again := tr.Candidates(nodes, now)[0].Load; again != l {
		t.Errorf("the same news at the same time moved it to %+v", again)
	}
}

func TestTracker_RampsNodesThatComeLaterButNotTheFirst(t *testing.T) {
	var tr Tracker
	now := time.Unix(1000, 0)
	tr.Update(nil, now) // no news yet: the first nodes are still to come
	both := []fs.NodeInfo{info("a", fs.Load{}), info("b", fs.Load{})}
	tr.Update(both[:1], now)
	now = now.Add(time.Second)
	tr.Update(both, now)
	cs := tr.Candidates(both, now.Add(rampTime/4))
	if cs[0].Fresh || !cs[1].Fresh || cs[1].Ramp != 0.25 {
		t.Errorf("got %+v", cs)
	}
	if cs := tr.Candidates(both, now.Add(rampTime)); cs[1].Fresh {
		t.Errorf("after the ramp: %+v", cs[1])
	}
}

func TestTracker_ForgetsNodesThatAreGoneAndIdle(t *testing.T) {
	var tr Tracker
	now := time.Unix(1000, 0)
	tr.Update([]fs.NodeInfo{info("a", fs.Load{}), info("b", fs.Load{})}, now)
	end := tr.Begin("b", now)
	tr.Update([]fs.NodeInfo{info("c", fs.Load{})}, now)
	if len(tr.nodes) != 2 || tr.nodes["a"] != nil {
		t.Errorf("tracks %v", tr.nodes)
	}
	end(nil, now)
	tr.Update([]fs.NodeInfo{info("c", fs.Load{})}, now)
	if len(tr.nodes) != 1 {
		t.Errorf("tracks %v", tr.nodes)
	}
}

func TestTracker_IsBounded(t *testing.T) {
	var tr Tracker
	now := time.Unix(1000, 0)
	for i := range trackedMax + 10 {
		tr.Begin(fs.NodeID(rune(i)+0x4e00), now)(nil, now)
	}
	if len(tr.nodes) > trackedMax {
		t.Errorf("tracks %d", len(tr.nodes))
	}
}

func TestPicker_AvoidsTheNodeThatIsBusyWithOurRequests(t *testing.T) {
	nodes := []fs.NodeInfo{info("a", fs.Load{}), info("b", fs.Load{})}
	p := NewPicker(P2C{}, 1)
	p.Update(nodes)
	end := p.Begin("a")
	first := map[fs.NodeID]int{}
	for range 1000 {
		first[p.Read(nodes)[0].ID]++
		w, err := p.Write(nodes, nil, 1)
		if err != nil {
			t.Fatal(err)
		}
		first[w[0].ID]++
	}
	if first["b"] < 1800 || first["a"] == 0 {
		t.Errorf("picked %v", first)
	}
	end(nil)
	if p.Policy().Name() != "p2c" {
		t.Errorf("policy %v", p.Policy())
	}
}

func TestPicker_IsSafeForConcurrentUse(t *testing.T) {
	nodes := []fs.NodeInfo{info("a", fs.Load{}), info("b", fs.Load{})}
	p := NewPicker(Weighted{}, 1)
	done := make(chan bool)
	for range 4 {
		go func() {
			for range 200 {
				p.Update(nodes)
				end := p.Begin(p.Read(nodes)[0].ID)
				if _, err := p.Write(nodes, nil, 2); err != nil {
					t.Error(err)
				}
				end(nil)
			}
			done <- true
		}()
	}
	for range 4 {
		<-done
	}
	for _, c := range p.tracker.Candidates(nodes, time.Now()) {
		if c.InFlight != 0 {
			t.Errorf("in flight: %+v", c)
		}
	}
}
