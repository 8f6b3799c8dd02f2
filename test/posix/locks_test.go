package posix

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// twoMounts is a server with two mounts of one filesystem, and a path on each.
func twoMounts(t *testing.T) (r *remote, a, b string) {
	t.Helper()
	r = start(t, 2, options{})
	return r, r.opts.Dirs[0] + "/f", r.opts.Dirs[1] + "/f"
}

// Each scenario is played by two processes on one mount, and on two.
func onOneAndTwoMounts(t *testing.T, play func(t *testing.T, r *remote, a, b *locker)) {
	r, first, second := twoMounts(t)
	for name, path := range map[string]string{"one mount": first, "two mounts": second} {
		t.Run(name, func(t *testing.T) {
			must(t, os.RemoveAll(first))
			play(t, r, newLocker(t, first), newLocker(t, path))
		})
	}
}

func TestFlock_ExcludesAndIsHandedOver(t *testing.T) {
	onOneAndTwoMounts(t, func(t *testing.T, r *remote, a, b *locker) {
		a.do("flock-try r", "ok")
		b.do("flock-try r", "ok")
		a.do("flock-try w", "EAGAIN")
		b.do("flock-try w", "ok") // the failed conversion has lost a's lock, as on Linux
		a.waits(r, "flock-wait w", 1)
		b.do("flock-wait u", "ok")
		a.answers("ok")
		b.do("flock-try r", "EAGAIN")
		a.do("close", "ok")
		b.do("flock-wait w", "ok")
	})
}

func TestFcntl_RangesExclude(t *testing.T) {
	onOneAndTwoMounts(t, func(t *testing.T, r *remote, a, b *locker) {
		a.do("set w 10 10", "ok")
		b.do("set w 0 10", "ok")
		b.do("set r 19 1", "EAGAIN")
		b.do("set w 20 0", "ok")
		a.do("set u 12 3", "ok")
		b.do("set r 12 3", "ok")
		a.do("set r 10 2", "ok")
		b.do("set r 10 2", "ok")
		b.do("set w 10 1", "EAGAIN")
		b.do("flock-try w", "ok") // flocks are another family
		a.waits(r, "wait w 0 10", 1)
		b.do("reopen", "ok") // closing any descriptor gives up all of a process's ranges
		a.answers("ok")
		b.do("set r 12 3", "ok")
		b.do("set r 15 5", "EAGAIN")
	})
}

func TestFcntl_GetTellsTheHolder(t *testing.T) {
	r, first, second := twoMounts(t)
	_ = r
	a, b, c := newLocker(t, first), newLocker(t, first), newLocker(t, second)
	a.do("set w 10 10", "ok")
	b.do("get r 0 0", fmt.Sprintf("%d 10 10 %d", unix.F_WRLCK, a.cmd.Process.Pid))
	c.do("get r 0 0", fmt.Sprintf("%d 10 10 0", unix.F_WRLCK)) // another machine's process, for all that the mount knows
	b.do("get r 0 10", fmt.Sprintf("%d 0 10 0", unix.F_UNLCK))
	a.do("get w 0 0", fmt.Sprintf("%d 0 0 0", unix.F_UNLCK))
}

func TestOFDLocks_BelongToTheDescription(t *testing.T) {
	onOneAndTwoMounts(t, func(t *testing.T, r *remote, a, b *locker) {
		a.do("ofd-set w 0 10", "ok")
		b.do("ofd-set r 5 1", "EAGAIN")
		b.do("set r 5 1", "EAGAIN")
		a.do("reopen", "ok") // closing another descriptor does not matter
		b.do("ofd-set r 5 1", "EAGAIN")
		b.waits(r, "ofd-wait r 5 1", 1)
		a.do("close", "ok")
		b.answers("ok")
	})
}

func TestDeadlock_IsToldToTheLastOne(t *testing.T) {
	onOneAndTwoMounts(t, func(t *testing.T, r *remote, a, b *locker) {
		a.do("set w 0 1", "ok")
		b.do("set w 1 1", "ok")
		a.waits(r, "wait w 1 1", 1)
		b.do("wait w 0 1", "EDEADLK")
		b.do("set u 1 1", "ok")
		a.answers("ok")
	})
}

func TestDeathOfAHolder_FreesItsLocks(t *testing.T) {
	onOneAndTwoMounts(t, func(t *testing.T, r *remote, a, b *locker) {
		a.do("flock-try w", "ok")
		a.do("set w 0 0", "ok")
		a.do("write x", "ok")
		b.waits(r, "wait w 0 0", 1)
		a.kill()
		b.answers("ok")
		b.do("flock-wait w", "ok")
		eventually(t, "nobody waits", func() bool { return r.must(command{Do: "locks"}).Waiting == 0 })
	})
}

func TestDeathOfWhoWaits_TakesItOutOfTheLine(t *testing.T) {
	onOneAndTwoMounts(t, func(t *testing.T, r *remote, a, b *locker) {
		a.do("set w 0 0", "ok")
		b.waits(r, "wait w 0 0", 1)
		b.kill()
		eventually(t, "nobody waits", func() bool { return r.must(command{Do: "locks"}).Waiting == 0 })
		a.do("set u 0 0", "ok")
		a.do("set w 0 0", "ok")
		if n := r.must(command{Do: "locks"}).Held; n != 1 {
			t.Errorf("%d locks are held", n)
		}
	})
}

// interrupted is a program with a handler that ends the call: Go's would have the kernel begin it again.
const interrupted = `
import fcntl, signal, sys
def handler(*args): raise InterruptedError
signal.signal(signal.SIGUSR1, handler)
f = open(sys.argv[1], "r+")
print("ready", flush=True)
try:
    if sys.argv[2] == "flock": fcntl.flock(f, fcntl.LOCK_EX)
    else: fcntl.lockf(f, fcntl.LOCK_EX)
    print("granted")
except InterruptedError: print("interrupted")
`

func TestSignal_EndsTheWait(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3 here: ", err)
	}
	for _, kind := range []string{"flock", "fcntl"} {
		onOneAndTwoMounts(t, func(t *testing.T, r *remote, a, b *locker) {
			a.do(map[string]string{"flock": "flock-try w", "fcntl": "set w 0 0"}[kind], "ok")
			cmd := exec.Command(python, "-c", interrupted, r.opts.Dirs[0]+"/f", kind)
			out := &strings.Builder{}
			cmd.Stdout, cmd.Stderr = out, os.Stderr
			must(t, cmd.Start())
			eventually(t, "it waits", func() bool { return r.must(command{Do: "locks"}).Waiting == 1 })
			must(t, cmd.Process.Signal(syscall.SIGUSR1))
			ended := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
			err := cmd.Wait()
			if ended.Stop(); err != nil || out.String() != "ready\ninterrupted\n" {
				t.Errorf("%q, %v", out, err)
			}
			if n := r.must(command{Do: "locks"}).Waiting; n != 0 {
				t.Errorf("%d wait still", n)
			}
		})
	}
}

// A signal whose handler lets the call go on does not lose the place: Go restarts it.
func TestSignal_ThatRestartsTheCallIsHarmless(t *testing.T) {
	onOneAndTwoMounts(t, func(t *testing.T, r *remote, a, b *locker) {
		a.do("set w 0 0", "ok")
		b.waits(r, "wait w 0 0", 1)
		for range 20 {
			must(t, b.cmd.Process.Signal(syscall.SIGURG))
		}
		eventually(t, "it waits again", func() bool { return r.must(command{Do: "locks"}).Waiting == 1 })
		a.do("set u 0 0", "ok")
		b.answers("ok")
	})
}

func TestLostSession_MakesHandlesUseless(t *testing.T) {
	r, first, second := twoMounts(t)
	a, free, b := newLocker(t, first), newLocker(t, first), newLocker(t, second)
	a.do("write x", "ok")
	a.do("set w 0 0", "ok")
	free.do("read", "ok")
	r.must(command{Do: "expire"})
	b.do("wait w 0 0", "ok")
	eventually(t, "the mount knows", func() bool { a.tell("read"); return <-a.out == "EIO" })
	a.do("write y", "EIO")
	a.do("set r 0 1", "EIO")
	free.do("read", "ok")
	a.do("close", "EIO")
}

func TestFailover_KeepsLocksAndWaits(t *testing.T) {
	onOneAndTwoMounts(t, func(t *testing.T, r *remote, a, b *locker) {
		a.do("set w 0 10", "ok")
		a.do("flock-try w", "ok")
		b.do("set r 20 10", "ok")
		b.waits(r, "wait w 5 10", 1)
		r.must(command{Do: "failover"})
		eventually(t, "it waits at the next leader", func() bool { return r.must(command{Do: "locks"}).Waiting == 1 })
		a.do("set w 20 1", "EAGAIN")
		a.do("set u 0 10", "ok")
		b.answers("ok")
		a.do("set r 5 1", "EAGAIN")
	})
}

// What has been closed is free: RELEASE, which nobody waits for, must not be overtaken.
func TestFlock_IsFreeOnceItsProgramHasEnded(t *testing.T) {
	r := start(t, 1, options{})
	for range 50 {
		out, err := exec.Command("flock", "-n", r.dir()+"/f", "true").CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
}
