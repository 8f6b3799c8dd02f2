package e2e

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"dfs/test/harness"
)

func TestCopyDuringKills_EndsEqual(t *testing.T) {
	t.Parallel()
	c := harness.StartCluster(t, 3)
	m := c.Mount()
	local := t.TempDir()
	makeTree(t, filepath.Join(local, "tree"), 150)

	// Copies follow one another until every node has been killed and is back, so that each kill meets a copy.
	over := make(chan struct{})
	copied := make(chan error, 1)
	rounds := 0
	go func() {
		for {
			dst := m.Path(fmt.Sprintf("copy%d", rounds))
			script := fmt.Sprintf("cp -a %s/tree %s && diff -r --no-dereference -x fifo %[1]s/tree %[2]s", local, dst)
			r := harness.Command{Argv: []string{"sh", "-eu", "-c", script}, Timeout: 4 * time.Minute}.Exec()
			rounds++
			select {
			case <-over:
				copied <- r.Failure()
				return
			default:
			}
			if err := r.Failure(); err != nil {
				copied <- err
				return
			}
		}
	}()
	stalls := watchStalls(m.Dir)

	killed := map[string]bool{}
	for len(killed) < len(c.Nodes) {
		victim := c.Leader() // the leader first: it moves with each kill
		if killed[victim.Name] {
			for _, n := range c.Nodes {
				if !killed[n.Name] {
					victim = n
				}
			}
		}
		victim.Kill()
		killed[victim.Name] = true
		c.Leader() // there is one again without it
		victim.Restart()
		c.WaitFormed(3)
	}
	close(over)
	if err := <-copied; err != nil {
		t.Fatalf("copy: %v", err)
	}
	t.Logf("%d copies, longest stall %s", rounds, stalls().Round(10*time.Millisecond))
	c.WaitSettled(90 * time.Second)
}

// watchStalls creates a file again and again, in a process of its own, until the returned function is called: that
// returns the longest time that one took.
func watchStalls(dir string) func() time.Duration {
	over, longest := make(chan struct{}), make(chan time.Duration)
	go func() {
		var worst time.Duration
		for i := 0; ; i++ {
			select {
			case <-over:
				longest <- worst
				return
			default:
			}
			r := harness.Command{Argv: []string{"sh", "-c", fmt.Sprintf("echo %d > stall; sleep 0.05", i)}, Dir: dir}.Exec()
			worst = max(worst, r.Took-50*time.Millisecond)
		}
	}()
	return func() time.Duration { close(over); return <-longest }
}

func TestPowerCutOfAllNodes_FsyncedDataSurvives(t *testing.T) {
	t.Parallel()
	c := harness.StartCluster(t, 3)
	m := c.Mount()
	m.Sh(time.Minute, `mkdir dir
		for i in 1 2 3 4 5 6 7 8 9; do head -c ${i}00000 /dev/urandom > dir/f$i; done
		sync dir/* dir; sha256sum dir/* > sums; sync sums .`)
	for _, n := range c.Nodes {
		n.Kill()
	}
	for _, n := range c.Nodes {
		n.Restart()
	}
	c.WaitFormed(3)
	m.Sh(2*time.Minute, "sha256sum --quiet -c sums && echo more > dir/after && sync dir/after")

	// Not from the mount's cache either: a mount that has never seen the files.
	other := c.Mount()
	other.Sh(time.Minute, "sha256sum --quiet -c sums && test \"$(cat dir/after)\" = more")
}

func TestKilledMount_IsReplacedByMountingAgain(t *testing.T) {
	t.Parallel()
	c := harness.StartCluster(t, 1)
	m := c.Mount()
	m.Sh(time.Minute, "echo kept > f && sync f")
	m.Kill()
	if r := (harness.Command{Argv: []string{"ls", m.Dir}, Timeout: 10 * time.Second}).Exec(); r.Failure() == nil {
		t.Fatalf("the mount point still answers after its process was killed: %q", r.Out)
	}
	m.Start(nil)
	if got := m.Sh(time.Minute, "cat f"); got != "kept\n" {
		t.Errorf("got %q", got)
	}
	m.Unmount()
}
