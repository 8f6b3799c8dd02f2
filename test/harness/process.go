package harness

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Process is a program that a test has started. It is killed at the end of the test, and what it logged is shown when
// the test has failed.
type Process struct {
	t    testing.TB
	name string
	log  string // file
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // of Wait; valid when done is closed
}

// spawner runs functions on one thread that lives as long as this process. The kernel kills our children when the thread
// that made them ends, so that none outlives a test binary that was killed or has panicked; any other thread of a Go
// program may end at any time.
var spawner = sync.OnceValue(func() chan<- func() {
	jobs := make(chan func())
	go func() {
		runtime.LockOSThread()
		for job := range jobs {
			job()
		}
	}()
	return jobs
})

// start runs argv with env added to a clean environment. Its output goes to a file: what is written before a SIGKILL is
// kept, too.
func start(t testing.TB, name, log string, env []string, argv ...string) *Process {
	t.Helper()
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close() // the child has its own descriptor
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = append(cleanEnv(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	spawner() <- func() { started <- cmd.Start() }
	if err := <-started; err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	p := &Process{t: t, name: name, log: log, cmd: cmd, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(p.Kill)
	return p
}

// cleanEnv is the environment without the options of whoever runs the tests.
func cleanEnv() []string {
	return slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, "DFS_") })
}

// PID is the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Alive reports whether it runs.
func (p *Process) Alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Kill ends it as a power cut would (SIGKILL), and waits. A paused process dies too.
func (p *Process) Kill() {
	if !p.Alive() {
		return
	}
	_ = p.cmd.Process.Kill() // it may just have ended
	<-p.done
}

// Signal sends a signal.
func (p *Process) Signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatalf("%s: %v: %v", p.name, s, err)
	}
}

// Wait waits for its end and returns the exit code, -1 for a signal.
func (p *Process) Wait(patience time.Duration) int {
	p.t.Helper()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		p.t.Fatalf("%s has not ended within %s:\n%s", p.name, patience, p.Tail(20))
		return 0
	}
}

// Stop asks it to end (SIGTERM) and expects exit code 0.
func (p *Process) Stop(patience time.Duration) {
	p.t.Helper()
	if !p.Alive() {
		p.t.Fatalf("%s has ended before it was stopped:\n%s", p.name, p.Tail(20))
	}
	p.Signal(syscall.SIGTERM)
	if code := p.Wait(patience); code != 0 {
		p.t.Errorf("%s ended with exit code %d:\n%s", p.name, code, p.Tail(20))
	}
}

// Tail is the end of its log.
func (p *Process) Tail(lines int) string {
	data, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	all := bytes.Split(bytes.TrimRight(data, "\n"), []byte("\n"))
	return string(bytes.Join(all[max(0, len(all)-lines):], []byte("\n")))
}

// Logged reports whether its log holds text.
func (p *Process) Logged(text string) bool {
	data, err := os.ReadFile(p.log)
	return err == nil && bytes.Contains(data, []byte(text))
}

// testDir makes a directory for the test under the work directory, so that leftovers in it are found.
func testDir(t testing.TB) string {
	t.Helper()
	work, err := workDir()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp(work, "t-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if mounts := mountsUnder(dir); len(mounts) > 0 {
			t.Errorf("still mounted: %q", mounts)
			return
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("clean up: %v", err)
		}
	})
	return dir
}

// showLogs prints the ends of the logs under dir after a failure.
func showLogs(t testing.TB, dir string) {
	if !t.Failed() {
		return
	}
	logs, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil {
		return
	}
	for _, name := range logs {
		p := Process{log: name}
		t.Logf("--- end of %s\n%s", filepath.Base(name), p.Tail(15))
	}
}

// Eventually waits until check returns nil, and fails the test with its last error after patience.
func Eventually(t testing.TB, patience time.Duration, check func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 250*time.Millisecond) {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %v", patience, err)
		}
		time.Sleep(pause)
	}
}
