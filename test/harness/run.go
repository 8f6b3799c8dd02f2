package harness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Command is a command to be run in a child process.
type Command struct {
	Dir     string
	Stdin   string
	Env     []string
	Timeout time.Duration // 0: one minute
	Argv    []string
}

// Result is how a command ended.
type Result struct {
	Out  string // standard output
	Err  string // standard error
	Code int    // exit code; -1: killed
	Hung bool   // killed because its time was over
	Took time.Duration
}

// Exec runs c to its end or to the end of its time.
func (c Command) Exec() Result {
	if c.Timeout == 0 {
		c.Timeout = time.Minute
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.Timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.Argv[0], c.Argv[1:]...)
	cmd.Dir = c.Dir
	cmd.Env = append(cleanEnv(), c.Env...)
	cmd.Stdin = strings.NewReader(c.Stdin)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	// The whole group: a shell's children would otherwise hold the pipes, and the mount, for ever.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	began := time.Now()
	err := cmd.Run()
	r := Result{Out: out.String(), Err: errOut.String(), Took: time.Since(began), Hung: ctx.Err() != nil}
	if cmd.ProcessState != nil {
		r.Code = cmd.ProcessState.ExitCode()
	}
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		r.Code, r.Err = -1, r.Err+err.Error()
	}
	return r
}

// Failure is nil for exit code 0.
func (r Result) Failure() error {
	if r.Code == 0 && !r.Hung {
		return nil
	}
	how := fmt.Sprintf("exit code %d", r.Code)
	if r.Hung {
		how = "hung"
	}
	return fmt.Errorf("%s after %s\n%s%s", how, r.Took.Round(time.Millisecond), r.Out, r.Err)
}

// Run runs argv and returns its standard output; anything but exit code 0 within a minute fails the test.
func Run(t testing.TB, argv ...string) string {
	t.Helper()
	return RunFor(t, time.Minute, argv...)
}

// RunFor is Run with another time-out.
func RunFor(t testing.TB, timeout time.Duration, argv ...string) string {
	t.Helper()
	r := Command{Argv: argv, Timeout: timeout}.Exec()
	if err := r.Failure(); err != nil {
		t.Fatalf("%s: %v", strings.Join(argv, " "), err)
	}
	return r.Out
}

// Shell runs a script with sh -eu in dir.
func Shell(t testing.TB, timeout time.Duration, dir, script string) string {
	t.Helper()
	r := Command{Argv: []string{"sh", "-eu", "-c", script}, Dir: dir, Timeout: timeout}.Exec()
	if err := r.Failure(); err != nil {
		t.Fatalf("in %s:\n%s\n%v", dir, script, err)
	}
	return r.Out
}
