package vfs

import (
	"testing"
	"time"

	"dfs/raftmeta/localmeta"
)

// BenchmarkSequentialWrite measures the engine alone: the store and the metadata are memory.
func BenchmarkSequentialWrite(b *testing.B) {
	w := newWorld(b, localmeta.Config{})
	m := w.mount(b, Config{FlushAge: time.Second})
	h := m.create("f")
	p := pattern(1, 1<<20)
	b.SetBytes(int64(len(p)))
	for i := 0; b.Loop(); i++ {
		h.mustWrite(b, p, uint64(i%1024)<<20)
	}
	h.mustFlush(b)
}

func BenchmarkSequentialRead(b *testing.B) {
	w := newWorld(b, localmeta.Config{})
	m := w.mount(b, Config{})
	h := m.create("f")
	const size = 256
	for i := range size {
		h.mustWrite(b, pattern(i, 1<<20), uint64(i)<<20)
	}
	h.mustFlush(b)
	p := make([]byte, 1<<20)
	b.SetBytes(int64(len(p)))
	for i := 0; b.Loop(); i++ {
		if _, err := h.Read(ctxT(b), p, uint64(i%size)<<20); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSmallFile(b *testing.B) {
	w := newWorld(b, localmeta.Config{})
	m := w.mount(b, Config{})
	h := m.create("f")
	p := pattern(1, 2000)
	for b.Loop() {
		h.mustWrite(b, p, 0)
		h.mustFlush(b)
	}
}
