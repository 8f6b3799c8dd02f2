package raftmeta

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"dfs/fs"
	"dfs/raftmeta/command"
)

// Who proposes because of what Leader said must not have it decided in a reign that Leader has not told of yet.
func TestProposeIn_WaitsForNoFreshReign(t *testing.T) {
	c := newCluster(t, 1, nil)
	c.stop("n1")
	release := make(chan struct{})
	freed := sync.OnceFunc(func() { close(release) })
	defer freed()
	c.onStep("n1", "reign.prepare", func() error { <-release; return nil })
	n := c.start("n1")
	c.eventually("raft leads", func() bool { return n.raft.Load().State() == raft.Leader })
	if _, leads := n.Leader(); leads {
		t.Fatal("the reign serves before it is prepared")
	}
	term := n.raft.Load().CurrentTerm()
	defer time.AfterFunc(200*time.Millisecond, freed).Stop() // while a call that waits would be waiting
	if _, err := n.ProposeIn(c.ctx(), term, &command.OpenSession{}); !errors.Is(err, fs.ErrNotLeader) {
		t.Errorf("proposed without a reign: %v", err)
	}
	if _, err := n.OpenSession(c.ctx(), fs.Mount{}); err != nil { // a call from outside waits
		t.Error(err)
	}
	if a, err := n.ProposeIn(c.ctx(), term, &command.OpenSession{}); err != nil || a.Err != fs.CodeOK {
		t.Errorf("in its term: %+v %v", a, err)
	}
	if _, err := n.ProposeIn(c.ctx(), term-1, &command.OpenSession{}); !errors.Is(err, fs.ErrNotLeader) {
		t.Errorf("in the term before: %v", err)
	}
}

// A snapshot taken in the middle of a replay would say that it ends where the replay is, and hold what comes after too.
func TestFSM_TakesNoSnapshotDuringAReplay(t *testing.T) {
	s, _ := openTestDB(t, t.TempDir(), "b")
	defer func() { _ = s.close() }()
	f, _ := newTestFSM(t, s)
	init := testInit()
	logs := []*raft.Log{entryOf(1, &init), entryOf(2, &command.OpenSession{}), entryOf(3, &command.OpenSession{})}
	f.ApplyBatch(logs)
	again, _ := newTestFSM(t, s) // restarted: the state has all of it, and Raft begins anew
	for n := range logs {
		if snap, err := again.Snapshot(); !errors.Is(err, fs.ErrBusy) {
			t.Errorf("after %d of %d entries: %v", n, len(logs), err)
			snap.Release()
		}
		again.ApplyBatch(logs[n : n+1])
	}
	snap, err := again.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	snap.Release()
}
