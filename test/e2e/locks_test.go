package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"dfs/test/harness"
)

// lockFile opens a file on a mount, in this process, which serves none.
func lockFile(t *testing.T, m *harness.Mount) *os.File {
	t.Helper()
	f, err := os.OpenFile(m.Path("f"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() }) // its mount may have been killed
	return f
}

// ofd is an OFD lock of one byte: its owner is the file, so that one process can play several.
func ofd(f *os.File, cmd int, typ int16, at int64) error {
	return unix.FcntlFlock(f.Fd(), cmd, &unix.Flock_t{Type: typ, Start: at, Len: 1})
}

// inBackground returns what becomes of a call that waits.
func inBackground(call func() error) <-chan error {
	done := make(chan error, 1)
	go func() { done <- call() }()
	return done
}

func mustEnd(t *testing.T, what string, done <-chan error, within time.Duration) {
	t.Helper()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	case <-time.After(within):
		t.Fatalf("%s: not within %v", what, within)
	}
}

type listedLock struct {
	Kind, Type string
	Waiting    bool
	Path       string
}

// waitForLine waits until as many requests stand in line, and returns all locks.
func waitForLine(t *testing.T, c *harness.Cluster, n int, args ...string) (list struct{ Locks []listedLock }) {
	t.Helper()
	harness.Eventually(t, 30*time.Second, func() error {
		r := c.Dfs(c.Addrs(), append([]string{"lock", "ls", "--json"}, args...)...)
		if err := r.Failure(); err != nil {
			return err
		}
		list.Locks = nil
		if err := json.Unmarshal([]byte(r.Out), &list); err != nil {
			return err
		}
		waiting := 0
		for _, l := range list.Locks {
			if l.Waiting {
				waiting++
			}
		}
		if waiting != n {
			return fmt.Errorf("%d wait, not %d: %s", waiting, n, r.Out)
		}
		return nil
	})
	return list
}

func TestFileLocks_HoldAcrossMounts(t *testing.T) {
	t.Parallel()
	harness.NeedProgram(t, "flock")
	c := harness.StartCluster(t, 3, "--session-timeout", "3s")
	ma, mb := c.Mount(), c.Mount()
	a, b := lockFile(t, ma), lockFile(t, mb)
	must := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}

	// Conflict and hand-over.
	must("flock", unix.Flock(int(a.Fd()), unix.LOCK_EX|unix.LOCK_NB))
	if err := unix.Flock(int(b.Fd()), unix.LOCK_SH|unix.LOCK_NB); !errors.Is(err, unix.EAGAIN) {
		t.Errorf("the other mount: %v", err)
	}
	waits := inBackground(func() error { return unix.Flock(int(b.Fd()), unix.LOCK_EX) })
	list := waitForLine(t, c, 1, mb.Path("f"))
	if l := list.Locks; len(l) != 2 || l[0].Kind != "flock" || l[0].Type != "write" || l[0].Path != ma.Dir || l[1].Path != mb.Dir {
		t.Errorf("%+v", l)
	}
	if out := c.Dfs(c.Addrs(), "lock", "ls").Out; !strings.Contains(out, "waiting") || !strings.Contains(out, ma.Dir) {
		t.Errorf("dfs lock ls:\n%s", out)
	}

	// The leader dies while the lock is held and waited for.
	c.Leader().Kill()
	waitForLine(t, c, 1)
	if err := unix.Flock(int(lockFile(t, ma).Fd()), unix.LOCK_SH|unix.LOCK_NB); !errors.Is(err, unix.EAGAIN) {
		t.Errorf("at the next leader: %v", err)
	}
	must("unlock", unix.Flock(int(a.Fd()), unix.LOCK_UN))
	mustEnd(t, "the lock is handed over", waits, 20*time.Second)
	must("unlock", unix.Flock(int(b.Fd()), unix.LOCK_UN))

	// A circle across mounts.
	must("lock byte 0", ofd(a, unix.F_OFD_SETLK, unix.F_WRLCK, 0))
	must("lock byte 1", ofd(b, unix.F_OFD_SETLK, unix.F_WRLCK, 1))
	waits = inBackground(func() error { return ofd(a, unix.F_OFD_SETLKW, unix.F_WRLCK, 1) })
	waitForLine(t, c, 1)
	if err := ofd(b, unix.F_OFD_SETLKW, unix.F_WRLCK, 0); !errors.Is(err, unix.EDEADLK) {
		t.Errorf("closing the circle: %v", err)
	}
	must("unlock byte 1", ofd(b, unix.F_OFD_SETLK, unix.F_UNLCK, 1))
	mustEnd(t, "byte 1", waits, 20*time.Second)

	// The process that holds dies: what it wrote is there.
	holder := exec.Command("sh", "-c", "exec 9<> f && flock 9 && echo written >&9 && exec sleep 1000")
	holder.Dir = ma.Dir
	must("start", holder.Start())
	harness.Eventually(t, 20*time.Second, func() error {
		if err := unix.Flock(int(b.Fd()), unix.LOCK_EX|unix.LOCK_NB); err == nil {
			return errors.Join(errors.New("not locked yet"), unix.Flock(int(b.Fd()), unix.LOCK_UN))
		}
		return nil
	})
	waits = inBackground(func() error { return unix.Flock(int(b.Fd()), unix.LOCK_EX) })
	waitForLine(t, c, 1)
	must("kill", holder.Process.Kill())
	mustEnd(t, "the lock of a dead process", waits, 20*time.Second)
	_ = holder.Wait() // it was killed
	buf := make([]byte, 8)
	if _, err := b.ReadAt(buf, 0); err != nil || string(buf) != "written\n" {
		t.Errorf("read %q, %v", buf, err)
	}
	must("unlock", unix.Flock(int(b.Fd()), unix.LOCK_UN))

	// The mount that holds dies: when its session is over.
	must("flock", unix.Flock(int(a.Fd()), unix.LOCK_EX|unix.LOCK_NB))
	waits = inBackground(func() error { return unix.Flock(int(b.Fd()), unix.LOCK_EX) })
	waitForLine(t, c, 1)
	ma.Kill()
	mustEnd(t, "the lock of a dead mount", waits, 20*time.Second)
}

func TestSQLite_OfTwoMountsAtOnceLosesNoRow(t *testing.T) {
	t.Parallel()
	harness.NeedProgram(t, "sqlite3")
	c := harness.StartCluster(t, 3)
	mounts := []*harness.Mount{c.Mount(), c.Mount()}
	mounts[0].Sh(time.Minute, "sqlite3 db 'pragma journal_mode = delete; create table t (who, n)'")
	const rows = 30
	var done []<-chan error
	for i, m := range mounts {
		script := fmt.Sprintf(`for n in $(seq %d); do echo "insert into t values (%d, $n);"; done | sqlite3 -bail -cmd '.timeout 120000' db`, rows, i)
		done = append(done, inBackground(func() error {
			return harness.Command{Argv: []string{"sh", "-eu", "-c", script}, Dir: m.Dir, Timeout: 4 * time.Minute}.Exec().Failure()
		}))
	}
	for _, d := range done {
		mustEnd(t, "the inserts", d, 5*time.Minute)
	}
	for _, m := range mounts {
		got := m.Sh(time.Minute, "sqlite3 -cmd '.timeout 60000' db 'pragma integrity_check; select who, count(distinct n) from t group by who'")
		if want := fmt.Sprintf("ok\n0|%d\n1|%[1]d\n", rows); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
