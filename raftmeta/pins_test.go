package raftmeta

import (
	"errors"
	"testing"
	"time"

	"dfs/fs"
)

func TestOrphans_LiveWhilePinnedAndAreReapedAfter(t *testing.T) {
	c := newCluster(t, 1, nil)
	s := c.session()
	st := c.attach(s.Session)
	pinned := s.create("pinned")
	c.must(c.leader(), s.tx(pinned))
	if a, err := c.leader().Pin(c.ctx(), s.Session, pinned.Ino); err != nil || a.Ino != pinned.Ino {
		t.Fatal(a, err)
	}
	c.must(c.leader(), s.tx(&fs.Unlink{Parent: fs.RootIno, Name: "pinned", Time: 6}))
	free := c.orphan(s, "free")
	c.eventually("the one that nobody pins is reaped", func() bool { return !c.exists(free) })
	if !c.exists(pinned.Ino) {
		t.Fatal("a pinned inode was reaped")
	}
	if _, err := c.leader().Pin(c.ctx(), s.Session, free); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("pinning what is gone: %v", err)
	}
	if err := beat(st, 1, pinned.Ino, 999); err != nil {
		t.Fatal(err)
	}
	c.eventually("the other is reaped after it was unpinned", func() bool { return !c.exists(pinned.Ino) })
	r, _ := c.leader().leader.get()
	r.sessions.mu.Lock()
	defer r.sessions.mu.Unlock()
	if len(r.sessions.pins) != 0 || len(r.sessions.reaping) != 0 {
		t.Errorf("pins that nobody has: %v; reaped for ever: %v", r.sessions.pins, r.sessions.reaping)
	}
}

func TestExpiredSession_LosesItsPins(t *testing.T) {
	c := shortSessions(t, 1, 300*time.Millisecond, nil)
	s := c.session()
	file := s.create("a")
	c.must(c.leader(), s.tx(file))
	if _, err := c.leader().Pin(c.ctx(), s.Session, file.Ino); err != nil {
		t.Fatal(err)
	}
	c.must(c.leader(), s.tx(&fs.Unlink{Parent: fs.RootIno, Name: "a", Time: 6}))
	c.eventually("the orphan is reaped when its session is over", func() bool { return !c.exists(file.Ino) })
}

// A fresh leader reaps nothing before every live session has told its pins, or is over.
func TestPins_SurviveFailOverAndHoldTheReaper(t *testing.T) {
	c := shortSessions(t, 3, 4*time.Second, nil)
	keeps, late := c.session(), c.session()
	st := c.attach(keeps.Session)
	c.attach(late.Session)
	kept, free := c.pinnedOrphan(keeps, "a"), c.pinnedOrphan(keeps, "b")
	old := c.leader().cfg.ID
	c.stop(old)
	if err := beat(st, 1); err == nil {
		t.Error("a stream outlived its leader")
	}
	st = c.attach(keeps.Session, kept)
	if err := beat(st, 2); err != nil {
		t.Fatal(err)
	}
	// late has not attached: nothing may be reaped for several rounds.
	for end := time.Now().Add(500 * time.Millisecond); time.Now().Before(end); {
		if !c.exists(free) || !c.exists(kept) {
			t.Fatal("an orphan was reaped before every session had told its pins")
		}
	}
	c.attach(late.Session, free)
	for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end); {
		if !c.exists(free) || !c.exists(kept) {
			t.Fatal("a pinned orphan was reaped")
		}
	}
	if err := beat(st, 3, kept); err != nil {
		t.Fatal(err)
	}
	c.eventually("what is not pinned any more is reaped", func() bool { return !c.exists(kept) })
	if !c.exists(free) {
		t.Error("what the late session pins was reaped")
	}
}

// pinnedOrphan makes a file without a name that the session has pinned at this leader.
func (c *testCluster) pinnedOrphan(s *testSession, name string) fs.Ino {
	c.t.Helper()
	file := s.create(name)
	c.must(c.leader(), s.tx(file))
	if _, err := c.leader().Pin(c.ctx(), s.Session, file.Ino); err != nil {
		c.t.Fatal(err)
	}
	c.must(c.leader(), s.tx(&fs.Unlink{Parent: fs.RootIno, Name: name, Time: 6}))
	return file.Ino
}

// Between the marking and the end of a reap nobody can pin the inode; before the marking a pin stops the reap.
func TestPinAndReap_ExcludeEachOther(t *testing.T) {
	c := newCluster(t, 1, nil)
	s := c.session()
	n := c.leader()
	r, _ := n.leader.get()
	reaping, release := make(chan struct{}, 1), make(chan struct{})
	c.onStep(n.cfg.ID, "reap.propose", func() error {
		select {
		case reaping <- struct{}{}:
			<-release
		default:
		}
		return nil
	})
	ino := c.orphan(s, "a")
	<-reaping // marked, not yet proposed
	if _, err := n.Pin(c.ctx(), s.Session, ino); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("pinned what is being reaped: %v", err)
	}
	close(release)
	c.eventually("it is reaped", func() bool { return !c.exists(ino) })
	// The other way round: a pin that is registered, but has not looked yet.
	file := s.create("b")
	c.must(n, s.tx(file))
	looked := make(chan error, 1)
	registered, look := make(chan struct{}), make(chan struct{})
	c.onStep(n.cfg.ID, "pin.registered", func() error { close(registered); <-look; return nil })
	go func() {
		_, err := n.Pin(c.ctx(), s.Session, file.Ino)
		looked <- err
	}()
	<-registered
	c.must(n, s.tx(&fs.Unlink{Parent: fs.RootIno, Name: "b", Time: 6}))
	if marked := r.sessions.beginReap([]fs.Ino{file.Ino}); len(marked) != 0 {
		t.Error("the reaper has marked an inode that is being pinned")
	}
	close(look)
	if err := <-looked; err != nil {
		t.Errorf("the pin: %v", err)
	}
}

func TestReap_OfAFileOfManyExtentsTakesSeveralCommands(t *testing.T) {
	c := newCluster(t, 1, nil)
	s := c.session()
	n := c.leader()
	file := s.create("a")
	c.must(n, s.tx(file))
	st := c.attach(s.Session, file.Ino)
	for k := range 3 {
		w := &fs.Write{Ino: file.Ino, Time: 1}
		for i := range 2000 {
			w.Extents = append(w.Extents, fs.Extent{Off: uint64(k*4000+2*i) * 8192, Len: 1, Data: []byte{1}})
		}
		c.must(n, s.tx(w))
	}
	c.must(n, s.tx(&fs.Unlink{Parent: fs.RootIno, Name: "a", Time: 6}))
	before := n.raft.Load().LastIndex()
	if err := beat(st, 1, file.Ino); err != nil {
		t.Fatal(err)
	}
	c.eventually("it is reaped", func() bool { return !c.exists(file.Ino) })
	if entries := n.raft.Load().LastIndex() - before; entries < 2 {
		t.Errorf("6000 extents were freed by %d commands", entries)
	}
}

// Attach replaces the pins by those told, but for the ones that a running call of Pin may be about to report.
func TestAttach_ForgetsOldPinsThatAreNotTold(t *testing.T) {
	c := newCluster(t, 1, nil)
	s := c.session()
	r, _ := c.leader().leader.get()
	table := r.sessions
	c.attach(s.Session, 101)
	table.mu.Lock()
	e := table.sessions[s.ID]
	for ino, age := range map[fs.Ino]time.Duration{102: time.Hour, 103: 0} {
		table.pin(e, ino)
		e.pins[ino] = time.Now().Add(-age)
	}
	table.mu.Unlock()
	c.attach(s.Session, 101, 104)
	table.mu.Lock()
	defer table.mu.Unlock()
	for ino, want := range map[fs.Ino]int{101: 1, 102: 0, 103: 1, 104: 1} {
		if table.pins[ino] != want {
			t.Errorf("inode %d is pinned %d times, not %d", ino, table.pins[ino], want)
		}
	}
}
