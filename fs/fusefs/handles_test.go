package fusefs

import (
	"errors"
	"sync"
	"testing"
)

func TestHandles_AreNeverUsedTwice(t *testing.T) {
	var h handles[int]
	first := h.add(1)
	if v, err := h.get(first); v != 1 || err != nil {
		t.Errorf("%d, %v", v, err)
	}
	if v, ok := h.remove(first); v != 1 || !ok {
		t.Errorf("%d, %v", v, ok)
	}
	if second := h.add(2); second == first || first == 0 {
		t.Errorf("handles %d and %d", first, second)
	}
	if _, err := h.get(first); !errors.Is(err, errBadHandle) {
		t.Error(err)
	}
	if _, ok := h.remove(first); ok {
		t.Error("removed twice")
	}
	if all := h.drain(); len(all) != 1 || all[0] != 2 || h.count() != 0 {
		t.Errorf("drained %v, %d left", all, h.count())
	}
}

func TestHandles_ServeManyAtOnce(t *testing.T) {
	var h handles[int]
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			for range 100 {
				fh := h.add(i)
				if v, err := h.get(fh); v != i || err != nil {
					t.Errorf("%d, %v", v, err)
				}
				h.remove(fh)
			}
		})
	}
	all.Wait()
	if h.count() != 0 {
		t.Errorf("%d left", h.count())
	}
}
