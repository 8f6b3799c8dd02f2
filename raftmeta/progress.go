package raftmeta

import (
	"context"
	"sync"
)

// progress is the Raft index up to which the state machine has applied the log, for those who wait for it. Only indexes
// that reach the state machine count (see fsm.ApplyBatch), and those of barriers, which the leader adds.
type progress struct {
	mu      sync.Mutex
	index   uint64
	changed chan struct{} // closed and replaced at every change
}

func newProgress() *progress { return &progress{changed: make(chan struct{})} }

// advance raises the index; a lower one is passed over.
func (p *progress) advance(index uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if index > p.index {
		p.index = index
		close(p.changed)
		p.changed = make(chan struct{})
	}
}

// now returns the index and a channel that is closed when it changes.
func (p *progress) now() (uint64, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.index, p.changed
}

// wait returns when the index is reached, or with ctx's error.
func (p *progress) wait(ctx context.Context, index uint64) error {
	for {
		at, changed := p.now()
		if at >= index {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
