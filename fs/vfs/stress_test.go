package vfs

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"dfs/fs"
	"dfs/raftmeta/localmeta"
)

// TestManyGoroutines_LeaveEveryFileWhole has each goroutine own the bytes at its offsets, in files shared by all, while
// flushes by age, fsyncs, truncations beyond the end, renames, reopenings and failing calls go on around it.
func TestManyGoroutines_LeaveEveryFileWhole(t *testing.T) {
	w := newWorld(t, localmeta.Config{TimeoutMillis: 60})
	m := w.mount(t, Config{FlushAge: 2 * time.Millisecond, DirtyMax: 100_000, BlobSize: 5000, InlineMax: 300, CacheSize: 100_000})
	const goroutines, files, rounds, stride = 8, 3, 60, 700
	for i := range files {
		m.create(fmt.Sprint("f", i))
	}
	for _, step := range []string{"stage", "stage.answer", "commit.answer", "get", "beat"} {
		m.sw.hook(step, func() error {
			if rand.N(20) == 0 {
				return fs.ErrUnavailable
			}
			return nil
		})
	}
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for round := range rounds {
				h := m.open(fmt.Sprint("f", round%files), rw)
				work(t, m, h, g, round)
				h.Release()
			}
		})
	}
	wg.Wait()
	other := w.mount(t, Config{})
	for i := range files {
		name := fmt.Sprint("f", i)
		m.open(name, rw).mustFlush(t)
		got := other.open(name, rw).content(t)
		for g := range goroutines {
			last := rounds - 1
			for last%files != i {
				last--
			}
			if want := mark(g, last); !bytes.Equal(got[g*stride:g*stride+len(want)], want) {
				t.Errorf("%s, goroutine %d: not its last round", name, g)
			}
		}
	}
	w.audit(t)
}

func mark(g, round int) []byte { return bytes.Repeat([]byte{byte(round)}, 100+g*60) }

func work(t *testing.T, m *mount, h *Handle, g, round int) {
	const stride = 700
	want := mark(g, round)
	if _, err := h.Write(ctxT(t), want, uint64(g*stride)); err != nil {
		t.Error(err)
		return
	}
	var err error
	switch rand.N(5) {
	case 0:
		err = h.Fsync(ctxT(t), false)
	case 1:
		_, err = m.Setattr(ctxT(t), h.Ino(), fs.Setattr{Set: fs.SetMode, Mode: uint32(round)})
	case 2:
		err = h.Allocate(ctxT(t), fs.Allocate{Mode: fs.AllocatePunch, Off: 8 * stride, Len: 1000, KeepSize: true})
	case 3:
		name := fmt.Sprint("g", g)
		if _, err = m.Link(ctxT(t), h.Ino(), fs.RootIno, name); err == nil {
			err = m.Unlink(ctxT(t), fs.RootIno, name)
		}
	}
	if err != nil {
		t.Error(err)
	}
	got := make([]byte, len(want))
	_, err = h.Read(ctxT(t), got, uint64(g*stride))
	for errors.Is(err, fs.ErrUnavailable) { // injected into every try of one read
		_, err = h.Read(ctxT(t), got, uint64(g*stride))
	}
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("goroutine %d does not read what it wrote: %s, %v", g, diff(got, want), err)
	}
}
