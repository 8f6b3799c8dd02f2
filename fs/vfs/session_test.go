package vfs

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dfs/fs"
	"dfs/raftmeta/localmeta"
	"dfs/raftmeta/state"
)

func expire(t *testing.T, w *world, m *mount) *registration {
	t.Helper()
	r := m.sessions.get()
	if err := w.meta.Expire(r.Session); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestFencedSession_LosesItsDataAndSaysSoOnce(t *testing.T) {
	for _, phase := range []string{"dirty", "flying"} {
		t.Run(phase, func(t *testing.T) {
			w := newWorld(t, localmeta.Config{})
			m := w.mount(t, Config{})
			h := m.create("f")
			h.mustWrite(t, []byte("durable"), 0)
			h.mustFlush(t)
			h2 := m.open("f", rw)
			h.mustWrite(t, []byte("lost"), 0)
			if phase == "flying" {
				g := m.block("commit")
				m.launch(m.dirty.all(), (*segments).takeAll)
				<-g.reached
				expire(t, w, m)
				close(g.open)
			} else {
				expire(t, w, m)
			}
			eventually(t, "a new session is open", func() bool { r := m.sessions.get(); return r != nil && r.ID > 1 })
			mustBeErr(t, h.Fsync(ctxT(t), false), fs.ErrFenced)
			mustBeErr(t, h2.Fsync(ctxT(t), false), fs.ErrFenced)
			h.mustFlush(t)
			h.mustBe(t, []byte("durable"))
			h.mustWrite(t, []byte("again"), 0)
			h.mustFlush(t)
			w.mount(t, Config{}).open("f", rw).mustBe(t, []byte("againle"))
		})
	}
}

func TestFencedSession_DoesNotDisturbCallsThatHadNotBeenSent(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m := w.mount(t, Config{})
	m.sw.set("attach", fs.ErrUnavailable) // only the calls find out
	warm(t, m)
	expire(t, w, m)
	if _, err := m.Mkdir(ctxT(t), Caller{}, fs.RootIno, "d", 0o755); err != nil {
		t.Fatal(err)
	}
	expire(t, w, m)
	h := m.create("f")
	m.sw.set("attach", nil)
	h.mustWrite(t, []byte("x"), 0)
}

func TestFencedSession_OpenFilesArePinnedAgain(t *testing.T) {
	w := newWorld(t, localmeta.Config{TimeoutMillis: 60})
	m := w.mount(t, Config{})
	named, orphan := m.create("f"), m.create("g")
	orphan.mustWrite(t, []byte("data"), 0)
	orphan.mustFlush(t)
	if err := m.Unlink(ctxT(t), fs.RootIno, "g"); err != nil {
		t.Fatal(err)
	}
	expire(t, w, m) // the leader reaps the orphan
	eventually(t, "a new session is open", func() bool { r := m.sessions.get(); return r != nil && r.ID > 1 })
	if err := m.Unlink(ctxT(t), fs.RootIno, "f"); err != nil {
		t.Fatal(err)
	}
	named.mustWrite(t, []byte("x"), 0)
	named.mustFlush(t)
	_, err := orphan.Write(ctxT(t), []byte("x"), 0)
	mustBeErr(t, err, fs.ErrStale)
	_, err = orphan.Read(ctxT(t), make([]byte, 1), 0)
	mustBeErr(t, err, fs.ErrStale)
}

func TestReleaseWhileASessionIsReplaced_LeavesNoPin(t *testing.T) {
	w := newWorld(t, localmeta.Config{TimeoutMillis: 60})
	m := w.mount(t, Config{})
	_, h, err := m.Create(ctxT(t), Caller{}, fs.RootIno, "f", 0o644, rw)
	if err != nil {
		t.Fatal(err)
	}
	pinned, released := make(chan struct{}), make(chan struct{})
	stay := m.create("g") // pinned again behind f, with whom it waits
	var calls atomic.Int32
	m.sw.hook("pin", func() error {
		if calls.Add(1) == 2 { // f and g were pinned with their creation; this is the second of the two
			close(pinned)
			<-released
		}
		return nil
	})
	expire(t, w, m)
	<-pinned
	eventually(t, "f is pinned under the new session", func() bool { return w.meta.Pins() == 1 })
	h.Release()
	close(released)
	eventually(t, "only g is pinned", func() bool { return m.sessions.get() != nil && pinnedOnly(m, stay.Ino()) })
	eventually(t, "and the leader knows", func() bool { return w.meta.Pins() == 1 })
}

// pinnedOnly reports whether the mount counts ino as held and nothing else.
func pinnedOnly(m *mount, ino fs.Ino) bool {
	all := m.pins.all()
	return len(all) == 1 && all[0] == ino
}

// deaf is a line whose streams take the first beat, and then hang until they are closed; as on a real network, they do
// not end with the context that they were opened in.
type deaf struct {
	fs.Meta
	closed atomic.Int32
}

type deafStream struct {
	fs.Stream
	line *deaf
	end  chan struct{}
	once sync.Once
}

func (d *deaf) Attach(ctx context.Context, s fs.Session, held fs.Held) (fs.Stream, error) {
	st, err := d.Meta.Attach(ctx, s, held)
	if err != nil {
		return nil, err
	}
	return &deafStream{Stream: st, line: d, end: make(chan struct{})}, nil
}

func (s *deafStream) Send(fs.Beat) error {
	<-s.end
	return fs.ErrClosed
}

func (s *deafStream) Close() error {
	s.once.Do(func() { close(s.end); s.line.closed.Add(1) })
	return s.Stream.Close()
}

func TestSendThatHangs_IsBrokenOffAndTheSessionAttachedAgain(t *testing.T) {
	w := newWorld(t, localmeta.Config{TimeoutMillis: 60})
	var line *deaf
	w.wrap = func(m fs.Meta) fs.Meta {
		line = &deaf{Meta: m}
		return line
	}
	w.mount(t, Config{})
	eventually(t, "two streams were given up", func() bool { return line.closed.Load() >= 2 })
}

func TestFailover_PinsAreReclaimed(t *testing.T) {
	w := newWorld(t, localmeta.Config{TimeoutMillis: 60})
	m := w.mount(t, Config{})
	h := m.create("f")
	h.mustWrite(t, []byte("data"), 0)
	h.mustFlush(t)
	// An Attach under way could otherwise come after the fail-over with pins from before the file.
	eventually(t, "the session is attached", func() bool { return m.sw.count("beat") > 0 })
	if err := w.meta.Failover(); err != nil {
		t.Fatal(err)
	}
	if err := m.Unlink(ctxT(t), fs.RootIno, "f"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the pin is back", func() bool { return w.meta.Pins() == 1 })
	if err := w.meta.Reap(); err != nil {
		t.Fatal(err)
	}
	h.mustBe(t, []byte("data"))
}

// A file that is opened, at the old leader, after the list of pins for the new one was made.
func TestFailover_AnOpenThatTheListOfPinsMissedIsToldByTheFirstBeat(t *testing.T) {
	w := newWorld(t, localmeta.Config{TimeoutMillis: 60})
	m := w.mount(t, Config{})
	h := m.create("f")
	h.mustWrite(t, []byte("data"), 0)
	h.mustFlush(t)
	h.Release()
	eventually(t, "f is not pinned", func() bool { return w.meta.Pins() == 0 })

	var opened *Handle
	missed := make(chan error, 1)
	var once, breaks sync.Once
	m.sw.hook("attach", func() error { // the list is made, and not told yet
		once.Do(func() {
			a, err := m.Lookup(ctxT(t), fs.RootIno, "f")
			if err == nil {
				_, opened, _, err = m.FS.Open(ctxT(t), a.Ino, rw)
			}
			if err == nil {
				err = m.Unlink(ctxT(t), fs.RootIno, "f")
			}
			missed <- errors.Join(err, w.meta.Failover())
		})
		return nil
	})
	m.sw.hook("beat", func() error {
		broken := false
		breaks.Do(func() { broken = true })
		if broken {
			return fs.ErrUnavailable
		}
		return w.meta.Reap() // between the answer to Attach and the first beat, too
	})
	if err := <-missed; err != nil {
		t.Fatal(err)
	}
	eventually(t, "the pin is back", func() bool { return w.meta.Pins() == 1 })
	if err := w.meta.Reap(); err != nil {
		t.Fatal(err)
	}
	opened.mustBe(t, []byte("data"))
	opened.Release()
	eventually(t, "and goes with the handle", func() bool { return w.meta.Pins() == 0 })
}

func TestPins_WhatIsHeldAfterTheListIsUnlisted(t *testing.T) {
	p := newPins()
	for _, ino := range []fs.Ino{1, 2, 3} {
		if err := p.hold(ctxT(t), ino); err != nil {
			t.Fatal(err)
		}
	}
	p.release(3)
	if got := p.list(); !slices.Equal(got, []fs.Ino{1, 2}) {
		t.Errorf("the list is %v", got)
	}
	for _, ino := range []fs.Ino{2, 3, 4, 5} {
		if err := p.hold(ctxT(t), ino); err != nil {
			t.Fatal(err)
		}
	}
	p.release(5)
	if got := p.unlisted(); !slices.Equal(got, []fs.Ino{3, 4}) {
		t.Errorf("not on it are %v", got)
	}
	if got := p.list(); !slices.Equal(got, []fs.Ino{1, 2, 3, 4}) || len(p.unlisted()) != 0 {
		t.Errorf("the next list is %v", got)
	}
}

func TestKeeper_AttachesAgainWhenBeatsAreNotAnswered(t *testing.T) {
	w := newWorld(t, localmeta.Config{TimeoutMillis: 60})
	m := w.mount(t, Config{})
	m.sw.set("beat", fs.ErrUnavailable)
	eventually(t, "several tries", func() bool { return m.sw.count("attach") > 3 })
	m.sw.set("beat", nil)
	at := m.sw.count("attach")
	eventually(t, "beats go through", func() bool { return m.sw.count("beat") > at+10 })
}

func TestKeeper_TellsTheNodes(t *testing.T) {
	w := newWorld(t, localmeta.Config{Nodes: []fs.NodeInfo{{ID: "n1"}}})
	m := w.mount(t, Config{})
	told := make(chan []fs.NodeInfo, 10)
	m.OnNodes(func(l []fs.NodeInfo, _ int) { told <- l })
	for l := range told {
		if len(l) == 1 {
			break
		}
	}
	w.meta.Tell([]fs.NodeInfo{{ID: "n1"}, {ID: "n2"}})
	for l := range told {
		if len(l) == 2 {
			break
		}
	}
	if len(m.Nodes()) != 2 {
		t.Fatal(m.Nodes())
	}
}

func TestClose_EndsTheSession(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m := w.start(t, Config{})
	h := m.create("f")
	h.mustWrite(t, []byte("x"), 0)
	if err := m.Close(ctxT(t)); err != nil {
		t.Fatal(err)
	}
	w.meta.View(func(v state.View) {
		if l, err := v.Sessions(); err != nil || len(l) != 0 {
			t.Fatal(l, err)
		}
	})
	w.mount(t, Config{}).open("f", rw).mustBe(t, []byte("x"))
}

func TestPins_AnUnpinOnItsWayIsNotOvertaken(t *testing.T) {
	p := newPins()
	if err := p.hold(ctxT(t), 7); err != nil {
		t.Fatal(err)
	}
	p.release(7)
	if got := p.depart(1); len(got) != 1 {
		t.Fatal(got)
	}
	held := make(chan error, 1)
	go func() { held <- p.hold(ctxT(t), 7) }()
	select {
	case <-held:
		t.Fatal("held while the unpin is on its way")
	case <-time.After(10 * time.Millisecond): // long enough for a hold that does not wait
	}
	p.arrive(1)
	if err := <-held; err != nil {
		t.Fatal(err)
	}
	if got := p.depart(2); len(got) != 0 {
		t.Fatalf("%v are unpinned though held", got)
	}
}

func TestPins_LostUnpinsAreSentAgain(t *testing.T) {
	p := newPins()
	if err := p.hold(ctxT(t), 7); err != nil {
		t.Fatal(err)
	}
	p.release(7)
	p.depart(1)
	p.reattached()
	if got := p.depart(1); len(got) != 1 {
		t.Fatal(got)
	}
	p.arrive(1)
	if len(p.held) != 0 {
		t.Fatal("an unpinned inode is remembered")
	}
}

func TestPins_ManyUnpinsDoNotWaitForTheNextBeat(t *testing.T) {
	w := newWorld(t, localmeta.Config{}) // beats every 2.5 s
	m := w.mount(t, Config{})
	eventually(t, "the first beat", func() bool { return m.sw.count("beat") > 0 })
	for ino := range fs.Ino(unpinsMax / 2) {
		if err := m.pins.hold(ctxT(t), ino+100); err != nil {
			t.Fatal(err)
		}
		m.pins.release(ino + 100)
	}
	eventually(t, "all are unpinned", func() bool {
		m.pins.mu.Lock()
		defer m.pins.mu.Unlock()
		return len(m.pins.held) == 0
	})
	if n := m.sw.count("beat"); n > 3 {
		t.Fatalf("%d beats", n)
	}
}
