// Package sim runs whole clusters, without FUSE, inside the test's process: the two-phase commit is interrupted at each
// of its arrows, nodes crash and networks are cut, while clients work. It is the quick and race-detected sibling of
// test/e2e.
package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"syscall"
	"testing"
	"time"

	"dfs/fs"
	"dfs/fs/vfs"
	"dfs/test/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

// content is n random bytes that a seed determines.
func content(seed uint64, n int) []byte {
	p := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), 1})
	_, _ = r.Read(p) // never fails
	return p
}

// put writes a whole file and fsyncs it; the file must have the same size each time, so that one flush replaces all.
func put(ctx context.Context, f *vfs.FS, name string, p []byte) error {
	h, err := open(ctx, f, name)
	if err != nil {
		return err
	}
	defer h.Release()
	if _, err := h.Write(ctx, p, 0); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return h.Fsync(ctx, false)
}

// open opens a file for reading and writing, and makes it if need be.
func open(ctx context.Context, f *vfs.FS, name string) (*vfs.Handle, error) {
	a, err := f.Lookup(ctx, fs.RootIno, name)
	if errors.Is(err, fs.ErrNotExist) {
		_, h, err := f.Create(ctx, vfs.Caller{}, fs.RootIno, name, 0o644, syscall.O_RDWR)
		return h, err
	}
	if err != nil {
		return nil, err
	}
	_, h, _, err := f.Open(ctx, a.Ino, syscall.O_RDWR)
	return h, err
}

// get reads a whole file.
func get(ctx context.Context, f *vfs.FS, name string) ([]byte, error) {
	a, err := f.Lookup(ctx, fs.RootIno, name)
	if err != nil {
		return nil, err
	}
	_, h, _, err := f.Open(ctx, a.Ino, syscall.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer h.Release()
	p := make([]byte, a.Size)
	n, err := h.Read(ctx, p, 0)
	return p[:n], err
}

func mustPut(t *testing.T, c *harness.LocalClient, name string, p []byte) {
	t.Helper()
	if err := put(t.Context(), c.FS, name, p); err != nil {
		t.Fatalf("%s: put %s: %v", c.Name, name, err)
	}
}

func mustHold(t *testing.T, c *harness.LocalClient, name string, want []byte) {
	t.Helper()
	got, err := get(t.Context(), c.FS, name)
	if err != nil {
		t.Fatalf("%s: get %s: %v", c.Name, name, err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s: %s holds other bytes than were acknowledged", c.Name, name)
	}
}

const fileSize = 3<<20 + 12345

func TestCoordinatorLostAtEachArrow_AllOrNothing(t *testing.T) {
	t.Parallel()
	l := harness.StartLocal(t, 3)
	witness := l.Client("witness")
	before, after := content(1, fileSize), content(2, fileSize)
	for _, arrow := range []struct {
		step    string
		decided bool
	}{
		{"flush.prepare.before", false},
		{"replica.stage.before", false},
		{"replica.stage.vote", false},
		{"replica.stage.after", false},
		{"flush.prepare.after", false},
		{"flush.decide.before", false},
		{"flush.decide.after", true},
	} {
		t.Run(arrow.step, func(t *testing.T) {
			file := arrow.step
			mustPut(t, witness, file, before)
			c := l.Client("lost at " + arrow.step)
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			stuck := make(chan struct{})
			defer close(stuck)
			c.Faults.On(arrow.step, func() error { // the machine dies here: the step never returns
				c.Abandon()
				cancel()
				<-stuck
				return errors.New("dead")
			})
			if err := put(ctx, c.FS, file, after); err == nil {
				t.Fatal("fsync succeeded on a machine that died on its way")
			}
			if c.Faults.Reached(arrow.step) == 0 {
				t.Fatal("the step was never reached")
			}
			want := before
			if arrow.decided {
				want = after
			}
			mustHold(t, witness, file, want)
			l.WaitSettled(30 * time.Second)
			mustHold(t, witness, file, want)
		})
	}
}

func TestParticipantFailingAtEachArrow_NothingAcknowledgedIsLost(t *testing.T) {
	t.Parallel()
	l := harness.StartLocal(t, 3)
	c := l.Client("client")
	last := content(0, fileSize)
	mustPut(t, c, "f", last)
	for i, step := range []string{"stage.before", "batch.before", "batch.synced",
		"keeper.settle.commit.before", "keeper.settle.commit.after", "keeper.collect.delete.before", "keeper.collect.forget.before"} {
		t.Run(step, func(t *testing.T) {
			leader := l.Leader()
			victim := leader
			if i%2 == 0 { // leaders collect, all nodes do the rest
				victim = l.Nodes[(i/2)%3]
			}
			if step == "keeper.collect.delete.before" || step == "keeper.collect.forget.before" {
				victim = leader
			}
			crash := make(chan struct{}, 1)
			release := make(chan struct{})
			victim.Faults.On(step, func() error {
				select {
				case crash <- struct{}{}:
				default:
				}
				<-release
				return errors.New("dead")
			})
			crashed := make(chan struct{})
			go func() {
				defer close(crashed)
				select {
				case <-crash:
				case <-time.After(30 * time.Second):
				}
				close(release) // the step fails; whatever the node does about it reaches nobody
			}()
			for round := 0; victim.Faults.Reached(step) == 0 && round < 50; round++ {
				last = content(uint64(100*i+round+1), fileSize)
				mustPut(t, c, "f", last)
			}
			<-crashed
			if victim.Faults.Reached(step) == 0 {
				t.Fatal("the step was never reached")
			}
			victim.Crash()
			mustPut(t, c, "g", last) // two of three go on
			mustHold(t, c, "f", last)
			victim.Restart()
			l.WaitFormed()
			l.WaitSettled(60 * time.Second)
			mustHold(t, c, "f", last)
		})
	}
	mustHold(t, l.Client("another"), "f", last)
}

func TestIsolatedLeader_AcknowledgedWritesSurvive(t *testing.T) {
	t.Parallel()
	l := harness.StartLocal(t, 3)
	c := l.Client("client")
	mustPut(t, c, "before", content(1, fileSize))
	lost := l.Leader()
	l.IsolateFromNodes(lost.Name)
	harness.Eventually(t, 20*time.Second, func() error {
		s, err := lost.Status()
		if err != nil {
			return err
		}
		if s.Quorum {
			return errors.New("the isolated leader still believes in its quorum")
		}
		return nil
	})
	l.Leader(lost)
	// The client still reaches the old leader, as well as the new one.
	mustPut(t, c, "during", content(2, fileSize))
	mustHold(t, c, "before", content(1, fileSize))
	l.Heal(lost.Name)
	l.WaitFormed()
	l.WaitSettled(60 * time.Second)
	for _, name := range []string{"client2", "client3"} {
		other := l.Client(name)
		mustHold(t, other, "before", content(1, fileSize))
		mustHold(t, other, "during", content(2, fileSize))
	}
}

func TestNodesCrashingInTurn_WritersGoOn(t *testing.T) {
	t.Parallel()
	l := harness.StartLocal(t, 3)
	c := l.Client("client")
	over := make(chan struct{})
	acknowledged := make(chan int)
	go func() {
		n := 0
		defer func() { acknowledged <- n }()
		for {
			select {
			case <-over:
				return
			default:
			}
			if err := put(t.Context(), c.FS, fmt.Sprintf("f%d", n), content(uint64(n), 100_000)); err != nil {
				t.Errorf("file %d: %v", n, err)
				return
			}
			n++
		}
	}()
	for _, x := range l.Nodes {
		x.Crash()
		l.Leader(x)
		x.Restart()
		l.WaitFormed()
	}
	close(over)
	n := <-acknowledged
	l.WaitSettled(60 * time.Second)
	other := l.Client("another")
	for i := range n {
		mustHold(t, other, fmt.Sprintf("f%d", i), content(uint64(i), 100_000))
	}
	t.Logf("%d files", n)
}

// A decision may come long after the votes, while nodes look again and again for staged blobs whose time is over.
func TestSlowDecision_StagedBlobsAreKept(t *testing.T) {
	t.Parallel()
	l := harness.StartLocal(t, 3)
	c := l.Client("slow")
	c.Faults.On("flush.decide.before", func() error {
		time.Sleep(2 * time.Second) // several sweeps; the session outlives it by its beats
		return nil
	})
	for i := range 2 {
		mustPut(t, c, "f", content(uint64(i), fileSize))
		mustHold(t, l.Client(fmt.Sprintf("reader%d", i)), "f", content(uint64(i), fileSize))
	}
	l.WaitSettled(30 * time.Second)
}
