package vfs

import (
	"context"
	"fmt"
	"sync"

	"dfs/fs"
)

// registrar knows the mount's current session.
type registrar struct {
	mu      sync.Mutex
	current *registration // nil while a new session is being opened
	changed chan struct{} // closed when current is set
}

func newRegistrar(r *registration) *registrar {
	return &registrar{current: r, changed: make(chan struct{})}
}

// get is the current session, nil while there is none.
func (g *registrar) get() *registration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.current
}

// wait is get, waiting for a session.
func (g *registrar) wait(ctx context.Context) (*registration, error) {
	for {
		g.mu.Lock()
		r, changed := g.current, g.changed
		g.mu.Unlock()
		if r != nil {
			return r, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for a new session: %w", unavailable(ctx.Err()))
		}
	}
}

// drop retires r and reports whether this call did it.
func (g *registrar) drop(r *registration) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.current != r {
		return false
	}
	g.current = nil
	close(r.over)
	return true
}

// set begins a session; see FS.begins.
func (g *registrar) set(r *registration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.current = r
	close(g.changed)
	g.changed = make(chan struct{})
}

// fenced is called by whoever learns that r is over. What r had not flushed is lost; the keeper opens a new session.
func (f *FS) fenced(r *registration) {
	f.packMu.Lock() // what is packed meanwhile would belong to the next session
	defer f.packMu.Unlock()
	if !f.sessions.drop(r) {
		return
	}
	f.locks.lost(r)
	f.log.Error("the session was fenced; unflushed data and locks are lost, a new session is opened", "session", r.ID, "epoch", r.Epoch)
	for _, n := range f.dirty.all() {
		n.loseDirty(f, fs.ErrFenced)
	}
	f.loseLeases()
}

// begins makes r the current session, once all that was of the last one has been forgotten.
func (f *FS) begins(r *registration) {
	f.packMu.Lock()
	defer f.packMu.Unlock()
	f.sessions.set(r)
}
