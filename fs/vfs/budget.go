package vfs

import (
	"context"
	"sync"
)

// budget bounds the dirty and flying bytes of a mount.
type budget struct {
	max int64

	mu    sync.Mutex
	used  int64
	freed chan struct{} // closed when used shrinks
}

func newBudget(max int64) *budget { return &budget{max: max, freed: make(chan struct{})} }

// take reserves n bytes. While they do not fit it waits, after calling pressed; what is larger than max fits alone.
func (b *budget) take(ctx context.Context, n int64, pressed func()) error {
	for {
		b.mu.Lock()
		if b.used == 0 || b.used+n <= b.max {
			b.used += n
			b.mu.Unlock()
			return nil
		}
		freed := b.freed
		b.mu.Unlock()
		pressed()
		select {
		case <-freed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (b *budget) give(n int64) {
	if n == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= n
	close(b.freed)
	b.freed = make(chan struct{})
}

func (b *budget) inUse() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}
