package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"dfs/test/harness"
)

// killsEnv is how often the leader is killed; for measurements, since it takes some ten seconds each time.
const killsEnv = "DFS_E2E_LEADER_KILLS"

func leaderKills(t *testing.T) int {
	t.Helper()
	env := os.Getenv(killsEnv)
	if env == "" {
		return 3
	}
	n, err := strconv.Atoi(env)
	if err != nil {
		t.Fatalf("%s: %v", killsEnv, err)
	}
	return n
}

func TestLeaderKilledAgainAndAgain_NothingStaleAndNothingSyncedLost(t *testing.T) {
	t.Parallel()
	c := harness.StartCluster(t, 3)
	a, b := c.Mount(), c.Mount()
	work := newAgent(t)
	work.do(request{Do: "load", Path: a.Dir, To: b.Dir})
	var all [2][]time.Duration
	for range leaderKills(t) {
		told(t, work) // what was before the kill does not count
		leader := c.Leader()
		leader.Kill()
		killed := told(t, work)
		c.Leader()
		round := stalls(t, work, killed)
		for m := range all {
			all[m] = append(all[m], longest(round, m))
		}
		t.Logf("%s killed: longest stalls %s and %s", leader.Name, longest(round, 0), longest(round, 1))
		leader.Restart()
		c.WaitFormed(3)
	}
	for _, s := range decode(t, work.do(request{Do: "unload"})) {
		t.Logf("mount %d: %s: %d operations", s.Mount, s.Name, s.Count)
	}
	summarize(t, all)
}

// summarize prints the quantiles of each mount's longest stalls.
func summarize(t *testing.T, all [2][]time.Duration) {
	t.Helper()
	for m, list := range all {
		slices.Sort(list)
		t.Logf("mount %d: longest stall of each fault: p50 %s, p99 %s", m, list[len(list)/2], list[len(list)*99/100])
	}
}

// A leader that is cut off tells nobody that it is gone. The next one gives nothing away before every mount has turned to it, an idle one
// too.
func TestLeaderCutOff_IsLeftSoon(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes as long as an election")
	}
	c, fabric := harness.StartNetnsCluster(t, 3)
	a, b := c.MountAt("mount0"), c.MountAt("mount1")
	c.MountAt("idle")
	work := newAgent(t)
	work.do(request{Do: "load", Path: a.Dir, To: b.Dir})
	var all [2][]time.Duration
	for range leaderKills(t) {
		told(t, work)
		leader := c.Leader()
		fabric.Cut(leader)
		cut := told(t, work)
		round := stalls(t, work, cut)
		for m := range 2 {
			stall := longest(round, m)
			all[m] = append(all[m], stall)
			t.Logf("%s cut off: longest stall of mount %d %s", leader.Name, m, stall)
			if stall > 5*time.Second { // half of a session's time
				t.Errorf("mount %d has waited for %s", m, stall)
			}
		}
		fabric.Heal(leader)
		c.WaitFormed(3)
	}
	work.do(request{Do: "unload"})
	summarize(t, all)
}

// stalls waits until all workers get on again after a fault, and returns the longest gap of each since then.
func stalls(t *testing.T, work *agent, since []seen) []seen {
	t.Helper()
	round := slices.Clone(since)
	harness.Eventually(t, patience, func() error {
		now := told(t, work)
		for i := range round {
			round[i].Gap = max(round[i].Gap, now[i].Gap)
		}
		return progress(since, now)
	})
	return round
}

// told is what the workers have done since it was last asked. It fails the test if one has seen what must not be.
func told(t *testing.T, work *agent) []seen {
	t.Helper()
	return decode(t, work.do(request{Do: "tell"}))
}

func decode(t *testing.T, text string) (list []seen) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		if s.Err != "" {
			t.Fatalf("mount %d: %s: %s", s.Mount, s.Name, s.Err)
		}
	}
	return list
}

// progress is nil when each worker has done some operations since before.
func progress(before, now []seen) error {
	for i, s := range now {
		if s.Count < before[i].Count+3 {
			return fmt.Errorf("mount %d: %s has done %d operations since the kill", s.Mount, s.Name, s.Count-before[i].Count)
		}
	}
	return nil
}

// longest is the longest gap of a mount's workers.
func longest(list []seen, mount int) (d time.Duration) {
	for _, s := range list {
		if s.Mount == mount {
			d = max(d, s.Gap)
		}
	}
	return d.Round(time.Millisecond)
}
