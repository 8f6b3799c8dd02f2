package posix

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"dfs/fs"

	"golang.org/x/sys/unix"
)

func itoa[T ~uint32 | ~int](n T) string { return strconv.FormatInt(int64(n), 10) }

func TestKill_EndsAProcessInAHungCall(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		r := start(t, 1, options{OpTimeoutMillis: 50_000})
		r.must(command{Do: "fault", Step: "lookup"})
		// stat(1) and not a Go program, which would handle SIGTERM in its runtime.
		cmd := exec.Command("stat", r.dir()+"/f")
		must(t, cmd.Start())
		eventually(t, "the call hangs", func() bool { return r.stats().Hung > 0 })
		begin := time.Now()
		must(t, cmd.Process.Signal(sig))
		var exit *exec.ExitError
		if err := cmd.Wait(); !errors.As(err, &exit) || !exit.Sys().(syscall.WaitStatus).Signaled() {
			t.Errorf("%v: %v", sig, err)
		}
		if took := time.Since(begin); took > 3*time.Second {
			t.Errorf("%v took %v", sig, took)
		}
		if n := r.stats().Stats.Interrupts; n != 1 {
			t.Errorf("%d interrupts counted", n)
		}
		r.must(command{Do: "clear"})
	}
}

func TestHarmlessSignal_InterruptsNothing(t *testing.T) {
	r := start(t, 1, options{OpTimeoutMillis: 50_000})
	r.must(command{Do: "fault", Step: "commit"})
	result := make(chan error, 1)
	go func() { result <- unix.Mkdir(r.dir()+"/d", 0o755) }()
	eventually(t, "the call hangs", func() bool { return r.stats().Hung > 0 })
	must(t, signalAllThreads(syscall.SIGURG)) // among them the one that hangs
	eventually(t, "the server hears of it", func() bool { return r.stats().Stats.Survived > 0 })
	r.must(command{Do: "clear"})
	select {
	case err := <-result:
		want(t, "mkdir", err, 0)
	case <-time.After(10 * time.Second):
		t.Fatal("mkdir hangs")
	}
	must(t, stat(r.dir()+"/d"))
}

func signalAllThreads(sig syscall.Signal) error {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, e := range threads {
		tid, err := strconv.Atoi(e.Name())
		if err != nil {
			return err
		}
		if err := unix.Tgkill(os.Getpid(), tid, sig); err != nil && err != unix.ESRCH {
			return err
		}
	}
	return nil
}

func TestHungCluster_FailsInBoundedTime(t *testing.T) {
	r := start(t, 1, options{OpTimeoutMillis: 500})
	must(t, os.WriteFile(r.dir()+"/f", []byte("x"), 0o644))
	r.must(command{Do: "fault", Step: "lookup"})
	begin := time.Now()
	var st unix.Stat_t
	want(t, "stat of what is not known", unix.Stat(r.dir()+"/g", &st), unix.EHOSTUNREACH)
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	r.must(command{Do: "clear"})
	must(t, unix.Stat(r.dir(), &st))
	eventually(t, "the log tells of it", func() bool { return strings.Contains(r.log.String(), "op=lookup") })
}

func TestErrorsOfTheCluster_AreLoggedWithoutAFlood(t *testing.T) {
	r := start(t, 1, options{OpTimeoutMillis: 500})
	f := r.dir() + "/f" // nobody has asked for its attributes yet
	must(t, os.WriteFile(f, nil, 0o644))
	for _, step := range []string{"getxattr", "listxattr"} {
		r.must(command{Do: "fault", Step: step, Err: fs.CodeCorrupt})
	}
	for range 200 {
		_, err := unix.Getxattr(f, "user.a", nil)
		want(t, "getxattr", err, unix.EIO)
	}
	r.must(command{Do: "clear"})
	eventually(t, "the log tells of it", func() bool { return strings.Contains(r.log.String(), "checksum mismatch") })
	if n := strings.Count(r.log.String(), "checksum mismatch"); n > 30 {
		t.Errorf("%d lines in the log for 200 errors", n)
	}
}

func TestManyCalls_AtOnceAllEnd(t *testing.T) {
	r := start(t, 1, options{})
	var all sync.WaitGroup
	for i := range 64 {
		all.Go(func() {
			f := r.dir() + "/" + itoa(i)
			data := noise(uint64(i), 50_000)
			if err := os.WriteFile(f, data, 0o644); err != nil {
				t.Error(err)
			}
			if got, err := os.ReadFile(f); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%s: %d bytes, %v", f, len(got), err)
			}
			if err := os.Remove(f); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	eventually(t, "everything is released", func() bool { return r.stats().Stats.Files == 0 })
	for _, o := range r.stats().Stats.Ops {
		if o.InFlight != 0 {
			t.Errorf("%d of %v still in flight", o.InFlight, o.Op)
		}
	}
}
