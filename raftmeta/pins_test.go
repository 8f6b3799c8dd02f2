package raftmeta

import (
	"errors"
	"testing"
	"time"

	"dfs/fs"
	"dfs/raftmeta/state"
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
	c.eventually("nothing is pinned, nor marked as being reaped", func() bool {
		r.sessions.mu.Lock()
		defer r.sessions.mu.Unlock()
		return len(r.sessions.pins) == 0 && len(r.sessions.reaping) == 0
	})
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
	lateSt := c.attach(late.Session, free)
	if err := beat(lateSt, 1); err != nil {
		t.Fatal(err)
	}
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

// pinned reports how many sessions pin an inode at the leader.
func (c *testCluster) pinned(ino fs.Ino) int {
	c.t.Helper()
	r, _ := c.leader().leader.get()
	r.sessions.mu.Lock()
	defer r.sessions.mu.Unlock()
	return r.sessions.pins[ino]
}

// The first beat of a stream completes the list of pins. What is registered from before the stream, and is not on the list,
// goes; what calls of Pin register meanwhile stays.
func TestFirstBeat_ForgetsOldPinsThatAreNotTold(t *testing.T) {
	c := newCluster(t, 1, nil)
	s := c.session()
	files := map[string]fs.Ino{}
	for _, name := range []string{"before", "told", "late", "meanwhile"} {
		file := s.create(name)
		c.must(c.leader(), s.tx(file))
		files[name] = file.Ino
	}
	pin := func(name string) {
		t.Helper()
		if _, err := c.leader().Pin(c.ctx(), s.Session, files[name]); err != nil {
			t.Fatal(err)
		}
	}
	pin("before")
	pin("told")
	pin("late")
	st := c.attach(s.Session, files["told"])
	pin("meanwhile")
	for name, ino := range files {
		if c.pinned(ino) != 1 {
			t.Errorf("%s: pinned by %d sessions before the first beat", name, c.pinned(ino))
		}
	}
	if err := st.Send(fs.Beat{Seq: 1, Pins: []fs.Ino{files["late"]}}); err != nil {
		t.Fatal(err)
	}
	if err := beat(st, 2); err != nil { // any other beat forgets nothing
		t.Fatal(err)
	}
	for name, want := range map[string]int{"before": 0, "told": 1, "late": 1, "meanwhile": 1} {
		if got := c.pinned(files[name]); got != want {
			t.Errorf("%s: pinned by %d sessions, want %d", name, got, want)
		}
	}
}

// A Pin that succeeds at the old leader, for an inode that the session began to open after it had made the list for Attach.
func TestPinThatTheListOfAttachMissed_HoldsTheReaperOfTheNextLeader(t *testing.T) {
	c := newCluster(t, 3, nil)
	s := c.session()
	c.attach(s.Session)
	missed := c.pinnedOrphan(s, "a") // after a list without it was made
	c.stop(c.leader().cfg.ID)
	st := c.attach(s.Session)
	reigns := c.leader()
	for end := time.Now().Add(10 * fast.Reap); time.Now().Before(end); {
		if !c.exists(missed) {
			t.Fatal("it was reaped before the session had told all its pins")
		}
	}
	if err := st.Send(fs.Beat{Seq: 1, Pins: []fs.Ino{missed}}); err != nil {
		t.Fatal(err)
	}
	free := c.orphan(s, "b")
	c.eventually("what nobody pins is reaped", func() bool { return !c.exists(free) })
	if !c.exists(missed) || c.leader() != reigns {
		t.Error("it was reaped, or the leader changed again")
	}
	if err := beat(st, 2, missed); err != nil {
		t.Fatal(err)
	}
	c.eventually("it is reaped when it is unpinned", func() bool { return !c.exists(missed) })
}

func TestClaims_OfASessionThatNeverBeatsAreBounded(t *testing.T) {
	table := newSessionTable(nil)
	table.add(&state.SessionRecord{Session: fs.Session{ID: 1}}, false)
	e := table.sessions[1]
	if err := table.claim(e, []fs.Ino{1}, claimsMax); err != nil {
		t.Fatal(err)
	}
	if err := table.claim(e, make([]fs.Ino, claimsMax), claimsMax); !errors.Is(err, fs.ErrTooLarge) || len(e.pins) != 1 {
		t.Errorf("%d pins, %v", len(e.pins), err)
	}
}
