package main

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"dfs/fs"
)

func sample() *fs.Status {
	return &fs.Status{
		Cluster: "c1", Node: "a", Leader: "b", Term: 3, Quorum: true, Applied: 10, Commit: 12, Inodes: 1234,
		Replicas: 3, MinReplicas: 2, MinReplicasWanted: 2,
		Nodes: []fs.NodeStatus{
			{NodeInfo: fs.NodeInfo{ID: "a", Addr: "h:1", Zone: "r1", State: fs.NodeAlive, Load: fs.Load{DiskTotalBytes: 2 << 30, DiskFreeBytes: 1 << 30, CPU: 0.256}}, Voter: true, Member: true, Applied: 10, Version: "v1"},
			{NodeInfo: fs.NodeInfo{ID: "b", Addr: "h:2", State: fs.NodeAlive, Load: fs.Load{ReadOnly: true}}, Voter: true, Member: true, Applied: 12},
			{NodeInfo: fs.NodeInfo{ID: "c", Addr: "h:3", State: fs.NodeDead}, Member: true},
			{NodeInfo: fs.NodeInfo{ID: "d", Addr: "h:4", State: fs.NodeAlive}},
		},
		Sessions: []fs.SessionStatus{{Session: fs.Session{ID: 7}, Mount: fs.Mount{Host: "m", PID: 42, Path: "/mnt/x"}, Pins: 2, IdleMillis: 1500}},
		Blobs:    fs.BlobsStatus{Count: 4, Bytes: 8 << 20, LiveBytes: 6 << 20, UnderReplicated: 1, Garbage: 2},
	}
}

func render(t *testing.T, s *fs.Status) string {
	t.Helper()
	out := &strings.Builder{}
	if err := writeStatus(out, s); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// line returns the line of a status that starts with a word.
func line(t *testing.T, status, first string) string {
	t.Helper()
	for l := range strings.Lines(status) {
		if f := strings.Fields(l); len(f) > 0 && f[0] == first {
			return l
		}
	}
	t.Fatalf("no line starts with %q:\n%s", first, status)
	return ""
}

func TestStatus_IsOneScreenThatSaysEverything(t *testing.T) {
	got := render(t, sample())
	for first, wants := range map[string][]string{
		"cluster": {"c1", "quorum ok", "leader b (term 3)", "seen by a"},
		"a":       {"h:1", "r1", "voter", "alive", "10", "1.0 GiB", "2.0 GiB", "26%", "v1"},
		"b":       {"leader", "alive, full"},
		"c":       {"learner", "dead", "?"},
		"d":       {"no member"},
		"/mnt/x":  {"m, pid 42", "7", "2", "1.5s ago"},
		"1,234":   {"4 blobs of 8.0 MiB, 6.0 MiB of it in files", "3 replicas, at least 2"},
		"1":       {"lack replicas", "2 are garbage", "10 of 12"},
	} {
		l := line(t, got, first)
		for _, want := range wants {
			if !strings.Contains(l, want) {
				t.Errorf("the line of %s does not say %q: %s", first, want, l)
			}
		}
	}
	for l := range strings.Lines(got) {
		if n := len([]rune(l)); n > 160 {
			t.Errorf("a line of %d characters: %s", n, l)
		}
	}
	if n := strings.Count(got, "\n"); n > 24 {
		t.Errorf("%d lines do not fit on a screen", n)
	}
}

func TestStatusWithoutQuorum_SaysSoFirst(t *testing.T) {
	s := sample()
	s.Quorum, s.Leader = false, ""
	if l := line(t, render(t, s), "cluster"); !strings.Contains(l, "NO QUORUM") || !strings.Contains(l, "leader none") {
		t.Error(l)
	}
}

func TestStatusOfALoneNode_SaysThatRedundancyIsMissing(t *testing.T) {
	s := sample()
	s.MinReplicas = 1
	got := render(t, s)
	if !strings.Contains(got, "! REDUNDANCY BELOW what is wanted: fsync returns with 1 of 2 copies") {
		t.Error(got)
	}
	if !strings.Contains(got, "3 replicas, at least 1 (wanted: 2)") {
		t.Error(got)
	}
	if got := render(t, healthy()); strings.Contains(got, "!") {
		t.Errorf("all is well, but it says\n%s", got)
	}
}

func TestStatusWithTooFewWritableNodes_SaysThatWritesFail(t *testing.T) {
	s := sample() // a is well, b is full, c is dead, d is no member
	if got := render(t, s); !strings.Contains(got, "! WRITES OF FILE DATA FAIL: 1 nodes are alive and have space, 2 copies are needed") {
		t.Error(got)
	}
	s.Nodes[1].Load.ReadOnly = false
	if got := render(t, s); strings.Contains(got, "WRITES") {
		t.Error(got)
	}
}

func TestStatusOfABigClusterInTrouble_StaysOneScreen(t *testing.T) {
	s := healthy()
	for i := range 30 {
		s.Sessions = append(s.Sessions, fs.SessionStatus{Session: fs.Session{ID: fs.SessionID(100 + i)}, Mount: fs.Mount{Path: "/m", Version: "v1"}, IdleMillis: 60_000})
	}
	got := render(t, s)
	if n := strings.Count(got, "\n"); n > 30 {
		t.Errorf("%d lines:\n%s", n, got)
	}
	if !strings.Contains(got, "and 24 more") || !strings.Contains(got, "and 23 more, see \"dfs mount ls\"") {
		t.Error(got)
	}
}

func TestStatusWithoutCluster_SaysSo(t *testing.T) {
	if got := render(t, &fs.Status{Node: "a"}); !strings.Contains(got, "node a belongs to no cluster yet") {
		t.Error(got)
	}
}

func TestTransactions_AreShown(t *testing.T) {
	tx := fs.TxStatus{ID: fs.TxID{Session: 3, Seq: 17}, State: fs.TxDecided, Index: 99, Ops: []string{"create 1/foo → 17"},
		Blobs: []fs.BlobInfo{{ID: fs.BlobID{Session: 3, Counter: 5}, Length: 4096, Sum: 0xabcd, Replicas: []fs.NodeID{"a", "b"}}}, Staged: []fs.NodeID{"b"}}
	refused := fs.TxStatus{ID: fs.TxID{Session: 3, Seq: 18}, State: fs.TxDecided, Err: fs.CodeExist}
	out := &strings.Builder{}
	if err := writeTxList(out, []fs.TxStatus{tx, refused}); err != nil {
		t.Fatal(err)
	}
	if l := line(t, out.String(), "3.17"); !strings.Contains(l, "committed") || !strings.Contains(l, "create 1/foo → 17") || !strings.Contains(l, "99") {
		t.Error(l)
	}
	if l := line(t, out.String(), "3.18"); !strings.Contains(l, "refused (file exists)") {
		t.Error(l)
	}
	out.Reset()
	if err := writeTx(out, &tx); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"transaction 3.17: committed", "create 1/foo → 17", "3-5, 4.0 KiB, checksum 0000abcd, on a,b", "still staged on b"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing:\n%s", want, out)
		}
	}
}

func TestNodes_AreListed(t *testing.T) {
	s := sample()
	s.Nodes[0].Storing = true
	out := &strings.Builder{}
	if err := writeNodeList(out, s); err != nil {
		t.Fatal(err)
	}
	for first, wants := range map[string][]string{
		"a": {"h:1", "r1", "voter", "alive", "yes", "1.0 GiB"}, "b": {"leader", "alive, full", "not yet"}, "c": {"learner", "dead"},
	} {
		for _, want := range wants {
			if l := line(t, out.String(), first); !strings.Contains(l, want) {
				t.Errorf("the line of %s does not say %q: %s", first, want, l)
			}
		}
	}
}

// membership answers with a plan and remembers what was removed.
type membership struct {
	fs.Membership
	plan    fs.Removal
	removed bool
}

func (m *membership) Removal(context.Context, fs.NodeID) (*fs.Removal, error) { return &m.plan, nil }

func (m *membership) RemoveNode(context.Context, fs.NodeID, bool) error {
	m.removed = true
	return nil
}

func TestNodeRemoval_SaysWhatItDoesAndRefusesWhatWouldHarm(t *testing.T) {
	good := fs.Removal{Node: "x", Voter: true, VotersLeft: 2, VotersAlive: 2, Blobs: 5, MinReplicas: 2, MinReplicasNow: 2}
	for name, c := range map[string]struct {
		change         func(*fs.Removal)
		force, removes bool
		says           string // on the screen or in the error
	}{
		"a dead one":              {func(*fs.Removal) {}, false, true, "5 blobs have a replica on it"},
		"one that is out":         {func(r *fs.Removal) { r.Removed = true }, false, false, "removed already"},
		"one that is alive":       {func(r *fs.Removal) { r.Alive = true }, false, false, "it is alive"},
		"… by force":              {func(r *fs.Removal) { r.Alive = true }, true, true, "is removed"},
		"with a last replica":     {func(r *fs.Removal) { r.Last = 3 }, false, false, "3 blobs have no replica"},
		"… by force too":          {func(r *fs.Removal) { r.Last = 3 }, true, true, "3 blobs have no replica"},
		"without a quorum":        {func(r *fs.Removal) { r.VotersAlive = 1 }, false, false, "no quorum"},
		"… not by force":          {func(r *fs.Removal) { r.VotersAlive = 1 }, true, false, "no quorum"},
		"the only voter":          {func(r *fs.Removal) { r.VotersLeft, r.VotersAlive = 0, 0 }, true, false, "no quorum"},
		"so that redundancy ends": {func(r *fs.Removal) { r.MinReplicas = 1 }, false, true, "1 copies instead of 2"},
	} {
		m := &membership{plan: good}
		c.change(&m.plan)
		out := &strings.Builder{}
		err := removeNode(t.Context(), m, "x", c.force, out)
		if said := fmt.Sprint(out, err); m.removed != c.removes || !strings.Contains(said, c.says) {
			t.Errorf("%s: removed %v, said %s", name, m.removed, said)
		}
		if refused := !c.removes && !m.plan.Removed; refused != (err != nil) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMountCall_IsToldFromASubcommand(t *testing.T) {
	root := command(nil)
	for args, want := range map[string]bool{
		"a,b /mnt/x": true, "a,b /mnt/x -o ro": true, "status": false, "status /x": false, "tx ls": false,
		"--addr /x": false, "help /x": false, "completion /x": false, "__complete /x": false, "a,b relative": false, "lb /x": false,
	} {
		if got := isMountCall(root, strings.Fields(args)); got != want {
			t.Errorf("%q: %v", args, got)
		}
	}
}
