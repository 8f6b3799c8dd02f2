package vfs

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"dfs/fs"
	"dfs/raftmeta/localmeta"
	"dfs/raftmeta/state"
)

func TestNoSpace_IsReportedOnceByEachHandle(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m := w.mount(t, Config{})
	h := m.create("f")
	h2 := m.open("f", rw)
	h.mustWrite(t, pattern(1, 100_000), 0)
	m.sw.set("stage", fs.ErrNoSpace)
	mustBeErr(t, h.Fsync(ctxT(t), false), fs.ErrNoSpace)
	mustBeErr(t, h2.Flush(ctxT(t)), fs.ErrNoSpace)
	m.sw.set("stage", nil)
	for _, h := range []*Handle{h, h2, m.open("f", rw)} {
		if err := h.Fsync(ctxT(t), false); err != nil {
			t.Fatalf("reported twice: %v", err)
		}
	}
	h.mustBe(t, nil)
	if m.budget.inUse() != 0 {
		t.Fatal("lost data is still counted")
	}
}

func TestLateErrorNobodySaw_IsReportedByTheNextOpener(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m := w.mount(t, Config{})
	m.create("other")
	_, h, err := m.Create(ctxT(t), Caller{}, fs.RootIno, "f", 0o644, rw)
	if err != nil {
		t.Fatal(err)
	}
	m.sw.set("stage", fs.ErrNoSpace)
	h.mustWrite(t, pattern(1, 100_000), 0)
	h.Release()
	mustBeErr(t, m.Sync(ctxT(t)), fs.ErrNoSpace)
	m.sw.set("stage", nil)
	if err := m.Sync(ctxT(t)); err != nil {
		t.Fatalf("reported again: %v", err)
	}
	mustBeErr(t, m.open("f", rw).Fsync(ctxT(t), false), fs.ErrNoSpace)
	if err := m.open("f", rw).Fsync(ctxT(t), false); err != nil {
		t.Fatal(err)
	}
}

func TestOutage_KeepsTheDataAndFlushesItLater(t *testing.T) {
	for _, step := range []string{"stage", "stage.answer", "commit", "commit.answer", "flush.prepare.before", "flush.decide.after"} {
		t.Run(step, func(t *testing.T) {
			w := newWorld(t, localmeta.Config{})
			m := w.mount(t, Config{OpTimeout: 100 * time.Millisecond})
			h := m.create("f")
			h.mustWrite(t, pattern(1, 100_000), 0)
			m.sw.set(step, fs.ErrUnavailable)
			mustBeErr(t, h.Fsync(ctxT(t), false), fs.ErrUnavailable)
			h.mustBe(t, pattern(1, 100_000))
			h.mustWrite(t, pattern(2, 50_000), 50_000)
			m.sw.set(step, nil)
			want := append(pattern(1, 50_000), pattern(2, 50_000)...)
			eventually(t, "fsync succeeds", func() bool { return h.Fsync(ctxT(t), false) == nil })
			h.mustBe(t, want)
			w.mount(t, Config{}).open("f", rw).mustBe(t, want)
		})
	}
}

func TestOutage_EndsAWaitingWriterInTime(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m := w.mount(t, Config{OpTimeout: 100 * time.Millisecond, DirtyMax: 10_000})
	h := m.create("f")
	m.sw.set("commit", fs.ErrUnavailable)
	var err error
	for off := uint64(0); err == nil && off < 100_000; off += 1000 {
		_, err = h.Write(ctxT(t), pattern(1, 1000), off)
	}
	mustBeErr(t, err, fs.ErrUnavailable)
	m.sw.set("commit", nil)
	eventually(t, "fsync succeeds", func() bool { return h.Fsync(ctxT(t), false) == nil })
}

func TestClose_SaysWhatItCouldNotFlush(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m := w.start(t, Config{OpTimeout: 50 * time.Millisecond})
	h := m.create("f")
	h.mustWrite(t, pattern(1, 1000), 0)
	m.sw.set("commit", fs.ErrUnavailable)
	mustBeErr(t, m.Close(ctxT(t)), fs.ErrUnavailable)
	_, err := h.Write(ctxT(t), []byte("x"), 0)
	mustBeErr(t, err, fs.ErrClosed)
	_, err = m.Mkdir(ctxT(t), Caller{}, 1, "d", 0)
	mustBeErr(t, err, fs.ErrClosed)
}

// editor changes transactions on their way to the leader.
type editor struct {
	fs.Meta
	edit func(tx *fs.Tx)
}

func (e *editor) Commit(ctx context.Context, tx *fs.Tx) (*fs.TxResult, error) {
	copied := *tx
	copied.Ops = append([]fs.Op(nil), tx.Ops...)
	e.edit(&copied)
	return e.Meta.Commit(ctx, &copied)
}

func TestRefusedPart_DoesNotTakeTheOthersOfItsTransactionWithIt(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	reaped := fs.Ino(0)
	w.wrap = func(m fs.Meta) fs.Meta {
		return &editor{m, func(tx *fs.Tx) {
			for i, op := range tx.Ops {
				if wr, ok := op.(*fs.Write); ok && wr.Ino == reaped {
					tx.Ops[i] = &fs.Write{Ino: 999, Extents: wr.Extents, Time: wr.Time} // as if it had been reaped
				}
			}
		}}
	}
	m := w.mount(t, Config{InlineMax: -1})
	var files []*Handle
	for i := range 3 {
		h := m.create(string(rune('a' + i)))
		h.mustWrite(t, pattern(i, 5000), 0)
		files = append(files, h)
	}
	reaped = files[1].Ino()
	mustBeErr(t, m.Sync(ctxT(t)), fs.ErrStale)
	mustBeErr(t, files[1].Fsync(ctxT(t), false), fs.ErrStale)
	for _, i := range []int{0, 2} {
		files[i].mustFlush(t)
		w.mount(t, Config{}).open(string(rune('a'+i)), rw).mustBe(t, pattern(i, 5000))
	}
	w.audit(t)
}

func TestLostAnswer_DoesNotRepeatTheOperation(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m := w.mount(t, Config{})
	lost := false
	m.sw.hook("commit.answer", func() error {
		if lost {
			return nil
		}
		lost = true
		return fs.ErrUnavailable
	})
	if _, err := m.Mkdir(ctxT(t), Caller{}, fs.RootIno, "d", 0o755); err != nil {
		t.Fatalf("a repeated commit was taken for a second mkdir: %v", err)
	}
	if m.sw.count("commit") != 2 {
		t.Fatal("the test lost no answer")
	}
}

func TestTimedOutOperation_NeverHappensLater(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m := w.mount(t, Config{OpTimeout: 50 * time.Millisecond})
	warm(t, m)
	m.sw.set("commit", fs.ErrUnavailable)
	_, err := m.Mkdir(ctxT(t), Caller{}, fs.RootIno, "d", 0o755)
	mustBeErr(t, err, fs.ErrUnavailable)
	r := m.sessions.get()
	w.meta.View(func(v state.View) {
		id := fs.TxID{Session: r.ID, Seq: r.seq}
		if o, err := v.Outcome(id, r.Epoch); err != nil || o != state.Aborted {
			t.Fatalf("the caller was told that it did not happen, but it is %v, %v", o, err)
		}
	})
	m.sw.set("commit", nil)
	_, err = m.Lookup(ctxT(t), fs.RootIno, "d")
	mustBeErr(t, err, fs.ErrNotExist)
}

func TestDoubtfulOperation_HoldsDoneUntilItHasAnOutcome(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m := w.mount(t, Config{OpTimeout: 50 * time.Millisecond})
	warm(t, m)
	m.sw.set("commit.answer", fs.ErrUnavailable)
	m.sw.set("abort", fs.ErrUnavailable)
	_, err := m.Mkdir(ctxT(t), Caller{}, fs.RootIno, "d", 0o755)
	mustBeErr(t, err, fs.ErrUnavailable)
	r := m.sessions.get()
	before := openSeqs(r)
	if before != 1 {
		t.Fatalf("%d transactions are open", before)
	}
	m.sw.set("commit.answer", nil)
	m.sw.set("abort", nil)
	eventually(t, "the outcome is known", func() bool { return openSeqs(r) == 0 })
}

func openSeqs(r *registration) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.open)
}

// warm has the mount ask for inode numbers, so that later calls do not.
func warm(t *testing.T, m *mount) {
	t.Helper()
	if _, err := m.Mkdir(ctxT(t), Caller{}, fs.RootIno, "warm", 0o755); err != nil {
		t.Fatal(err)
	}
}

// interrupted runs a call and cancels its context while its transaction cannot be decided.
func interrupted(t *testing.T, m *mount, call func(ctx context.Context) error) error {
	t.Helper()
	m.sw.set("commit", fs.ErrUnavailable)
	defer m.sw.set("commit", nil)
	ctx, cancel := context.WithCancel(ctxT(t))
	returned := make(chan error, 1)
	before := m.sw.count("commit")
	go func() { returned <- call(ctx) }()
	eventually(t, "it is sent", func() bool { return m.sw.count("commit") > before })
	cancel()
	return <-returned
}

func TestInterruptedCall_NeverHappensLater(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m := w.mount(t, Config{})
	h := m.create("f")
	h.mustWrite(t, []byte("data"), 0)
	h.mustFlush(t)
	for name, call := range map[string]func(ctx context.Context) error{
		"unlink": func(ctx context.Context) error { return m.Unlink(ctx, fs.RootIno, "f") },
		"truncate": func(ctx context.Context) error {
			_, err := m.Setattr(ctx, h.Ino(), fs.Setattr{Set: fs.SetSize})
			return err
		},
		"punch": func(ctx context.Context) error {
			return h.Allocate(ctx, fs.Allocate{Mode: fs.AllocatePunch, Len: 4, KeepSize: true})
		},
	} {
		t.Run(name, func(t *testing.T) {
			mustBeErr(t, interrupted(t, m, call), context.Canceled)
			r := m.sessions.get()
			w.meta.View(func(v state.View) {
				o, err := v.Outcome(fs.TxID{Session: r.ID, Seq: r.seq}, r.Epoch)
				if err != nil || o != state.Aborted {
					t.Fatalf("the caller was told that it did not happen, but it is %v, %v", o, err)
				}
			})
			h.mustBe(t, []byte("data"))
		})
	}
}

func TestInterruptedCall_TellsWhatHasHappenedAlready(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m := w.mount(t, Config{})
	warm(t, m)
	ctx, cancel := context.WithCancel(ctxT(t))
	m.sw.hook("commit.answer", func() error {
		cancel()
		return fs.ErrUnavailable
	})
	if _, err := m.Mkdir(ctx, Caller{}, fs.RootIno, "d", 0o755); err != nil {
		t.Fatalf("it has happened, but the caller is told %v", err)
	}
}

func TestFenceBehindALostAnswer_DoesNotRepeatTheOperation(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m := w.mount(t, Config{})
	warm(t, m)
	before := m.sw.count("commit")
	m.sw.set("commit", errors.Join(fs.ErrFenced, fs.ErrUnavailable)) // the line has tried more than once
	_, err := m.Mkdir(ctxT(t), Caller{}, fs.RootIno, "d", 0o755)
	mustBeErr(t, err, fs.ErrFenced)
	if n := m.sw.count("commit") - before; n != 1 {
		t.Fatalf("it was sent %d times", n)
	}
	m.sw.set("commit", nil)
}

// refuser answers a number of flushes as the leader does when a node that voted has been removed.
type refuser struct {
	fs.Meta
	left atomic.Int32
}

func (r *refuser) Commit(ctx context.Context, tx *fs.Tx) (*fs.TxResult, error) {
	if len(tx.Blobs) > 0 && r.left.Add(-1) >= 0 {
		return &fs.TxResult{Err: fs.CodeConflict, Failed: len(tx.Ops)}, nil
	}
	return r.Meta.Commit(ctx, tx)
}

func TestRemovedVoter_HasTheBytesStagedAnew(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	line := &refuser{}
	w.wrap = func(m fs.Meta) fs.Meta { line.Meta = m; return line }
	m := w.mount(t, Config{})
	h := m.create("f")
	line.left.Store(3)
	h.mustWrite(t, pattern(1, 100_000), 0)
	h.mustFlush(t)
	if n := m.sw.count("stage"); n != 4 {
		t.Fatalf("staged %d times", n)
	}
	h.mustBe(t, pattern(1, 100_000))
}

func TestCorruptBlob_IsAnErrorAndNeverWrongBytes(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	a, b := w.mount(t, Config{}), w.mount(t, Config{})
	h := a.create("f")
	h.mustWrite(t, pattern(1, 100_000), 0)
	h.mustFlush(t)
	if !w.store.Damage(fs.BlobID{Session: a.sessions.get().ID, Counter: 1}, 5) {
		t.Fatal("no such blob")
	}
	_, err := b.open("f", rw).Read(ctxT(t), make([]byte, 10), 0)
	mustBeErr(t, err, fs.ErrCorrupt)
}

func TestStoreThatDoesNotVerify_IsNotTrusted(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m := w.mount(t, Config{})
	h := m.create("f")
	h.mustWrite(t, pattern(1, 100_000), 0)
	h.mustFlush(t)
	m.sw.set("get.corrupt", fs.ErrCorrupt)
	_, err := h.Read(ctxT(t), make([]byte, 10), 0)
	mustBeErr(t, err, fs.ErrCorrupt)
	m.sw.set("get.corrupt", nil)
	h.mustBe(t, pattern(1, 100_000))
}

func TestVanishedBlob_MakesTheReaderAskForTheLayoutAgain(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	a, b := w.mount(t, Config{}), w.mount(t, Config{CacheSize: 1})
	h := a.create("f")
	h.mustWrite(t, pattern(1, 100_000), 0)
	h.mustFlush(t)
	hb := b.open("f", rw)
	if _, err := hb.Read(ctxT(t), make([]byte, 10), 0); err != nil {
		t.Fatal(err)
	}
	h.mustWrite(t, pattern(2, 100_000), 0)
	h.mustFlush(t)
	if err := w.store.Delete(ctxT(t), []fs.BlobID{{Session: a.sessions.get().ID, Counter: 1}}); err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 100_000)
	if _, err := hb.Read(ctxT(t), p, 0); err != nil {
		t.Fatal(err)
	}
	if string(p) != string(pattern(2, 100_000)) {
		t.Fatal("not the new data")
	}
}
