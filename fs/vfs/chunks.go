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
	fetch func(w want, run []*chunk) // fills run and settles each

	mu   sync.Mutex
	have map[chunkKey]*chunk
	lru  *list.List // of *chunk that are loaded, the least recently used in front
	size int
}

// chunkKey is a run of bytes of a blob, within one of its chunks. It is the whole chunk, but for a session that is given the
// bytes of its own files only: then it is what one extent maps of the chunk.
type chunkKey struct {
	blob     fs.BlobID
	from, to uint32
}

// want is what is fetched of a blob at once.
type want struct {
	info     *fs.BlobInfo
	from, to uint32
	claim    *blob.Claim // about the byte at from; nil: none is made
}

// chunk is filled once; data and err may be read when ready is closed, by whoever holds the chunk, cached or not.
type chunk struct {
	key   chunkKey
	ready chan struct{}
	data  []byte
	err   error
	place *list.Element // guarded by chunks.mu
}

func newChunks(max int, fetch func(want, []*chunk)) *chunks {
	return &chunks{max: max, fetch: fetch, have: make(map[chunkKey]*chunk), lru: list.New()}
}

// start returns the chunks that cover [off, off+n) of a blob and has the missing ones fetched.
func (c *chunks) start(info *fs.BlobInfo, off, n uint32) []*chunk {
	first := off / blob.ChunkSize * blob.ChunkSize
	return c.cover(want{info: info, from: first, to: min(off+n+blob.ChunkSize-1-(off+n-1)%blob.ChunkSize, info.Length)})
}

// startClaimed is start for what a piece of a file maps. What is fetched, and kept, is what its whole extent maps of the
// chunks, however much of it is read.
func (c *chunks) startClaimed(p *piece, claim blob.Claim) []*chunk {
	whole := &p.whole
	from := uint32(max(p.BlobOff/blob.ChunkSize*blob.ChunkSize, whole.BlobOff))
	end := p.BlobOff + p.Len
	to := uint32(min(end+blob.ChunkSize-1-(end-1)%blob.ChunkSize, whole.BlobOff+whole.Len))
	claim.Off = whole.Off + (uint64(from) - whole.BlobOff)
	return c.cover(want{&p.blob, from, to, &claim})
}

// cover returns the chunks of what is wanted and has the missing ones fetched.
func (c *chunks) cover(w want) []*chunk {
	list := make([]*chunk, 0, (w.to-w.from)/blob.ChunkSize+2)
	var runs [][]*chunk
	c.mu.Lock()
	for from := w.from; from < w.to; {
		key := chunkKey{w.info.ID, from, min((from/blob.ChunkSize+1)*blob.ChunkSize, w.to)}
		ch := c.have[key]
		if ch == nil {
			ch = &chunk{key: key, ready: make(chan struct{})}
			c.have[key] = ch
			runs = extend(runs, ch)
		} else if ch.place != nil {
			c.lru.MoveToBack(ch.place)
		}
		list = append(list, ch)
		from = key.to
	}
	c.mu.Unlock()
	for _, run := range runs {
		c.fetch(w.part(run[0].key.from, run[len(run)-1].key.to), run)
	}
	return list
}

// part is a part of what is wanted.
func (w want) part(from, to uint32) want {
	if w.claim != nil {
		claim := *w.claim
		claim.Off += uint64(from - w.from)
		w.claim = &claim
	}
	w.from, w.to = from, to
	return w
}

// extend adds a chunk to the last run if it continues it and the run may grow.
func extend(runs [][]*chunk, ch *chunk) [][]*chunk {
	if k := len(runs) - 1; k >= 0 {
		last := runs[k][len(runs[k])-1]
		if last.key.to == ch.key.from && len(runs[k]) < fetchMax/blob.ChunkSize {
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
		n := int(ch.key.to - ch.key.from)
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
