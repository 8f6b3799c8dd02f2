package raftmeta

import (
	"sync"

	"github.com/hashicorp/raft"
)

const (
	logCacheBytes = 16 << 20
	logCacheSlots = 4096
)

// logCache keeps the entries last stored, bounded in bytes: followers and the state machine ask for them a moment later.
// Entries in it are shared and never changed.
type logCache struct {
	mu    sync.Mutex
	limit int
	size  int
	from  uint64      // index of queue[0]
	queue []*raft.Log // consecutive indexes
}

func newLogCache(limit int) *logCache { return &logCache{limit: limit} }

func (c *logCache) get(index uint64, entry *raft.Log) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if index < c.from || index-c.from >= uint64(len(c.queue)) {
		return false
	}
	*entry = *c.queue[index-c.from]
	return true
}

func (c *logCache) put(entries []*raft.Log) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range entries {
		if len(c.queue) > 0 && e.Index != c.from+uint64(len(c.queue)) {
			c.clear()
		}
		if len(c.queue) == 0 {
			c.from = e.Index
		}
		c.queue = append(c.queue, e)
		c.size += len(e.Data)
	}
	n := 0
	for size := c.size; n < len(c.queue) && (size > c.limit || len(c.queue)-n > logCacheSlots); n++ {
		size -= len(c.queue[n].Data)
	}
	c.shift(n)
}

// drop forgets a range; since Raft deletes prefixes and suffixes only, forgetting more is fine.
func (c *logCache) drop(from, to uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case len(c.queue) == 0 || to < c.from:
	case from <= c.from && to < c.from+uint64(len(c.queue))-1:
		c.shift(int(to - c.from + 1))
	default:
		c.clear()
	}
}

// shift forgets the first n entries.
func (c *logCache) shift(n int) {
	for i := range n {
		c.size -= len(c.queue[i].Data)
		c.queue[i] = nil
	}
	c.queue = c.queue[n:]
	c.from += uint64(n)
}

func (c *logCache) clear() { c.queue, c.size, c.from = nil, 0, 0 }
