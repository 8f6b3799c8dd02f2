// Package service tells the service manager how a node is: that it serves, how it stands, that it lives, that it stops.
// The words are those of sd_notify(3). Without a manager, that is without NOTIFY_SOCKET, nothing is told.
//
// A node is said to live only when a probe of it has just come back. While a probe hangs there is no beat, and no second
// probe; when the manager's patience (WatchdogSec) is over it restarts the process. A probe that fails is no beat either.
package service

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

const (
	beatsInPatience = 3                // how many beats there are in the manager's patience
	statusEvery     = 10 * time.Second // without a watchdog, and at most
	leaveMax        = time.Second      // for a look under way when Run has to end
)

// Node is what is told of.
type Node interface {
	// Probe returns nil if the node lives. It may block for ever.
	Probe(ctx context.Context) error
	// Describe is the node in a line. It answers in a few seconds.
	Describe(ctx context.Context) string
}

// Manager is the service manager, if there is one.
type Manager struct {
	notify   func(state string) error
	patience time.Duration // of its watchdog; 0: it has none
	log      *slog.Logger
	said     string // the last status
}

// New finds the manager in the environment.
func New(log *slog.Logger) (*Manager, error) {
	patience, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return nil, fmt.Errorf("the service manager's watchdog: %w", err)
	}
	notify := func(state string) error {
		_, err := daemon.SdNotify(false, state)
		return err
	}
	return &Manager{notify: notify, patience: patience, log: log}, nil
}

// every is the time between two beats.
func (m *Manager) every() time.Duration {
	if m.patience == 0 {
		return statusEvery
	}
	return min(m.patience/beatsInPatience, statusEvery)
}

// look is what one look at the node has shown.
type look struct {
	err    error // why it is not known to live
	status string
}

// Run tells that the node serves, and then, until ctx ends, that it lives. A look that hangs is left to itself in the
// end: the process is about to stop.
func (m *Manager) Run(ctx context.Context, n Node) {
	m.tell("READY=1", "serves")
	tick := time.NewTicker(m.every())
	defer tick.Stop()
	results := make(chan look, 1)
	start := func() time.Time {
		go func() { results <- m.look(ctx, n) }()
		return time.Now()
	}
	began, looking := start(), true
	for {
		select {
		case <-ctx.Done():
			if looking {
				await(results)
			}
			return
		case l := <-results:
			looking = false
			m.report(ctx, l)
		case <-tick.C:
			if looking {
				m.tell("", fmt.Sprintf("hangs: a look at the disks, the blob store and the metadata has not come back for %s", time.Since(began).Round(time.Second)))
			} else {
				began, looking = start(), true
			}
		}
	}
}

// Stopping tells that the node stops, on purpose or not.
func (m *Manager) Stopping() { m.tell("STOPPING=1", "stops") }

func (m *Manager) look(ctx context.Context, n Node) look {
	if m.patience > 0 {
		// Not for longer than anybody waits; a disk that hangs is not impressed.
		probeCtx, cancel := context.WithTimeout(ctx, m.patience)
		defer cancel()
		if err := n.Probe(probeCtx); err != nil {
			return look{err: err, status: "probe failed: " + err.Error()}
		}
	}
	return look{status: n.Describe(ctx)}
}

func (m *Manager) report(ctx context.Context, l look) {
	switch {
	case l.err == nil && m.patience > 0:
		m.tell("WATCHDOG=1", l.status)
	case l.err == nil || ctx.Err() != nil:
		m.tell("", l.status)
	default:
		m.log.Warn("not known to live; the service manager is not told so", "err", l.err)
		m.tell("", l.status)
	}
}

// await gives a look that is under way the chance to end in order.
func await(results <-chan look) {
	select {
	case <-results:
	case <-time.After(leaveMax):
	}
}

// tell sends a state, which may be empty, and the status if it is another than before.
func (m *Manager) tell(state, status string) {
	status = strings.ReplaceAll(status, "\n", "; ")
	if status != m.said {
		state = strings.TrimPrefix(state+"\nSTATUS="+status, "\n")
	}
	if state == "" {
		return
	}
	if err := m.notify(state); err != nil {
		m.log.Warn("the service manager cannot be told", "state", state, "err", err)
		return
	}
	m.said = status
}
