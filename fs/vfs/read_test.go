package vfs

import (
	"bytes"
	"sync"
	"testing"

	"dfs/fs"
	"dfs/raftmeta/localmeta"
)

func TestSequentialReader_FindsItsDataFetchedAhead(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	a := w.mount(t, Config{})
	want := pattern(1, 24<<20)
	h := a.create("f")
	h.mustWrite(t, want, 0)
	h.mustFlush(t)
	b := w.mount(t, Config{ReadAhead: 4 << 20})
	hb := b.open("f", rw)
	const step = 128 << 10
	p := make([]byte, step)
	for off := 0; off < 3<<20; off += step {
		if _, err := hb.Read(ctxT(t), p, uint64(off)); err != nil || !bytes.Equal(p, want[off:off+step]) {
			t.Fatalf("read at %d: %v", off, err)
		}
	}
	eventually(t, "data is fetched ahead", func() bool { return b.chunks.bytes() >= 6<<20 })
	if n := b.chunks.bytes(); n > 9<<20 {
		t.Fatalf("%d bytes were fetched for a reader at 3 MiB", n)
	}
	if calls := b.sw.count("get"); calls > 24 {
		t.Fatalf("%d fetches", calls)
	}
}

func (c *chunks) bytes() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.size
}

func TestRandomReader_FetchesLittleMoreThanItReads(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	a := w.mount(t, Config{})
	h := a.create("f")
	h.mustWrite(t, pattern(1, 20<<20), 0)
	h.mustFlush(t)
	b := w.mount(t, Config{})
	hb := b.open("f", rw)
	for i := range 20 {
		off := uint64(i*7%20) << 20
		if _, err := hb.Read(ctxT(t), make([]byte, 4096), off+500_000); err != nil {
			t.Fatal(err)
		}
	}
	if n := b.chunks.bytes(); n > 20*2*64<<10+1<<20 {
		t.Fatalf("%d bytes were fetched", n)
	}
}

func TestChunks_StayWithinTheirBound(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m := w.mount(t, Config{CacheSize: 300_000})
	h := m.create("f")
	want := pattern(1, 5<<20)
	h.mustWrite(t, want, 0)
	h.mustFlush(t)
	h.mustBe(t, want)
	eventually(t, "the cache is within its bound", func() bool { return m.chunks.bytes() <= 300_000 })
}

func TestConcurrentReaders_ShareOneFetch(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m := w.mount(t, Config{ReadAhead: -1})
	h := m.create("f")
	h.mustWrite(t, pattern(1, 60_000), 0)
	h.mustFlush(t)
	g := m.block("get")
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			if _, err := h.Read(ctxT(t), make([]byte, 100), 0); err != nil {
				t.Error(err)
			}
		})
	}
	<-g.reached
	close(g.open)
	wg.Wait()
	if n := m.sw.count("get"); n != 1 {
		t.Fatalf("%d fetches", n)
	}
}

func TestReadBehindTheKnownEnd_SeesWhatAnotherMountAppended(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	a, b := w.mount(t, Config{}), w.mount(t, Config{})
	ha := a.create("f")
	hb := b.open("f", rw)
	ha.mustWrite(t, []byte("appended"), 0)
	ha.mustFlush(t)
	p := make([]byte, 20)
	if n, err := hb.Read(ctxT(t), p, 0); err != nil || string(p[:n]) != "appended" {
		t.Fatalf("%q, %v", p[:n], err)
	}
}

func TestHugeHole_CostsNothing(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m := w.mount(t, Config{})
	h := m.create("f")
	h.mustWrite(t, []byte("end"), fs.SizeMax-3)
	h.mustFlush(t)
	p := bytes.Repeat([]byte{1}, 10)
	if n, err := h.Read(ctxT(t), p, fs.SizeMax-10); n != 10 || err != nil || string(p) != "\x00\x00\x00\x00\x00\x00\x00end" {
		t.Fatalf("%d, %q, %v", n, p, err)
	}
	_, err := h.Write(ctxT(t), []byte("x"), fs.SizeMax)
	mustBeErr(t, err, fs.ErrFileTooBig)
	if at, err := h.Seek(ctxT(t), 0, SeekData); err != nil || at != fs.SizeMax-3 {
		t.Fatalf("data at %d, %v", at, err)
	}
	truncate(t, m, h, 0)
	h.mustBe(t, nil)
}

func TestSeekHole_FindsTheEndOfAFileThatIsTooFragmentedToBeRemembered(t *testing.T) {
	w := newWorld(t, localmeta.Config{InlineMax: 5}) // so that neighbours are not joined
	m := w.mount(t, Config{})
	h := m.create("f")
	size := uint64(0)
	for size < 3*(layoutExtentsMax+10*fs.LayoutMax) {
		var ops []fs.Op
		for range 8 {
			op := &fs.Write{Ino: h.Ino(), Time: 1}
			for range extentsPerOp {
				op.Extents = append(op.Extents, fs.Extent{Off: size, Len: 3, Data: []byte{1, 2, 3}})
				size += 3
			}
			ops = append(ops, op)
		}
		if _, err := m.do(ctxT(t), ops...); err != nil {
			t.Fatal(err)
		}
	}
	if at, err := h.Seek(ctxT(t), 5, SeekHole); err != nil || at != size {
		t.Fatalf("hole at %d, %v, want the end, %d", at, err, size)
	}
}
