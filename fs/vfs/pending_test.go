package vfs

import (
	"testing"
	"testing/synctest"
	"time"

	"dfs/fs"
	"dfs/raftmeta/localmeta"

	"pgregory.net/rapid"
)

func setattr(t testing.TB, m *mount, ino fs.Ino, s fs.Setattr) fs.Attr {
	t.Helper()
	a, err := m.Setattr(ctxT(t), ino, s)
	if err != nil {
		t.Fatalf("setattr %+v: %v", s, err)
	}
	return a
}

func (m *mount) attr(ino fs.Ino) fs.Attr {
	m.t.Helper()
	a, err := m.Getattr(ctxT(m.t), ino)
	if err != nil {
		m.t.Fatalf("getattr: %v", err)
	}
	return a
}

func mtime(at fs.Time) fs.Setattr { return fs.Setattr{Set: fs.SetMtime, Mtime: at} }

// What tar and cp -p do to each file, in their order.
func TestExtractedFile_CostsOneTransactionForItsDataAndTimes(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m := w.mount(t, Config{})
	warm(t, m)
	for _, c := range []struct {
		name    string
		behind  []fs.Setattr // between write and close
		commits int
	}{
		{"plain", nil, 2},
		{"utimes", []fs.Setattr{mtime(42)}, 2},
		{"utimes chown", []fs.Setattr{mtime(42), {Set: fs.SetUID | fs.SetGID, UID: 1, GID: 2}}, 2},
		{"chmod", []fs.Setattr{{Set: fs.SetMode, Mode: 0o600}}, 2},
		{"utimes chown chmod", []fs.Setattr{mtime(42), {Set: fs.SetUID, UID: 1}, {Set: fs.SetMode, Mode: 0o600}}, 3},
	} {
		before := m.sw.count("commit")
		h := m.create(c.name)
		h.mustWrite(t, []byte("data"), 0)
		for _, s := range c.behind {
			setattr(t, m, h.Ino(), s)
		}
		if err := h.Flush(ctxT(t)); err != nil {
			t.Fatal(err)
		}
		h.mustFlush(t)
		if n := m.sw.count("commit") - before; n != c.commits {
			t.Errorf("%s: %d transactions, want %d", c.name, n, c.commits)
		}
		if a := w.mount(t, Config{}).attr(h.Ino()); len(c.behind) > 0 && c.behind[0].Set == fs.SetMtime && a.Mtime != 42 {
			t.Errorf("%s: mtime is %d", c.name, a.Mtime)
		}
	}
}

func TestModeOfUnflushedFile_IsSeenByOthersWhenTheCallReturns(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m, other := w.mount(t, Config{}), w.mount(t, Config{})
	h := m.create("f")
	h.mustWrite(t, []byte("data"), 0)
	setattr(t, m, h.Ino(), mtime(42))
	a := setattr(t, m, h.Ino(), fs.Setattr{Set: fs.SetMode | fs.SetUID, Mode: 0o4700, UID: 7})
	if b := other.attr(h.Ino()); b != a || a.Mode != 0o4700 || a.UID != 7 || a.Mtime != 42 || a.Size != 4 {
		t.Fatalf("answered\n%+v, the other mount sees\n%+v", a, b)
	}
}

func TestTimesOfUnflushedFile_AreFlushedByAgeAlsoWithoutData(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, localmeta.Config{})
		m := w.start(t, Config{FlushAge: time.Second})
		_, h, err := m.Create(ctxT(t), Caller{}, fs.RootIno, "f", 0o644, rw)
		if err != nil {
			t.Fatal(err)
		}
		h.mustWrite(t, []byte("data"), 0)
		g := m.block("commit")
		m.launch(m.dirty.all(), (*segments).takeAll)
		<-g.reached
		setattr(t, m, h.Ino(), mtime(42)) // while all of the data flies
		close(g.open)
		synctest.Wait()
		if a := m.attr(h.Ino()); a.Mtime != 42 || h.n.flightsNow() > 0 {
			t.Fatalf("mtime is %d, %d jobs fly", a.Mtime, h.n.flightsNow())
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if h.n.isUnflushed() || m.attr(h.Ino()).Mtime != 42 {
			t.Fatalf("after 2 s unflushed is %v, mtime %d", h.n.isUnflushed(), m.attr(h.Ino()).Mtime)
		}
		h.Release()
		if err := m.Close(ctxT(t)); err != nil {
			t.Fatal(err)
		}
	})
}

func TestWriteBehindUtimes_SetsMtimeAndLeavesAtime(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	now := time.Unix(1000, 0)
	m := w.mount(t, Config{Now: func() time.Time { return now }})
	h := m.create("f")
	h.mustWrite(t, []byte("data"), 0)
	setattr(t, m, h.Ino(), fs.Setattr{Set: times, Atime: 41, Mtime: 42})
	now = time.Unix(2000, 0)
	h.mustWrite(t, []byte("more"), 2)
	check := func(a fs.Attr) {
		t.Helper()
		if a.Atime != 41 || a.Mtime != fs.TimeOf(now) || a.Ctime != fs.TimeOf(now) {
			t.Fatalf("%+v", a)
		}
	}
	check(m.attr(h.Ino()))
	setattr(t, m, h.Ino(), mtime(43))
	now = time.Unix(3000, 0)
	truncate(t, m, h, 3)
	check(m.attr(h.Ino()))
	h.mustFlush(t)
	check(w.mount(t, Config{}).attr(h.Ino()))
}

// An mtime that says "up to date" must not outlive the data that it was set for.
func TestTimesBehindLostData_AreLostWithIt(t *testing.T) {
	for name, lose := range map[string]func(w *world, m *mount) error{
		"no space": func(_ *world, m *mount) error { m.sw.set("stage", fs.ErrNoSpace); return fs.ErrNoSpace },
		"fenced":   func(w *world, m *mount) error { expire(t, w, m); return fs.ErrFenced },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, localmeta.Config{})
			m := w.mount(t, Config{})
			h := m.create("f")
			h.mustWrite(t, pattern(1, 100_000), 0)
			setattr(t, m, h.Ino(), mtime(42))
			want := lose(w, m)
			mustBeErr(t, h.Fsync(ctxT(t), false), want)
			if a := m.attr(h.Ino()); a.Mtime == 42 || a.Size != 0 {
				t.Fatalf("mtime %d, size %d", a.Mtime, a.Size)
			}
		})
	}
}

func TestModeBehindLostData_IsSetNevertheless(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m := w.mount(t, Config{})
	h := m.create("f")
	h.mustWrite(t, pattern(1, 100_000), 0)
	m.sw.set("stage", fs.ErrNoSpace)
	setattr(t, m, h.Ino(), fs.Setattr{Set: fs.SetMode, Mode: 0o600})
	if a := w.mount(t, Config{}).attr(h.Ino()); a.Mode != 0o600 || a.Size != 0 {
		t.Fatalf("mode %o, size %d", a.Mode, a.Size)
	}
	mustBeErr(t, h.Fsync(ctxT(t), false), fs.ErrNoSpace)
}

func TestTimesLostAlone_AreReported(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m := w.mount(t, Config{})
	h := m.create("f")
	h.mustWrite(t, []byte("data"), 0)
	g := m.block("commit")
	flying := m.launch(m.dirty.all(), (*segments).takeAll)
	<-g.reached
	setattr(t, m, h.Ino(), mtime(42))
	close(g.open)
	if lost, err := await(ctxT(t), flying[:1]); lost != nil || err != nil {
		t.Fatal(lost, err)
	}
	expire(t, w, m)
	eventually(t, "the loss is noticed", func() bool { return !h.n.isUnflushed() })
	mustBeErr(t, h.Fsync(ctxT(t), false), fs.ErrFenced)
}

// TestView_IsWhatTheFlushMakesOfIt compares what this mount shows of an unflushed file with what the state machine makes
// of it in the end.
func TestView_IsWhatTheFlushMakesOfIt(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, localmeta.Config{})
		clock := int64(1000)
		m := w.start(t, Config{BlobSize: 1000, InlineMax: 100, Now: func() time.Time { clock++; return time.Unix(clock, 0) }})
		defer func() {
			if err := m.Close(ctxT(t)); err != nil {
				rt.Error(err)
			}
		}()
		_, h, err := m.Create(ctxT(t), Caller{}, fs.RootIno, "f", 0o6777, rw)
		if err != nil {
			rt.Fatal(err)
		}
		defer h.Release()
		shown := m.attr(h.Ino())
		set := func(rt *rapid.T, which ...fs.SetMask) {
			s := fs.Setattr{Set: rapid.SampledFrom(which).Draw(rt, "set"), Mode: rapid.Uint32Range(0, 0o7777).Draw(rt, "mode"),
				UID: 1, GID: 2, Size: rapid.Uint64Range(0, 3000).Draw(rt, "size"),
				Atime: fs.Time(rapid.Int64().Draw(rt, "atime")), Mtime: fs.Time(rapid.Int64().Draw(rt, "mtime")),
				KillPriv: rapid.Bool().Draw(rt, "kill")}
			setattr(t, m, h.Ino(), s)
			shown = m.attr(h.Ino())
		}
		rt.Repeat(map[string]func(*rapid.T){
			"write": func(rt *rapid.T) {
				write := h.Write
				if rapid.Bool().Draw(rt, "kill") {
					write = h.WriteKillPriv
				}
				p := pattern(1, rapid.IntRange(1, 1500).Draw(rt, "len"))
				if _, err := write(ctxT(t), p, rapid.Uint64Range(0, 2000).Draw(rt, "off")); err != nil {
					rt.Fatal(err)
				}
				shown = m.attr(h.Ino())
			},
			"utimes":   func(rt *rapid.T) { set(rt, fs.SetAtime, fs.SetMtime, times) },
			"chmod":    func(rt *rapid.T) { set(rt, fs.SetMode, fs.SetMode|fs.SetMtime) },
			"chown":    func(rt *rapid.T) { set(rt, 0, fs.SetUID, fs.SetGID, fs.SetUID|fs.SetMode) },
			"truncate": func(rt *rapid.T) { set(rt, fs.SetSize, fs.SetSize|fs.SetMtime, fs.SetSize|fs.SetMode) },
			"read": func(rt *rapid.T) {
				if _, err := h.Read(ctxT(t), make([]byte, 1), 0); err != nil {
					rt.Fatal(err)
				}
				shown = m.attr(h.Ino())
			},
			"tell":   func(*rapid.T) { m.tellAccesses(ctxT(t)) },
			"launch": func(*rapid.T) { m.launch(m.dirty.all(), (*segments).takeAll) },
			"flush":  func(*rapid.T) { h.mustFlush(t) },
			"": func(rt *rapid.T) {
				compareAttrs(rt, "later it shows", m.attr(h.Ino()), shown)
			},
		})
		h.mustFlush(t)
		m.tellAccesses(ctxT(t))
		var decided fs.Attr
		decided, err = w.meta.Mount(nil).Getattr(ctxT(t), h.Ino())
		if err != nil {
			rt.Fatal(err)
		}
		compareAttrs(rt, "the flush made", decided, shown)
	})
}

// compareAttrs leaves out what a flush may change: Version, and Used, which is an estimate until then.
func compareAttrs(rt *rapid.T, what string, got, want fs.Attr) {
	got.Version, got.Used = want.Version, want.Used
	if got != want {
		rt.Fatalf("%s\n%+v, but before it showed\n%+v", what, got, want)
	}
}
