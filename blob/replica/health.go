package replica

import (
	"context"
	"errors"
	"sync"
	"time"

	"dfs/fs"
)

const (
	coolDownMin = time.Second
	coolDownMax = 15 * time.Second
)

// health remembers which nodes have failed of late: a circuit breaker a node. A bad node becomes good again by a success,
// usually that of a probe, which is due once its cool-down is over.
type health struct {
	mu  sync.Mutex
	bad map[fs.NodeID]*ailment
}

type ailment struct {
	coolDown time.Duration
	probeAt  time.Time
	probing  bool
}

func newHealth() *health { return &health{bad: map[fs.NodeID]*ailment{}} }

func (h *health) good(id fs.NodeID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.bad[id] == nil
}

// failed records a failure that says something about the node; a second one while it is bad already changes nothing
// until its probe.
func (h *health) failed(id fs.NodeID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.bad[id] == nil {
		h.bad[id] = &ailment{coolDown: coolDownMin, probeAt: time.Now().Add(coolDownMin)}
	}
}

func (h *health) succeeded(id fs.NodeID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.bad, id)
}

// startProbe reports whether the caller should probe the node now, and tell probed.
func (h *health) startProbe(id fs.NodeID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	a := h.bad[id]
	if a == nil || a.probing || time.Now().Before(a.probeAt) {
		return false
	}
	a.probing = true
	return true
}

func (h *health) probed(id fs.NodeID, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	a := h.bad[id]
	switch {
	case a == nil:
	case err == nil:
		delete(h.bad, id)
	default:
		a.probing = false
		a.coolDown = min(2*a.coolDown, coolDownMax)
		a.probeAt = time.Now().Add(a.coolDown)
	}
}

// keep forgets nodes that are no more.
func (h *health) keep(nodes []fs.NodeInfo) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.bad) <= len(nodes) {
		return
	}
	known := make(map[fs.NodeID]bool, len(nodes))
	for _, n := range nodes {
		known[n.ID] = true
	}
	for id := range h.bad {
		if !known[id] {
			delete(h.bad, id)
		}
	}
}

// excuses reports whether an error says nothing against the node: we cancelled the request, or it answered as any other
// node would have.
func excuses(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, fs.ErrNotExist) || refusesEverywhere(err)
}

// blames reports whether an error speaks against the node rather than the request: it could not be reached, did not
// answer, or is not who it should be.
func blames(err error) bool {
	if errors.Is(err, context.Canceled) {
		return false // by us
	}
	switch fs.CodeOf(err) {
	case fs.CodeUnavailable, fs.CodeTimeout, fs.CodeClosed, fs.CodeInternal, fs.CodeWrongCluster:
		return true
	}
	return errors.Is(err, fs.ErrBusy)
}
