package vfs

import (
	"errors"
	"sync"
	"testing"

	"dfs/fs"
	"dfs/raftmeta/localmeta"
)

// nameless makes a file without a name that holds data, unflushed.
func (m *mount) nameless(data []byte) *Handle {
	m.t.Helper()
	_, h, err := m.Tmpfile(ctxT(m.t), Caller{}, fs.RootIno, 0o644, rw)
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(h.Release)
	h.mustWrite(m.t, data, 0)
	return h
}

// now is the guard for what a name means now.
func (m *mount) now(name string) Guard {
	m.t.Helper()
	a, err := m.Lookup(ctxT(m.t), fs.RootIno, name)
	if err != nil {
		m.t.Fatal(err)
	}
	return Guard{a.Ino, a.Version}
}

func TestLinkNew_NamesAllOfTheContent(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m, other := w.mount(t, Config{}), w.mount(t, Config{})
	data := pattern(1, 3<<20)
	h := m.nameless(data)
	a, err := h.LinkNew(ctxT(t), fs.RootIno, "f")
	if err != nil {
		t.Fatal(err)
	}
	if a.Nlink != 1 || a.Size != uint64(len(data)) || a.Version != other.now("f").Version {
		t.Errorf("got %+v", a)
	}
	other.open("f", 0).mustBe(t, data)
	if _, err := m.nameless(nil).LinkNew(ctxT(t), fs.RootIno, "f"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a taken name: %v", err)
	}
	_, err = m.nameless(nil).LinkNew(ctxT(t), 99, "g")
	if !errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrStale) {
		t.Errorf("in a directory that is gone: %v", err)
	}
	w.audit(t)
}

func TestLinkNew_AfterALossNamesNothing(t *testing.T) {
	w := newWorld(t, localmeta.Config{TimeoutMillis: 60})
	m := w.mount(t, Config{})
	h := m.nameless(pattern(1, 100))
	m.sw.set("stage", fs.ErrNoSpace)
	h.mustWrite(t, pattern(1, 1<<20), 0)
	if err := m.Sync(ctxT(t)); !errors.Is(err, fs.ErrNoSpace) { // so that nothing is left to flush
		t.Fatalf("sync: %v", err)
	}
	m.sw.set("stage", nil)
	_, err := h.LinkNew(ctxT(t), fs.RootIno, "f")
	mustBeErr(t, err, fs.ErrNoSpace)

	h = m.nameless([]byte("x"))
	h.mustFlush(t)
	old := expire(t, w, m)
	if err := w.meta.Reap(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "there is another session", func() bool { r := m.sessions.get(); return r != nil && r != old })
	_, err = h.LinkNew(ctxT(t), fs.RootIno, "f")
	mustBeErr(t, err, fs.ErrStale)
	_, err = m.Lookup(ctxT(t), fs.RootIno, "f")
	mustBeErr(t, err, fs.ErrNotExist)
}

func TestLinkNew_OfAFileThatIsGoneSaysSo(t *testing.T) {
	w := newWorld(t, localmeta.Config{TimeoutMillis: 60})
	m := w.mount(t, Config{})
	h := m.nameless([]byte("x"))
	h.mustFlush(t)
	var once sync.Once
	m.sw.hook("commit", func() (err error) {
		once.Do(func() { err = errors.Join(w.meta.ExpireAll(), w.meta.Reap()) })
		return err
	})
	_, err := h.LinkNew(ctxT(t), fs.RootIno, "f") // sent once more, under the next session
	mustBeErr(t, err, fs.ErrStale)
}

func TestReplace_KeepsTheInodeAndSharesTheBytes(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m, other := w.mount(t, Config{}), w.mount(t, Config{NoAtime: true})
	old := other.create("f")
	old.mustWrite(t, pattern(1, 5<<20), 0)
	old.mustFlush(t)
	setattr(t, other, old.Ino(), fs.Setattr{Set: fs.SetMode | fs.SetUID, Mode: 0o4751, UID: 9})
	for _, size := range []int{2 << 20, 0, 10, 3 << 20} {
		data := pattern(size+2, size)
		h := m.nameless(data)
		h.mustFlush(t)
		staged := m.sw.count("stage")
		a, err := h.Replace(ctxT(t), m.now("f"))
		if err != nil {
			t.Fatal(err)
		}
		if a.Ino != old.Ino() || a.UID != 9 || a.Mode != 0o751 || a.Size != uint64(size) || a != other.attr(a.Ino) {
			t.Errorf("got %+v", a)
		}
		if m.sw.count("stage") != staged {
			t.Error("bytes have moved")
		}
		h.Release()
		old.mustBe(t, data)
		w.audit(t)
	}
}

func TestReplace_WhereTheGuardDoesNotHoldChangesNothing(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m, other := w.mount(t, Config{}), w.mount(t, Config{})
	data := pattern(1, 100_000)
	f := other.create("f")
	f.mustWrite(t, data, 0)
	f.mustFlush(t)
	g := m.now("f")
	setattr(t, other, f.Ino(), fs.Setattr{Set: fs.SetMode, Mode: 0o600})
	h := m.nameless([]byte("new"))
	_, err := h.Replace(ctxT(t), g)
	mustBeErr(t, err, fs.ErrConflict)
	_, err = h.Replace(ctxT(t), Guard{Ino: 99, Version: 1})
	mustBeErr(t, err, fs.ErrConflict)
	_, err = h.Replace(ctxT(t), Guard{Ino: h.Ino(), Version: 1})
	mustBeErr(t, err, fs.ErrInvalid)
	f.mustBe(t, data)
	mustBeErr(t, m.UnlinkIf(ctxT(t), g, fs.RootIno, "f"), fs.ErrConflict)
	mustBeErr(t, m.RenameIf(ctxT(t), g, fs.RootIno, "f", fs.RootIno, "g", 0), fs.ErrConflict)
	if err := m.RenameIf(ctxT(t), m.now("f"), fs.RootIno, "f", fs.RootIno, "g", 0); err != nil {
		t.Error(err)
	}
	if err := m.UnlinkIf(ctxT(t), m.now("g"), fs.RootIno, "g"); err != nil {
		t.Error(err)
	}
}

func TestReplace_ComesAfterWhatThisMountHasWritten(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m, other := w.mount(t, Config{}), w.mount(t, Config{})
	f := m.create("f")
	f.mustFlush(t)
	f.mustWrite(t, pattern(1, 1<<20), 0)
	h := m.nameless([]byte("new"))
	_, err := h.Replace(ctxT(t), m.now("f"))
	mustBeErr(t, err, fs.ErrConflict) // the flush has changed it
	f.mustWrite(t, pattern(2, 1<<20), 0)
	f.mustFlush(t)
	if _, err := h.Replace(ctxT(t), m.now("f")); err != nil {
		t.Fatal(err)
	}
	f.mustBe(t, []byte("new"))
	if err := m.Sync(ctxT(t)); err != nil {
		t.Fatal(err)
	}
	other.open("f", 0).mustBe(t, []byte("new"))
}

func TestReplace_InManyPiecesIsStillOneTransaction(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m := w.mount(t, Config{BlobSize: 4096, InlineMax: -1})
	pieces := fs.ExtentsMax + 100
	fragmented := func(h *Handle) {
		for i := range pieces { // backwards, so that none continues another in its blob
			h.mustWrite(t, []byte{byte(i)}, uint64(2*(pieces-i)))
		}
		h.mustFlush(t)
	}
	f := m.create("f")
	fragmented(f)
	h := m.nameless(nil)
	fragmented(h)
	want := h.content(t)
	before := m.sw.count("commit")
	if _, err := h.Replace(ctxT(t), m.now("f")); err != nil {
		t.Fatal(err)
	}
	if n := m.sw.count("commit") - before; n != 2 { // the first one was refused
		t.Errorf("%d transactions", n)
	}
	f.mustBe(t, want)
	w.audit(t)
}

func TestReplaceByMany_LeavesOneOfThem(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m := w.mount(t, Config{})
	f := m.create("f")
	f.mustFlush(t)
	g := m.now("f")
	var wg sync.WaitGroup
	var mu sync.Mutex
	var won [][]byte
	for i := range 8 {
		data := pattern(i, 200_000+i)
		h := m.nameless(data)
		wg.Go(func() {
			if _, err := h.Replace(ctxT(t), g); err == nil {
				mu.Lock()
				defer mu.Unlock()
				won = append(won, data)
			} else if !errors.Is(err, fs.ErrConflict) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(won) != 1 {
		t.Fatalf("%d have won", len(won))
	}
	f.mustBe(t, won[0])
	w.audit(t)
}
