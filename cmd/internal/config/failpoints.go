package config

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"dfs/fs"
)

// failpointsEnv names the variable that breaks a process on purpose, for tests.
const failpointsEnv = "DFS_FAILPOINTS"

// errInjected is what a failpoint's step fails with.
var errInjected = errors.New("injected by " + failpointsEnv)

// Failpoints reads DFS_FAILPOINTS from env; nil when it is not set. It holds comma-separated rules STEP=ACTION[@N]: at the
// N-th time that the step is reached (default: every time) the process is killed (kill) or stopped until somebody sends it SIGCONT
// (stop), or the step fails (error) or is held up (sleep:100ms). Steps are named by the code that they break, such as
// "flush.decide.before".
func Failpoints(env []string) (fs.Faults, error) {
	for _, line := range env {
		if value, ok := strings.CutPrefix(line, failpointsEnv+"="); ok && value != "" {
			return parseFailpoints(value)
		}
	}
	return nil, nil
}

// failpoint is one rule; count is guarded by the set's mutex.
type failpoint struct {
	act   func() error
	nth   int // 0: every time
	count int
}

func parseFailpoints(value string) (fs.Faults, error) {
	points := map[string]*failpoint{}
	for rule := range strings.SplitSeq(value, ",") {
		step, action, ok := strings.Cut(strings.TrimSpace(rule), "=")
		if !ok || step == "" {
			return nil, fmt.Errorf("%w: %s: %q is not STEP=ACTION", ErrUsage, failpointsEnv, rule)
		}
		p, err := parseAction(action)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %q: %v", ErrUsage, failpointsEnv, rule, err)
		}
		points[step] = p
	}
	var mu sync.Mutex
	return func(step string) error {
		p := points[step]
		if p == nil {
			return nil
		}
		mu.Lock()
		p.count++
		due := p.nth == 0 || p.nth == p.count
		mu.Unlock()
		if !due {
			return nil
		}
		return p.act()
	}, nil
}

func parseAction(action string) (*failpoint, error) {
	p := &failpoint{}
	action, nth, ok := strings.Cut(action, "@")
	if ok {
		if _, err := fmt.Sscanf(nth, "%d", &p.nth); err != nil || p.nth < 1 {
			return nil, fmt.Errorf("@%s: want a count from 1 up", nth)
		}
	}
	verb, arg, _ := strings.Cut(action, ":")
	switch verb {
	case "kill":
		p.act = killSelf
	case "stop":
		p.act = stopSelf
	case "error":
		p.act = func() error { return errInjected }
	case "sleep":
		d, err := time.ParseDuration(arg)
		if err != nil {
			return nil, err
		}
		p.act = func() error { time.Sleep(d); return nil }
	default:
		return nil, fmt.Errorf("want kill, stop, error or sleep:DURATION")
	}
	return p, nil
}

// killSelf is what a power cut looks like from inside: nothing is flushed, nobody is told, and no step follows.
func killSelf() error {
	if err := syscall.Kill(syscall.Getpid(), syscall.SIGKILL); err != nil {
		return err
	}
	select {}
}

// stopSelf is what a machine that hangs looks like: the step does not go on before SIGCONT. The signal is this thread's own, so that
// it has come when the call returns.
func stopSelf() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return syscall.Tgkill(syscall.Getpid(), syscall.Gettid(), syscall.SIGSTOP)
}
