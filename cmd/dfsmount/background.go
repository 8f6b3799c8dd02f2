package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// A mount goes to the background in two processes. The first runs itself again, detached, with the write end of a pipe
// as descriptor readyFD, and waits: the second writes one line, "ok" or what went wrong, when that is known. The end of the
// pipe without a line means that the second process died. The first is never the one that serves the mount, so a
// shell's job control and a closed terminal do not matter.

const (
	readyFD   = 3
	readyFlag = "ready-fd" // hidden: only ever given to the second process
	readyOK   = "ok"
)

var (
	errInterrupted = errors.New("interrupted")
	errNoProcess   = errors.New("the mount's process cannot be started")
)

// detach starts the second process with args and waits for its line, at most patience.
func detach(ctx context.Context, args []string, logFile string, patience time.Duration) error {
	log, err := openLog(logFile)
	if err != nil {
		return err
	}
	defer log.Close() // the second process has its own descriptor
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close() // nothing is written to it
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(exe, append([]string{fmt.Sprintf("--%s=%d", readyFlag, readyFD)}, args...)...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{w}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		w.Close() // the error above is the one that counts
		return fmt.Errorf("%w: %w", errNoProcess, err)
	}
	if err := w.Close(); err != nil {
		return err
	}
	line := make(chan string, 1)
	go func() {
		s, err := bufio.NewReader(io.LimitReader(r, 64<<10)).ReadString('\n')
		if err != nil && s == "" {
			s = "the mount's process died; see " + log.Name()
		}
		line <- strings.TrimSpace(s)
	}()
	select {
	case s := <-line:
		if s == readyOK {
			return nil
		}
		return errors.New(s)
	case <-time.After(patience):
		err = fmt.Errorf("not mounted after %s; see %s", patience, log.Name())
	case <-ctx.Done():
		err = errInterrupted
	}
	// It may yet mount after we have said that it did not: stop it, and wait until it is gone.
	return errors.Join(err, stop(cmd))
}

// stop ends a second process that is in nobody's use yet.
func stop(cmd *exec.Cmd) error {
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return nil // gone already
	}
	gone := make(chan struct{})
	go func() {
		_ = cmd.Wait() // killed by us: its exit status says nothing
		close(gone)
	}()
	select {
	case <-gone:
		return nil
	case <-time.After(5 * time.Second):
		return cmd.Process.Kill()
	}
}

// ready tells the first process how the mount went; without one (fd 0) it does nothing.
type ready struct{ fd int }

func (r *ready) report(err error) {
	if r.fd == 0 {
		return
	}
	f := os.NewFile(uintptr(r.fd), "ready")
	r.fd = 0
	line := readyOK
	if err != nil {
		line = strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	_, _ = f.WriteString(line + "\n") // the first process may be gone: then nobody wants to know
	_ = f.Close()
}

func openLog(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("log file: %w (choose another with --log-file)", err)
	}
	return f, nil
}

// defaultLogFile names the log of a mount on dir.
func defaultLogFile(dir string) (string, error) {
	name := "mount-" + strings.Trim(strings.ReplaceAll(dir, "/", "-"), "-") + ".log"
	if os.Geteuid() == 0 {
		return filepath.Join("/var/log/dfs", name), nil
	}
	base := os.Getenv("XDG_STATE_HOME")
	if base == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("no place for a log: %w (choose one with --log-file)", err)
		}
		base = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(base, "dfs", name), nil
}
