package replica

import (
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"dfs/fs"
)

// observed is an Observer that notes by node how each request ended.
type observed struct {
	mu   sync.Mutex
	ends map[fs.NodeID][]error
}

func (o *observed) Begin(node fs.NodeID, _ Request) func(error) {
	return func(err error) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.ends[node] = append(o.ends[node], err)
	}
}

func (o *observed) expect(t *testing.T, want map[fs.NodeID][]error) {
	t.Helper()
	same := func(got, want []error) bool { return slices.EqualFunc(got, want, errors.Is) }
	if !maps.EqualFunc(o.ends, want, same) {
		t.Errorf("observed %v, want %v", o.ends, want)
	}
}

func TestObserver_HoldsNothingAgainstANodeThatWeCancelled(t *testing.T) {
	simulate(t, 3, func(t *testing.T, c *cluster) {
		if _, _, err := c.stage(1); err != nil {
			t.Fatal(err)
		}
		o := &observed{ends: map[fs.NodeID][]error{}}
		c.set.cfg.Observer = o
		c.disks["a"].delay = hangs // its answer is not waited for
		if _, err := c.get(1, "a", "b", "c"); err != nil {
			t.Fatal(err)
		}
		o.expect(t, map[fs.NodeID][]error{"a": {nil}, "b": {nil}})
	})
}

func TestObserver_HearsOfFailuresAndEachEndOnce(t *testing.T) {
	simulate(t, 4, func(t *testing.T, c *cluster) {
		o := &observed{ends: map[fs.NodeID][]error{}}
		c.set.cfg.Observer = o
		c.disks["a"].delay, c.disks["a"].err = 5*time.Millisecond, fs.ErrUnavailable
		c.disks["b"].delay = 3 * time.Millisecond
		if _, _, err := c.stage(1); err != nil {
			t.Fatal(err)
		}
		o.expect(t, map[fs.NodeID][]error{"a": {fs.ErrUnavailable}, "b": {nil}, "c": {nil}, "d": {nil}})
	})
}
