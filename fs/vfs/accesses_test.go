package vfs

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"dfs/fs"
	"dfs/raftmeta/localmeta"
)

// clock is what a mount takes for the time; it goes on by a second each time that it is looked at.
type clock struct{ now int64 }

func (c *clock) tick() time.Time { c.now++; return time.Unix(c.now, 0) }

func (h *Handle) mustRead(t testing.TB) {
	t.Helper()
	if _, err := h.Read(ctxT(t), make([]byte, 1), 0); err != nil {
		t.Fatal(err)
	}
}

func atime(n int64) fs.Setattr { return fs.Setattr{Set: fs.SetAtime, Atime: fs.Time(n)} }

// decisions counts what the leader has been asked to decide.
func (m *mount) decisions() int { return m.sw.count("op.decide.before") }

func TestRead_IsShownAtOnceAndToldToOthersLater(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	c := &clock{now: 1000}
	m := w.mount(t, Config{Now: c.tick})
	var all []*Handle
	for n := range 5 {
		h := m.create(fmt.Sprint("f", n))
		h.mustWrite(t, []byte("data"), 0)
		h.mustFlush(t)
		all = append(all, h)
	}
	before := m.decisions()
	for _, h := range all {
		old := m.attr(h.Ino())
		h.mustRead(t)
		got := m.attr(h.Ino())
		if got.Atime <= old.Mtime || got.Ctime != old.Ctime || got.Version != old.Version {
			t.Errorf("read, it shows %+v after %+v", got, old)
		}
		if a := w.mount(t, Config{}).attr(h.Ino()); a != old {
			t.Errorf("another mount sees %+v already", a)
		}
	}
	m.tellAccesses(ctxT(t))
	for _, h := range all {
		h.mustRead(t) // not to be recorded, by relatime
	}
	m.tellAccesses(ctxT(t))
	other := w.mount(t, Config{})
	for _, h := range all {
		if a, b := m.attr(h.Ino()), other.attr(h.Ino()); a != b || a.Atime <= a.Mtime {
			t.Errorf("%+v, the other mount sees %+v", a, b)
		}
	}
	if n := m.decisions() - before; n != 1 {
		t.Errorf("it took %d transactions", n)
	}
	w.audit(t)
}

func TestRead_IsRecordedAfterAChangeOrADay(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	c := &clock{now: 1000}
	m := w.mount(t, Config{Now: c.tick})
	h := m.create("f")
	h.mustRead(t)
	for n, change := range []func(){
		func() { h.mustWrite(t, []byte("x"), 0) },
		func() { setattr(t, m, h.Ino(), fs.Setattr{Set: fs.SetMode, Mode: 0o600}) },
		func() { c.now += 24 * 60 * 60 },
		func() { m.tellAccesses(ctxT(t)) },
	} {
		old := m.attr(h.Ino()).Atime
		h.mustRead(t)
		if a := m.attr(h.Ino()).Atime; a != old {
			t.Errorf("%d: without a change the atime becomes %d, from %d", n, a, old)
		}
		change()
		h.mustRead(t)
		if a := m.attr(h.Ino()).Atime; (a != old) != (n < 3) {
			t.Errorf("%d: after the change the atime becomes %d, from %d", n, a, old)
		}
	}
}

func TestRead_OfWhatIsUnflushedIsToldBehindIt(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	c := &clock{now: 1000}
	m, other := w.mount(t, Config{Now: c.tick}), w.mount(t, Config{})
	h := m.create("f")
	h.mustWrite(t, []byte("data"), 0)
	setattr(t, m, h.Ino(), atime(5))
	h.mustRead(t)
	want := m.attr(h.Ino()).Atime
	before := m.decisions()
	m.tellAccesses(ctxT(t))
	if n := m.decisions() - before; n != 0 {
		t.Errorf("told before the data: %d transactions", n)
	}
	h.mustFlush(t)
	m.tellAccesses(ctxT(t))
	if a := other.attr(h.Ino()); a.Size != 4 || a.Atime != want {
		t.Errorf("behind the data: %+v, want atime %d", a, want)
	}
}

// A read on one mount takes nothing from another one: the leases that it holds stay, and it sees the atime when they are gone.
func TestRead_RecallsNobodysLease(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	c := &clock{now: 1000}
	h := w.leased(t, Config{Now: c.tick}).create("f")
	m, other := w.leased(t, Config{Now: c.tick}), w.leased(t, Config{})
	old := other.attr(h.Ino())
	m.open("f", syscall.O_RDONLY).mustRead(t)
	m.tellAccesses(ctxT(t))
	if a := m.attr(h.Ino()); a.Atime <= old.Atime || a.Version != old.Version {
		t.Errorf("told, it shows %+v after %+v", a, old)
	}
	if n := other.asked(func() {
		if a := other.attr(h.Ino()); a != old {
			t.Errorf("the other mount sees %+v under its lease, after %+v", a, old)
		}
	}, reads...); n != 0 {
		t.Errorf("the other mount's lease is gone: it asked %d times", n)
	}
	setattr(t, m, h.Ino(), fs.Setattr{Set: fs.SetMode, Mode: 0o600})
	if a := other.attr(h.Ino()); a != m.attr(h.Ino()) || a.Atime <= old.Atime {
		t.Errorf("without its lease it sees %+v", a)
	}
}

// A read is told without a claim, so the lease may have gone, and come again, before the answer is there.
func TestRead_IsToldWithoutLearningWhatElseTheAnswerSays(t *testing.T) {
	m := newWorld(t, localmeta.Config{}).leased(t, Config{})
	ino := m.create("f").Ino()
	a := m.attr(ino)
	answer := fs.Result{Attr: a}
	answer.Attr.Atime++
	for name, test := range map[string]struct{ known, want fs.Attr }{
		"the same version": {a, answer.Attr},
		"nothing":          {fs.Attr{}, fs.Attr{}},
		"a newer one":      {fs.Attr{Ino: ino, Version: a.Version + 1}, fs.Attr{Ino: ino, Version: a.Version + 1}},
		"an older one":     {fs.Attr{Ino: ino, Version: a.Version - 1}, fs.Attr{Ino: ino, Version: a.Version - 1}},
	} {
		m.leases.mu.Lock()
		k := m.leases.known[ino]
		k.attr = test.known
		m.leases.applied([]fs.Op{&fs.Access{Ino: ino}}, []fs.Result{answer}, false)
		got := k.attr
		k.attr = a
		m.leases.mu.Unlock()
		if got != test.want {
			t.Errorf("%s known: then %+v", name, got)
		}
	}
}

func TestUtimes_IsNotUndoneByAnEarlierRead(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	c := &clock{now: 1000}
	m, other := w.mount(t, Config{Now: c.tick}), w.mount(t, Config{})
	h := m.create("f")
	keep := m.attr(h.Ino()).Atime
	// As tar --atime-preserve does: the time is set back to what it was.
	h.mustRead(t)
	setattr(t, m, h.Ino(), atime(int64(keep)))
	m.tellAccesses(ctxT(t))
	if a := other.attr(h.Ino()).Atime; a != keep {
		t.Errorf("set back on the same mount, it is %d, want %d", a, keep)
	}
	// On another mount.
	h.mustRead(t)
	setattr(t, other, h.Ino(), atime(7))
	if a := m.attr(h.Ino()).Atime; a != 7 {
		t.Errorf("set on another mount, it is shown as %d", a)
	}
	m.tellAccesses(ctxT(t))
	if a, b := other.attr(h.Ino()).Atime, m.attr(h.Ino()).Atime; a != 7 || b != 7 {
		t.Errorf("set on another mount, it is %d and %d", a, b)
	}
}

func TestUtimes_WaitsForAReadThatIsBeingTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, localmeta.Config{})
		m := w.start(t, Config{})
		_, h, err := m.Create(ctxT(t), Caller{}, fs.RootIno, "f", 0o644, rw)
		if err != nil {
			t.Fatal(err)
		}
		keep := m.attr(h.Ino()).Atime
		time.Sleep(time.Second)
		h.mustRead(t)
		g := m.block("commit")
		go m.tellAccesses(ctxT(t))
		<-g.reached
		before := m.decisions()
		set := make(chan error)
		go func() {
			_, err := m.Setattr(ctxT(t), h.Ino(), atime(int64(keep)))
			set <- err
		}()
		synctest.Wait()
		if m.decisions() != before {
			t.Error("utimes overtakes the read")
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := m.Setattr(ctx, h.Ino(), atime(8)); !errors.Is(err, context.Canceled) {
			t.Errorf("interrupted, it says %v", err)
		}
		close(g.open)
		if err := <-set; err != nil {
			t.Error(err)
		}
		if a := m.attr(h.Ino()).Atime; a != keep {
			t.Errorf("the atime is %d, want %d", a, keep)
		}
		h.Release()
		if err := m.Close(ctxT(t)); err != nil {
			t.Fatal(err)
		}
	})
}

func TestReads_AreToldAsTheyWereListed(t *testing.T) {
	s := newAccesses()
	s.note(fs.Attr{Ino: 1}, 5)
	s.note(fs.Attr{Ino: 2}, 5)
	list := s.list()
	if err := s.forget(ctxT(t), 1); err != nil { // utimes has come
		t.Fatal(err)
	}
	s.note(fs.Attr{Ino: 2, Mtime: 6}, 7) // read anew, perhaps what is not flushed
	if ops := s.take(list); len(ops) > 0 {
		t.Errorf("told: %+v", ops)
	}
	if ops := s.take(s.list()); len(ops) != 1 || *ops[0].(*fs.Access) != (fs.Access{Ino: 2, Time: 7}) {
		t.Errorf("told: %+v", ops)
	}
}

func TestListing_IsARead(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	c := &clock{now: 1000}
	m, other := w.mount(t, Config{Now: c.tick}), w.mount(t, Config{})
	m.create("f")
	list := func(noAtime bool) {
		d, err := m.OpenDir(ctxT(t), fs.RootIno)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Release()
		d.NoAtime = noAtime
		for range 2 {
			if err := d.Read(ctxT(t), 0, func(fs.Dirent) bool { return true }); err != nil {
				t.Fatal(err)
			}
		}
	}
	old := m.attr(fs.RootIno)
	if list(true); m.attr(fs.RootIno) != old {
		t.Errorf("with O_NOATIME: %+v", m.attr(fs.RootIno))
	}
	list(false)
	m.tellAccesses(ctxT(t))
	if a := other.attr(fs.RootIno); a.Atime <= old.Mtime || a != m.attr(fs.RootIno) || a.Version != old.Version {
		t.Errorf("%+v, was %+v", a, old)
	}
}

func TestRead_IsNotRecordedWhereNobodyWantsIt(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	for name, test := range map[string]struct {
		cfg   Config
		flags uint32
	}{
		"noatime": {Config{NoAtime: true}, rw}, "read-only": {Config{ReadOnly: true}, syscall.O_RDONLY}, "O_NOATIME": {Config{}, rw | syscall.O_NOATIME},
	} {
		h := w.mount(t, Config{}).create(name)
		m := w.mount(t, test.cfg)
		old := m.attr(h.Ino())
		m.open(name, test.flags).mustRead(t)
		if a := m.attr(h.Ino()); a != old || len(m.accesses.list()) > 0 {
			t.Errorf("%s: %+v, was %+v", name, a, old)
		}
	}
	m := w.mount(t, Config{NoDirAtime: true})
	if m.accessed(m.attr(fs.RootIno)); len(m.accesses.list()) > 0 {
		t.Error("nodiratime: a listing is noted")
	}
}

func TestClose_DoesNotWaitLongToTellReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, localmeta.Config{})
		m := w.start(t, Config{OpTimeout: time.Hour})
		_, h, err := m.Create(ctxT(t), Caller{}, fs.RootIno, "f", 0o644, rw)
		if err != nil {
			t.Fatal(err)
		}
		h.mustRead(t)
		h.Release()
		m.sw.set("*", fs.ErrUnavailable)
		began := time.Now()
		_ = m.FS.Close(context.Background()) // whether it could say goodbye to the cluster
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

func TestReads_AreNotedUpToABound(t *testing.T) {
	s := newAccesses()
	for n := range fs.Ino(accessesMax + 10) {
		s.note(fs.Attr{Ino: n + 1}, 1)
	}
	if n := len(s.list()); n != accessesMax {
		t.Errorf("%d are noted", n)
	}
	for left := accessesMax; left > 0; left -= accessesSent {
		if n := len(s.take(s.list())); n != accessesSent {
			t.Fatalf("%d are told at once", n)
		}
		s.landed()
	}
	if len(s.noted) != 0 {
		t.Errorf("%d are left", len(s.noted))
	}
}

func TestRead_IsToldByAgeAndAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, localmeta.Config{})
		m := w.start(t, Config{FlushAge: time.Second})
		_, h, err := m.Create(ctxT(t), Caller{}, fs.RootIno, "f", 0o644, rw)
		if err != nil {
			t.Fatal(err)
		}
		read := func() fs.Time {
			time.Sleep(time.Millisecond)
			h.mustRead(t)
			return m.attr(h.Ino()).Atime
		}
		decided := func() fs.Time {
			a, err := w.meta.Mount(nil).Getattr(ctxT(t), h.Ino())
			if err != nil {
				t.Fatal(err)
			}
			return a.Atime
		}
		want := read()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := decided(); got != want {
			t.Errorf("after 2 s the atime is %d, want %d", got, want)
		}
		// What cannot be told is given up.
		h.mustWrite(t, []byte("x"), 0)
		h.mustFlush(t)
		m.sw.set("op.decide.before", fs.ErrAborted)
		read()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := len(m.accesses.list()); n > 0 || decided() != want {
			t.Errorf("%d are still noted, the atime is %d", n, decided())
		}
		m.sw.set("op.decide.before", nil)
		want = read()
		h.Release()
		if err := m.Close(ctxT(t)); err != nil {
			t.Fatal(err)
		}
		if got := decided(); got != want {
			t.Errorf("after the end the atime is %d, want %d", got, want)
		}
	})
}
