package sim

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"dfs/fs"
	"dfs/test/harness"
)

// leastIs waits until a node says how many votes a blob needs.
func leastIs(t *testing.T, x *harness.LocalNode, want int) {
	t.Helper()
	harness.Eventually(t, 30*time.Second, func() error {
		s, err := x.Status()
		if err == nil && s.MinReplicas != want {
			err = fmt.Errorf("at least %d replicas of %d wanted, want %d now", s.MinReplicas, s.MinReplicasWanted, want)
		}
		return err
	})
}

// votesSince are the fewest replicas that a blob was committed with behind a Raft index.
func votesSince(t *testing.T, x *harness.LocalNode, index uint64) (fewest int) {
	t.Helper()
	list, err := x.Transactions()
	if err != nil {
		t.Fatal(err)
	}
	for _, tx := range list {
		for _, b := range tx.Blobs {
			if tx.State == fs.TxDecided && tx.Index > index && (fewest == 0 || len(b.Replicas) < fewest) {
				fewest = len(b.Replicas)
			}
		}
	}
	return fewest
}

func TestLoneNodeGrows_TwoVotesAreNeededAndTheClientGoesOn(t *testing.T) {
	t.Parallel()
	l := harness.StartLocal(t, 1)
	one := l.Nodes[0]
	c := l.Client("c")
	early := content(1, fileSize)
	mustPut(t, c, "early", early)
	leastIs(t, one, 1)

	// The client writes on while the nodes come.
	ctx, stop := context.WithCancel(t.Context())
	written := make(chan error, 1)
	go func() {
		var err error
		for i := uint64(0); err == nil && ctx.Err() == nil; i++ {
			err = put(t.Context(), c.FS, "busy", content(i, fileSize))
		}
		written <- err
	}()
	more := l.Grow(2)
	leastIs(t, one, 2)
	s, err := one.Status()
	if err != nil {
		t.Fatal(err)
	}
	stop()
	if err := <-written; err != nil {
		t.Errorf("a write failed while the cluster grew: %v", err)
	}
	last := content(2, fileSize)
	mustPut(t, c, "late", last)
	if n := votesSince(t, one, s.Applied); n < 2 {
		t.Errorf("a blob was committed with %d replicas after two were needed", n)
	}

	l.WaitSettled(time.Minute) // what lay on one disk has been copied

	// With one disk left it is not acknowledged.
	for _, x := range more {
		x.Faults.On("stage.before", func() error { return errors.New("no") })
	}
	short, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	final := content(3, fileSize)
	if err := put(short, c.FS, "late", final); err == nil {
		t.Error("a write that lies on one disk is acknowledged")
	}
	for _, x := range more {
		x.Faults.Clear()
	}
	mustPut(t, c, "late", final)
	mustHold(t, c, "early", early)
}

func TestFounders_CountFromTheFirstWriteOn(t *testing.T) {
	t.Parallel()
	l := harness.StartLocal(t, 3)
	c := l.Client("c")
	mustPut(t, c, "first", content(1, fileSize))
	leader := l.Leader()
	if n := votesSince(t, leader, 0); n < 2 {
		t.Errorf("the first blob was committed with %d replicas", n)
	}
}
