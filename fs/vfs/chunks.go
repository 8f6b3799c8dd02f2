package vfs

import (
	"container/list"
	"context"
	"sync"

	"dfs/blob"
	"dfs/fs"
)

// fetchMax is how many bytes of a blob one call fetches; a multiple of blob.ChunkSize.
const fetchMax = 1 << 20

// chunks caches verified chunks of blobs, least recently used out first. Blobs are immutable and their ids never reused,
// so nothing in it ever becomes wrong.
type chunks struct {
	max   int
	fetch func(info *fs.BlobInfo, from, to uint32, run []*chunk) // fills run and settles each

	mu   sync.Mutex
	have map[chunkKey]*chunk
	lru  *list.List // of *chunk that are loaded, the least recently used in front
	size int
}

type chunkKey struct {
	blob  fs.BlobID
	index uint32
}

// chunk is filled once; data and err may be read when ready is closed, by whoever holds the chunk, cached or not.
type chunk struct {
	key   chunkKey
	ready chan struct{}
	data  []byte
	err   error
	place *list.Element // guarded by chunks.mu
}

func newChunks(max int, fetch func(*fs.BlobInfo, uint32, uint32, []*chunk)) *chunks {
	return &chunks{max: max, fetch: fetch, have: make(map[chunkKey]*chunk), lru: list.New()}
}

// start returns the chunks that cover [off, off+n) of a blob and has the missing ones fetched.
func (c *chunks) start(info *fs.BlobInfo, off, n uint32) []*chunk {
	first, last := off/blob.ChunkSize, (off+n-1)/blob.ChunkSize
	list := make([]*chunk, 0, last-first+1)
	var runs [][]*chunk
	c.mu.Lock()
	for i := first; i <= last; i++ {
		key := chunkKey{info.ID, i}
		ch := c.have[key]
		if ch == nil {
			ch = &chunk{key: key, ready: make(chan struct{})}
			c.have[key] = ch
			runs = extend(runs, ch)
		} else if ch.place != nil {
			c.lru.MoveToBack(ch.place)
		}
		list = append(list, ch)
	}
	c.mu.Unlock()
	for _, run := range runs {
		from := run[0].key.index * blob.ChunkSize
		to := min(from+uint32(len(run))*blob.ChunkSize, info.Length)
		c.fetch(info, from, to, run)
	}
	return list
}

// extend adds a chunk to the last run if it continues it and the run may grow.
func extend(runs [][]*chunk, ch *chunk) [][]*chunk {
	if k := len(runs) - 1; k >= 0 {
		last := runs[k][len(runs[k])-1]
		if last.key.index+1 == ch.key.index && len(runs[k]) < fetchMax/blob.ChunkSize {
			runs[k] = append(runs[k], ch)
			return runs
		}
	}
	return append(runs, []*chunk{ch})
}

// settle makes a fetched run ready: data holds its bytes, or err says why there are none; then it is not kept.
func (c *chunks) settle(run []*chunk, data []byte, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, ch := range run {
		if err != nil {
			ch.err = err
			delete(c.have, ch.key)
			close(ch.ready)
			continue
		}
		// A copy, so that one chunk in use does not keep its whole run in memory.
		n := min(len(data), blob.ChunkSize)
		ch.data = append(make([]byte, 0, n), data[:n]...)
		data = data[n:]
		ch.place = c.lru.PushBack(ch)
		c.size += n
		close(ch.ready)
	}
	for c.size > c.max && c.lru.Len() > 0 {
		old := c.lru.Remove(c.lru.Front()).(*chunk)
		c.size -= len(old.data)
		delete(c.have, old.key)
	}
}

// await waits for a chunk.
func (ch *chunk) await(ctx context.Context) ([]byte, error) {
	select {
	case <-ch.ready:
		return ch.data, ch.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
