package vfs

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"dfs/fs"
	"dfs/raftmeta/localmeta"
	"dfs/raftmeta/state"
)

// limited is a world with a limit to the bytes of the whole tree.
func limited(t *testing.T, bytes uint64) *world {
	t.Helper()
	w := newWorld(t, localmeta.Config{Nodes: []fs.NodeInfo{{ID: "n1"}}})
	err := w.meta.SetQuota(fs.QuotaOf{}, &fs.LimitChange{SetBytes: true, Limits: fs.Limits{Bytes: bytes}})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// used is what the whole tree uses, in bytes.
func (w *world) used(t testing.TB) (bytes uint64) {
	t.Helper()
	w.meta.View(func(v state.View) {
		list, err := v.Quotas(fs.QuotaID{}, 1, false)
		if err != nil || len(list) != 1 {
			t.Fatalf("%+v, %v", list, err)
		}
		bytes = list[0].Used.Bytes
	})
	if err := w.meta.Check(); err != nil {
		t.Fatal(err)
	}
	return bytes
}

// knows waits until the mount has heard that there are limits.
func (m *mount) knows() *mount {
	for !m.nodes.limited() {
		time.Sleep(time.Millisecond)
	}
	return m
}

func TestWrite_TakesAllThatTheQuotaLeavesAndThenSaysSo(t *testing.T) {
	const limit = 10<<20 + 12345
	for _, step := range []int{1 << 20, 3<<20 + 1, 100_000, 12 << 20} {
		synctest.Test(t, func(t *testing.T) {
			w := limited(t, limit)
			m := w.start(t, Config{FlushAge: time.Second}).knows()
			h := m.create("f")
			total := 0
			for {
				n, err := h.Write(ctxT(t), make([]byte, step), uint64(total))
				total += n
				if err != nil {
					mustBeErr(t, err, fs.ErrQuota)
					break
				}
				if n == 0 {
					t.Fatal("nothing was written, without an error")
				}
			}
			if total != limit {
				t.Fatalf("%d bytes were taken in steps of %d, of %d", total, step, limit)
			}
			// The error has been told: neither close nor anybody else hears of it again, and nothing is lost.
			h.mustFlush(t)
			if err := errors.Join(h.Flush(ctxT(t)), m.Sync(ctxT(t))); err != nil {
				t.Fatal(err)
			}
			if used := w.used(t); used != limit {
				t.Fatalf("%d bytes are used, of %d", used, limit)
			}
			h.mustWrite(t, make([]byte, 5000), 7000) // over what is there
			if _, err := m.FS.Setattr(ctxT(t), h.n.ino, fs.Setattr{Set: fs.SetSize, Size: 1 << 20}); err != nil {
				t.Fatal(err)
			}
			h.mustWrite(t, make([]byte, 1<<20), 1<<20)
			h.mustFlush(t)
			if used := w.used(t); used != 2<<20 {
				t.Fatalf("%d bytes are used", used)
			}
			h.Release()
			if err := m.Close(ctxT(t)); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// Two mounts write as fast as they can. Whoever is told that a write succeeded finds it flushed: no error comes late.
func TestWrite_TwoMountsShareAQuotaExactly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 40<<20 + 777
		w := limited(t, limit)
		var total atomic.Int64
		var writers sync.WaitGroup
		var mounts []*mount
		for _, name := range []string{"a", "b"} {
			m := w.start(t, Config{FlushAge: time.Second}).knows()
			mounts = append(mounts, m)
			for _, file := range []string{"1", "2"} {
				h := m.create(name + file)
				writers.Go(func() {
					defer h.Release()
					for off := uint64(0); ; {
						n, err := h.Write(ctxT(t), make([]byte, 300_000), off)
						off += uint64(n)
						total.Add(int64(n))
						if err != nil {
							mustBeErr(t, err, fs.ErrQuota)
							break
						}
						time.Sleep(time.Millisecond)
					}
					if err := h.Flush(ctxT(t)); err != nil {
						t.Errorf("a write was taken, and is lost: %v", err)
					}
				})
			}
		}
		writers.Wait()
		if used := w.used(t); used != limit || total.Load() != limit {
			t.Errorf("%d bytes were taken and %d are used, of %d", total.Load(), used, limit)
		}
		for _, m := range mounts {
			if err := errors.Join(m.Sync(ctxT(t)), m.Close(ctxT(t))); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestWrite_AsksForNoRoomWhereThereAreNoLimits(t *testing.T) {
	w := newWorld(t, localmeta.Config{Nodes: []fs.NodeInfo{{ID: "n1"}}})
	m := w.mount(t, Config{})
	h := m.create("f")
	for n := range 100 {
		h.mustWrite(t, make([]byte, 1000), uint64(n)*1000)
	}
	if n := m.sw.count("room"); n != 0 {
		t.Errorf("asked %d times", n)
	}
	if err := w.meta.SetQuota(fs.QuotaOf{}, &fs.LimitChange{SetBytes: true, Limits: fs.Limits{Bytes: 1 << 40}}); err != nil {
		t.Fatal(err)
	}
	m.knows()
	for n := range 100 {
		h.mustWrite(t, make([]byte, 1000), uint64(n)*1000)
	}
	if n := m.sw.count("room"); n != 1 {
		t.Errorf("asked %d times, for what one grant covers", n)
	}
}

// What cannot be asked for is not taken into memory on trust.
func TestWrite_WithoutAnAnswerAboutRoomItIsFlushedAtOnce(t *testing.T) {
	w := limited(t, 1<<30)
	m := w.mount(t, Config{}).knows()
	h := m.create("f")
	m.sw.set("room", fs.ErrInvalid)
	h.mustWrite(t, []byte("data"), 0)
	if h.n.isUnflushed() {
		t.Error("it is in memory only")
	}
	h.mustBe(t, []byte("data"))
}

// Where nothing is left, nothing comes of waiting for others, and who asks for the file would wait, too.
func TestWrite_WithNothingLeftWaitsForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := limited(t, 1<<20)
		a, b := w.start(t, Config{FlushAge: time.Second}).knows(), w.start(t, Config{FlushAge: time.Second}).knows()
		ha, hb := a.create("a"), b.create("b")
		ha.mustWrite(t, []byte("of a grant"), 0)
		ha.mustFlush(t)
		err := w.meta.SetQuota(fs.QuotaOf{}, &fs.LimitChange{SetBytes: true, Limits: fs.Limits{Bytes: 1}})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		_, err = hb.Write(ctxT(t), []byte("x"), 0)
		mustBeErr(t, err, fs.ErrQuota)
		if waited := time.Since(began); waited > roomPause {
			t.Errorf("it waited for %v", waited)
		}
		ha.Release()
		hb.Release()
		if err := errors.Join(a.Close(ctxT(t)), b.Close(ctxT(t))); err != nil {
			t.Fatal(err)
		}
	})
}

// At a limit each of many writers is told so, by a question of its own that waits for no other's.
func TestWrite_ManyWritersAtALimitAreAllToldSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const writers = 128
		w := limited(t, 1<<20)
		m := w.start(t, Config{FlushAge: time.Second, OpTimeout: 5 * time.Second}).knows()
		var files []*Handle
		for n := range writers {
			files = append(files, m.create(fmt.Sprint("f", n)))
		}
		m.sw.hook("commit", func() error { time.Sleep(20 * time.Millisecond); return nil }) // as a cluster takes
		m.sw.hook("room", func() error { time.Sleep(time.Millisecond); return nil })
		began := time.Now()
		var total atomic.Int64
		var all sync.WaitGroup
		for _, h := range files {
			all.Go(func() {
				defer h.Release()
				for off := uint64(0); ; {
					n, err := h.Write(ctxT(t), make([]byte, 30_000), off)
					off += uint64(n)
					total.Add(int64(n))
					if err != nil {
						mustBeErr(t, err, fs.ErrQuota)
						return
					}
				}
			})
		}
		all.Wait()
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %v", took)
		}
		if used := w.used(t); used != 1<<20 || total.Load() != 1<<20 {
			t.Errorf("%d bytes were taken and %d are used", total.Load(), used)
		}
		if err := m.Close(ctxT(t)); err != nil {
			t.Fatal(err)
		}
	})
}

// Who waits for room holds up nobody who wants the file.
func TestWrite_ThatWaitsForRoomGivesTheFileAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := limited(t, 1<<20)
		a, b := w.start(t, Config{FlushAge: time.Hour}).knows(), w.start(t, Config{FlushAge: time.Hour}).knows()
		ha, hb := a.create("a"), b.create("b")
		hb.mustWrite(t, make([]byte, 1000), 0) // on a grant of half of what there is
		done := make(chan error, 1)
		go func() {
			_, err := ha.Write(ctxT(t), make([]byte, 900_000), 0)
			done <- err
		}()
		time.Sleep(10 * time.Millisecond)
		if len(done) > 0 {
			t.Fatal("it does not wait for room:", <-done)
		}
		began := time.Now()
		at, err := b.Lookup(ctxT(t), fs.RootIno, "a")
		if err == nil {
			_, err = b.FS.Setattr(ctxT(t), at.Ino, fs.Setattr{Set: fs.SetMode, Mode: 0o600})
		}
		if waited := time.Since(began); err != nil || waited > roomPause {
			t.Errorf("another mount waits for %v, %v", waited, err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		ha.Release()
		hb.Release()
		if err := errors.Join(a.Close(ctxT(t)), b.Close(ctxT(t))); err != nil {
			t.Fatal(err)
		}
	})
}

func TestWritePages_WaitsForNoRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := limited(t, 1<<20)
		a, b := w.start(t, Config{FlushAge: time.Hour}).knows(), w.start(t, Config{FlushAge: time.Hour}).knows()
		ha, hb := a.create("a"), b.create("b")
		hb.mustWrite(t, make([]byte, 1000), 0)
		began := time.Now()
		if n, err := ha.WritePages(ctxT(t), make([]byte, 900_000), 0); n != 900_000 || err != nil {
			t.Fatal(n, err)
		}
		if waited := time.Since(began); waited > 0 {
			t.Errorf("it has waited for %v", waited)
		}
		ha.mustFlush(t)
		if n, err := ha.WritePages(ctxT(t), make([]byte, 900_000), 900_000); n != 900_000 || err != nil {
			t.Fatal(n, err)
		}
		mustBeErr(t, ha.Fsync(ctxT(t), false), fs.ErrQuota)
		ha.Release()
		hb.Release()
		if err := errors.Join(a.Close(ctxT(t)), b.Close(ctxT(t))); err != nil && !errors.Is(err, fs.ErrQuota) {
			t.Fatal(err)
		}
	})
}
