package cluster

import (
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"dfs/fs"
)

func signalled(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestTable_GoesThroughTheStates(t *testing.T) {
	tab, now := newTable(), time.Unix(1000, 0)
	state := func(want fs.NodeState) {
		t.Helper()
		if got := tab.list(now)[0].State; got != want {
			t.Errorf("state is %v, want %v", got, want)
		}
	}
	changed := tab.watch()
	if before := tab.alive("a", "g", report{addr: "x:1"}, now); before != fs.NodeUnknown || !signalled(changed) {
		t.Errorf("first report: was %v", before)
	}
	state(fs.NodeAlive)
	now = now.Add(suspectAfter + 1)
	state(fs.NodeSuspect)
	changed = tab.watch()
	tab.alive("a", "g", report{addr: "x:1", load: fs.Load{InFlight: 3}}, now)
	state(fs.NodeAlive)
	if signalled(changed) {
		t.Error("a new load alone is a change")
	}
	tab.gone("a", now)
	state(fs.NodeDead)
	if !signalled(changed) {
		t.Error("death is no change")
	}
	now = now.Add(time.Minute)
	state(fs.NodeDead)
	tab.alive("a", "g", report{addr: "x:1", leaving: true}, now)
	tab.gone("a", now)
	state(fs.NodeLeft)
	if _, known := tab.gone("b", now); known {
		t.Error("a stranger is known")
	}
}

func TestTable_SignalsWhatMatters(t *testing.T) {
	now := time.Unix(1000, 0)
	base := report{addr: "x:1", zone: "z", cluster: "", expect: 3}
	for name, change := range map[string]func(*report){
		"address": func(r *report) { r.addr = "y:1" }, "zone": func(r *report) { r.zone = "y" },
		"cluster": func(r *report) { r.cluster = "c" }, "expect": func(r *report) { r.expect = 0 },
	} {
		tab := newTable()
		tab.alive("a", "g", base, now)
		changed, r := tab.watch(), base
		change(&r)
		tab.alive("a", "g", r, now)
		if !signalled(changed) {
			t.Errorf("a new %s is no change", name)
		}
	}
}

func TestTable_ForgetsTheLongDeadAndStaysBounded(t *testing.T) {
	tab, now := newTable(), time.Unix(1000, 0)
	for i := range membersMax {
		id := fs.NodeID(fmt.Sprintf("dead%04d", i))
		tab.alive(id, "g", report{}, now)
		now = now.Add(time.Millisecond)
		tab.gone(id, now)
	}
	tab.alive("new", "g", report{}, now)
	list := tab.list(now)
	if len(list) != membersMax || list[0].ID != "dead0001" || list[len(list)-1].ID != "new" {
		t.Errorf("%d members, first %s, last %s", len(list), list[0].ID, list[len(list)-1].ID)
	}
	tab.alive("newer", "g", report{}, now.Add(forgetAfter+time.Second))
	if list := tab.list(now); len(list) != 2 {
		t.Errorf("%d members a day later", len(list))
	}
}

func TestIdentity_BoundsWhatItRemembers(t *testing.T) {
	log := &logBuffer{}
	i := &identity{self: "me", cluster: "one", log: log.logger(), rejected: make(map[fs.NodeID]Rejection)}
	for n := range 2 * rejectedMax {
		id := fs.NodeID(fmt.Sprintf("n%03d", n))
		if err := i.admit(id, "g", "two"); !errors.Is(err, fs.ErrWrongCluster) {
			t.Fatal(err)
		}
	}
	if n := len(i.list()); n != rejectedMax {
		t.Errorf("remembers %d", n)
	}
	last := fs.NodeID(fmt.Sprintf("n%03d", 2*rejectedMax-1))
	if i.list()[rejectedMax-1].Node != last {
		t.Errorf("the last is %s", i.list()[rejectedMax-1].Node)
	}
	if err := i.admit(last, "g", "one"); err != nil || len(i.list()) != rejectedMax-1 {
		t.Errorf("a node that has come to its senses is still listed (%v)", err)
	}
	if err := i.set("one"); err != nil {
		t.Error(err)
	}
	if err := i.set(""); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("empty id: %v", err)
	}
}

func TestGossipLog_KeepsLevelsAndLimitsWarnings(t *testing.T) {
	for line, want := range map[string]struct {
		level slog.Level
		text  string
	}{
		"[DEBUG] memberlist: Stream connection":                 {slog.LevelDebug, "Stream connection"},
		"[INFO] memberlist: Suspect x has failed, no acks":      {slog.LevelDebug, "Suspect x has failed, no acks"},
		"[WARN] memberlist: Was able to connect to x over TCP":  {slog.LevelWarn, "Was able to connect to x over TCP"},
		"[ERR] memberlist: Push/Pull with x failed":             {slog.LevelWarn, "Push/Pull with x failed"},
		"[WARN] memberlist: ignoring alive message for 'x': no": {slog.LevelDebug, "ignoring alive message for 'x': no"},
		"something without a level":                             {slog.LevelDebug, "something without a level"},
	} {
		if level, text := gossipLevel(line); level != want.level || text != want.text {
			t.Errorf("%q: %v %q", line, level, text)
		}
	}
	log := &logBuffer{}
	l := gossipLogger(log.logger())
	for i := range 1000 {
		l.Printf("[ERR] memberlist: trouble %d", i)
	}
	if !log.contains("trouble 5") || log.contains("trouble 500") {
		t.Error("warnings are not limited")
	}
}
