package fusefs

import (
	"fmt"
	"sync"
)

// handles maps the numbers that the kernel knows open files by to what is open. The zero value is empty and ready. A
// number is never used twice, so that a late request meets no stranger.
type handles[T any] struct {
	mu   sync.RWMutex
	last uint64
	open map[uint64]T
}

func (h *handles[T]) add(v T) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open == nil {
		h.open = make(map[uint64]T)
	}
	h.last++
	h.open[h.last] = v
	return h.last
}

func (h *handles[T]) get(fh uint64) (T, error) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	v, ok := h.open[fh]
	if !ok {
		return v, fmt.Errorf("handle %d: %w", fh, errBadHandle)
	}
	return v, nil
}

func (h *handles[T]) remove(fh uint64) (T, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	v, ok := h.open[fh]
	delete(h.open, fh)
	return v, ok
}

func (h *handles[T]) count() int {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return len(h.open)
}

// drain empties the table and returns what was in it.
func (h *handles[T]) drain() []T {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make([]T, 0, len(h.open))
	for _, v := range h.open {
		all = append(all, v)
	}
	h.open = nil
	return all
}
