package vfs

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"dfs/fs"
	"dfs/raftmeta/localmeta"

	"pgregory.net/rapid"
)

func TestFragmentedFile_IsOverwrittenTruncatedAndClonedInSteps(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m := w.mount(t, Config{})
	h := m.create("f")
	const n = 3 * fs.ExtentsMax
	want := make([]byte, 2*n-1)
	for i := range n {
		want[2*i] = 'x'
		h.mustWrite(t, []byte("x"), uint64(2*i))
	}
	h.mustFlush(t)
	dst := m.create("g")
	if k, err := h.CopyTo(ctxT(t), dst, fs.Clone{Len: uint64(len(want))}); err != nil || k != uint64(len(want)) {
		t.Fatalf("copied %d, %v", k, err)
	}
	dst.mustBe(t, want)
	if err := dst.Allocate(ctxT(t), fs.Allocate{Mode: fs.AllocatePunch, Off: 1, Len: 2*n - 3, KeepSize: true}); err != nil {
		t.Fatal(err)
	}
	punched := make([]byte, len(want))
	punched[0], punched[len(want)-1] = 'x', 'x'
	dst.mustBe(t, punched)
	truncate(t, m, m.open("f", rw), 5)
	h.mustBe(t, []byte("x\x00x\x00x"))
	for i := range n { // again, and now over it
		h.mustWrite(t, []byte("x"), uint64(2*i))
	}
	h.mustFlush(t)
	h.mustWrite(t, pattern(1, 2*n), 0)
	h.mustFlush(t)
	h.mustBe(t, pattern(1, 2*n))
	w.audit(t)
}

// The finest operations that refusals may lead to must still fit one transaction.
func TestFinestFlush_FitsOneTransaction(t *testing.T) {
	f := &FS{cfg: Config{BlobSize: fs.BlobMax}}
	n := newInode(7)
	j := newJob(newRegistration(fs.Session{ID: 1}))
	j.span = spanMin
	one := make([]byte, 1)
	off := uint64(0)
	for s := (segment{0, make([]byte, fs.BlobMax-jobOpsMax)}); j.fits(int64(len(s.data)), fs.BlobMax); s = (segment{off, one}) {
		j.add(n, s, 1<<40)
		off = s.end() + 2*spanMin
	}
	if l := f.build(j); len(l.ops) > fs.TxOpsMax {
		t.Fatalf("%d operations of %d segments", len(l.ops), j.ops)
	}
}

// fragment makes a file of n inline extents of one byte, stride apart, faster than writes could.
func fragment(t *testing.T, m *mount, h *Handle, n, stride int) {
	t.Helper()
	const perTx = 64 << 10
	var ops []fs.Op
	w := &fs.Write{Ino: h.Ino(), Time: 1}
	for i := range n {
		w.Extents = append(w.Extents, fs.Extent{Off: uint64(i * stride), Len: 1, Data: []byte{1}})
		if len(w.Extents) == extentsPerOp || i == n-1 {
			ops = append(ops, w)
			w = &fs.Write{Ino: h.Ino(), Time: 1}
		}
		if len(ops) == perTx/extentsPerOp || i == n-1 {
			if _, err := m.do(ctxT(t), ops...); err != nil {
				t.Fatal(err)
			}
			ops = nil
		}
	}
	m.attr(h.Ino())
}

// Over so many extents no operation is too much, but all that a blob's bytes need are together.
func TestFlushThatIsTooMuchForOneTransaction_TakesSeveral(t *testing.T) {
	const stride, n = 8, fs.TxExtentsMax + fs.TxExtentsMax/8
	w := newWorld(t, localmeta.Config{})
	m := w.mount(t, Config{OpTimeout: 30 * time.Second})
	h := m.create("f")
	fragment(t, m, h, n, stride)
	other := m.create("g")
	other.mustWrite(t, []byte("small"), 0)
	want := pattern(1, stride*n)
	h.mustWrite(t, want, 0)
	setattr(t, m, h.Ino(), mtime(42))
	if err := m.Sync(ctxT(t)); err != nil {
		t.Fatal(err)
	}
	h.mustBe(t, want)
	v := w.mount(t, Config{})
	v.open("f", rw).mustBe(t, want)
	v.open("g", rw).mustBe(t, []byte("small"))
	if a := v.attr(h.Ino()); a.Mtime != 42 {
		t.Fatalf("mtime is %d", a.Mtime)
	}
	if m.budget.inUse() != 0 {
		t.Fatal("flushed data is still counted")
	}
	w.audit(t)
}

// strict is a leader with lower bounds: a Write may span so many bytes, and a transaction have so many Writes.
type strict struct {
	fs.Meta
	span      uint64
	writes    int
	decisions int
}

func (s *strict) Commit(ctx context.Context, tx *fs.Tx) (*fs.TxResult, error) {
	writes := 0
	for i, op := range tx.Ops {
		if w, ok := op.(*fs.Write); ok {
			writes++
			span := w.Extents[len(w.Extents)-1].End() - w.Extents[0].Off
			if writes > s.writes || span > s.span {
				return &fs.TxResult{Err: fs.CodeTooManyExtents, Failed: i}, nil
			}
		}
	}
	s.decisions += min(writes, 1)
	return s.Meta.Commit(ctx, tx)
}

// Each bound is met, and everything is flushed once: what is divided is neither lost nor mixed up.
func TestDividedFlush_KeepsEveryByteAndItsOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, localmeta.Config{})
		line := &strict{span: rapid.Uint64Range(spanMin, 4*spanMin).Draw(rt, "span"), writes: rapid.IntRange(1, 5).Draw(rt, "writes")}
		w.wrap = func(m fs.Meta) fs.Meta { line.Meta = m; return line }
		m := w.start(t, Config{NoAtime: true, InlineMax: rapid.SampledFrom([]int{-1, 1000, fs.InlineMax}).Draw(rt, "inline")})
		w.wrap = nil
		other := w.start(t, Config{})
		want := make([][]byte, 3)
		handles := make([]*Handle, len(want))
		for i := range want {
			_, h, err := m.Create(ctxT(t), Caller{}, fs.RootIno, fmt.Sprint(i), 0o644, rw)
			if err != nil {
				rt.Fatal(err)
			}
			handles[i] = h
			for range rapid.IntRange(0, 5).Draw(rt, "pieces") {
				off, n := drawRange(rt)
				p := pattern(off+i, n)
				h.mustWrite(t, p, uint64(off))
				want[i] = append(want[i], make([]byte, max(0, off+n-len(want[i])))...)
				copy(want[i][off:], p)
			}
			if rapid.Bool().Draw(rt, "times") {
				setattr(t, m, h.Ino(), mtime(fs.Time(i)))
			}
		}
		if err := m.Sync(ctxT(t)); err != nil {
			rt.Fatal(err)
		}
		for i, h := range handles {
			h.mustBe(t, want[i])
			compareAttrs(rt, "the other mount sees", other.attr(h.Ino()), m.attr(h.Ino()))
			_, h2, _, err := other.FS.Open(ctxT(t), h.Ino(), rw)
			if err != nil {
				rt.Fatal(err)
			}
			h2.mustBe(t, want[i])
			h.Release()
			h2.Release()
		}
		if m.budget.inUse() != 0 {
			rt.Fatal("flushed data is still counted")
		}
		for _, m := range []*mount{m, other} {
			if err := m.Close(ctxT(t)); err != nil {
				rt.Fatal(err)
			}
		}
		if err := w.meta.Check(); err != nil {
			rt.Fatal(err)
		}
	})
}

// A crash between the transactions of one job leaves its front.
func TestCrashInADividedFlush_LeavesItsFront(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	line := &strict{span: spanMin, writes: 1}
	w.wrap = func(m fs.Meta) fs.Meta { line.Meta = m; return line }
	m := w.start(t, Config{})
	w.wrap = nil
	h := m.create("f")
	h.mustWrite(t, bytes.Repeat([]byte{1}, 8*spanMin), 0)
	setattr(t, m, h.Ino(), mtime(42))
	crashed, once := make(chan struct{}), sync.Once{}
	m.sw.hook("flush.decide.before", func() error {
		if line.decisions < 3 {
			return nil
		}
		m.sw.set("*", fs.ErrUnavailable)
		once.Do(func() { close(crashed) })
		return fs.ErrUnavailable
	})
	m.launch(m.dirty.all(), (*segments).takeAll)
	select {
	case <-crashed:
	case <-ctxT(t).Done():
		t.Fatal("the flush does not come to its fourth transaction")
	}
	m.abandon()
	if err := w.meta.ExpireAll(); err != nil {
		t.Fatal(err)
	}
	w.dropUndecided(t)
	v := w.mount(t, Config{})
	v.open("f", rw).mustBe(t, bytes.Repeat([]byte{1}, 3*spanMin))
	if v.attr(h.Ino()).Mtime == 42 {
		t.Fatal("the times came before all of their data")
	}
	w.audit(t)
}
