package raftmeta

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"dfs/fs"
	"dfs/raftmeta/command"
)

// shortSessions is a cluster whose sessions time out soon.
func shortSessions(t *testing.T, n int, timeout time.Duration, tune func(*Config)) *testCluster {
	t.Helper()
	init := testInit()
	init.SessionTimeout = timeout.Milliseconds()
	return newClusterOf(t, n, init, tune)
}

// attach attaches to whoever leads. Until it beats, a fresh leader does not know all the session's pins.
func (c *testCluster) attach(s fs.Session, pins ...fs.Ino) fs.Stream {
	c.t.Helper()
	var st fs.Stream
	c.eventually("the session attaches", func() (ok bool) {
		var err error
		st, err = c.leader().Attach(c.ctx(), s, fs.Held{Pins: pins})
		return err == nil
	})
	return st
}

// beat sends a beat and waits for its answer.
func beat(st fs.Stream, seq uint64, unpins ...fs.Ino) error {
	if err := st.Send(fs.Beat{Seq: seq, Unpins: unpins}); err != nil {
		return err
	}
	for {
		n, err := st.Recv()
		if err != nil || n.Ack >= seq {
			return err
		}
	}
}

// orphan makes a file without a name.
func (c *testCluster) orphan(s *testSession, name string) fs.Ino {
	c.t.Helper()
	file := s.create(name)
	c.must(c.leader(), s.tx(file))
	c.must(c.leader(), s.tx(&fs.Unlink{Parent: fs.RootIno, Name: name, Time: 6}))
	return file.Ino
}

func (c *testCluster) exists(ino fs.Ino) bool {
	c.t.Helper()
	var err error
	c.eventually("the inode can be asked for", func() bool {
		_, err = c.leader().Getattr(c.ctx(), ino)
		return err == nil || errors.Is(err, fs.ErrNotExist)
	})
	return err == nil
}

func TestSilentSession_ExpiresAndIsFenced(t *testing.T) {
	c := shortSessions(t, 3, 400*time.Millisecond, nil)
	live, silent := c.session(), c.session()
	st := c.attach(live.Session)
	dead := c.attach(silent.Session)
	opened := time.Now()
	seq := uint64(0)
	c.eventually("the silent session is over", func() bool {
		seq++
		if err := beat(st, seq); err != nil {
			t.Fatalf("the session that beats: %v", err)
		}
		_, err := c.leader().Commit(c.ctx(), silent.tx(silent.create("x")))
		silent.seq--
		return errors.Is(err, fs.ErrFenced)
	})
	if d := time.Since(opened); d < 400*time.Millisecond {
		t.Errorf("it was over after %v already", d)
	}
	if _, err := dead.Recv(); err != nil { // news, or the end
		t.Log(err)
	}
	c.eventually("its stream has ended", func() bool { return dead.Send(fs.Beat{Seq: 9}) != nil })
	c.eventually("the leader's table has followed the state", func() bool {
		_, err := c.leader().Attach(c.ctx(), silent.Session, fs.Held{})
		return errors.Is(err, fs.ErrFenced)
	})
	if _, err := c.leader().Pin(c.ctx(), silent.Session, fs.RootIno); !errors.Is(err, fs.ErrFenced) {
		t.Errorf("pin after the end: %v", err)
	}
	if _, err := c.leader().AllocInos(c.ctx(), silent.Session, 1); !errors.Is(err, fs.ErrFenced) {
		t.Errorf("allot after the end: %v", err)
	}
	c.converge()
	for _, id := range c.ids() {
		n := c.node(id)
		if !n.Fenced(silent.Epoch, silent.ID) || n.Fenced(live.Epoch, live.ID) || n.Fenced(1<<40, 1<<40) {
			t.Errorf("%s: fenced: silent %v, live %v, unknown %v", id, n.Fenced(silent.Epoch, silent.ID),
				n.Fenced(live.Epoch, live.ID), n.Fenced(1<<40, 1<<40))
		}
	}
}

func TestClosedSession_IsOver(t *testing.T) {
	c := newCluster(t, 1, nil)
	s := c.session()
	st := c.attach(s.Session)
	if err := errors.Join(c.leader().CloseSession(c.ctx(), s.Session), c.leader().CloseSession(c.ctx(), s.Session)); err != nil {
		t.Fatal(err)
	}
	if err := st.Send(fs.Beat{Seq: 1}); !errors.Is(err, fs.ErrFenced) {
		t.Errorf("a beat after the close: %v", err)
	}
	if _, err := c.leader().Commit(c.ctx(), s.tx()); !errors.Is(err, fs.ErrFenced) {
		t.Errorf("a commit after the close: %v", err)
	}
}

func TestStream_TellsTheNodes(t *testing.T) {
	c := newCluster(t, 3, nil)
	c.mu.Lock()
	c.gossip["n2"] = fs.NodeInfo{ID: "n2", State: fs.NodeAlive, Zone: "z2", Load: fs.Load{DiskFreeBytes: 7}}
	c.mu.Unlock()
	st := c.attach(c.session().Session)
	wait := func(what string, ok func(fs.NodeInfo) bool) {
		t.Helper()
		c.eventually(what, func() bool {
			n, err := st.Recv()
			if err != nil {
				t.Fatal(err)
			}
			for _, info := range n.Nodes {
				if info.ID == "n2" && info.Addr == addrOf("n2") && ok(info) {
					return len(n.Nodes) == 3
				}
			}
			return false
		})
	}
	wait("the nodes are told", func(n fs.NodeInfo) bool {
		return n.State == fs.NodeAlive && n.Load.DiskFreeBytes == 7 && n.Zone == "z2"
	})
	c.mu.Lock()
	c.gossip["n2"] = fs.NodeInfo{ID: "n2", State: fs.NodeDead}
	c.mu.Unlock()
	wait("a change is told", func(n fs.NodeInfo) bool { return n.State == fs.NodeDead })
}

func TestAttachAnew_EndsTheOlderStream(t *testing.T) {
	c := newCluster(t, 1, nil)
	s := c.session()
	old := c.attach(s.Session)
	st := c.attach(s.Session)
	if err := old.Send(fs.Beat{Seq: 1}); !errors.Is(err, fs.ErrUnavailable) {
		t.Errorf("the older stream: %v", err)
	}
	if err := beat(st, 1); err != nil {
		t.Error(err)
	}
	if err := st.Close(); err != nil {
		t.Error(err)
	}
	if _, err := st.Recv(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("a closed stream: %v", err)
	}
}

// A fresh leader gives live sessions a full timeout, however long the fail-over took.
func TestFreshLeader_GivesSessionsAFullTimeout(t *testing.T) {
	c := shortSessions(t, 3, 700*time.Millisecond, nil)
	s := c.session()
	for i := range 20 { // enough for orphans and answers to be there
		c.must(c.leader(), s.tx(s.create(fmt.Sprint("f", i))))
	}
	for _, id := range c.ids() {
		c.stop(id)
	}
	waitFor(c.ctx(), time.Second) // longer than timeout and margin: but nobody led
	for i := range 3 {
		c.start(nodeID(i))
	}
	st := c.attach(s.Session)
	if err := beat(st, 1); err != nil {
		t.Fatal(err)
	}
	c.must(c.leader(), s.tx(s.create("after")))
}

// A deposed leader must not answer beats, even before it knows: its successor may be ending the session.
func TestDeposedLeader_AnswersNoBeat(t *testing.T) {
	c := newCluster(t, 3, func(cfg *Config) { cfg.NoLease = true })
	s := c.session()
	st := c.attach(s.Session)
	if err := beat(st, 1); err != nil {
		t.Fatal(err)
	}
	c.setCut(c.leader().cfg.ID, true)
	if err := beat(st, 2); err == nil {
		t.Error("a leader that is cut off has answered")
	}
}

// Once a session's end is on its way it is not answered any more: it could not be kept.
func TestExpiringSession_IsNotAnswered(t *testing.T) {
	c := newCluster(t, 1, nil)
	s := c.session()
	st := c.attach(s.Session)
	n := c.leader()
	r, _ := n.leader.get()
	t1 := r.sessions
	t1.mu.Lock()
	t1.sessions[s.ID].heard = time.Now().Add(-time.Hour)
	t1.mu.Unlock()
	if list := t1.silent(); len(list) != 1 || list[0].ID != s.ID {
		t.Fatalf("silent sessions: %v", list)
	}
	if list := t1.silent(); len(list) != 0 {
		t.Errorf("a session is expired twice: %v", list)
	}
	_, errAttach := n.Attach(c.ctx(), s.Session, fs.Held{})
	_, errPin := n.Pin(c.ctx(), s.Session, fs.RootIno)
	for i, err := range []error{st.Send(fs.Beat{Seq: 1}), errAttach, errPin} {
		if !errors.Is(err, fs.ErrUnavailable) {
			t.Errorf("call %d: %v", i, err)
		}
	}
}

func TestUnknownSession_IsFenced(t *testing.T) {
	c := newCluster(t, 1, nil)
	n := c.leader()
	bad := fs.Session{ID: 77, Epoch: 5}
	_, errAttach := n.Attach(c.ctx(), bad, fs.Held{})
	_, errPin := n.Pin(c.ctx(), bad, 1)
	_, errAlloc := n.AllocInos(c.ctx(), bad, 1)
	s := c.session()
	wrong := s.Session
	wrong.Epoch++
	_, errEpoch := n.Attach(c.ctx(), wrong, fs.Held{})
	for i, err := range []error{errAttach, errPin, errAlloc, errEpoch} {
		if !errors.Is(err, fs.ErrFenced) {
			t.Errorf("call %d: %v", i, err)
		}
	}
	if _, err := n.change(c.ctx(), &command.EndSession{Session: 77, Epoch: 5}); err != nil {
		t.Errorf("ending a session that never was: %v", err)
	}
}
