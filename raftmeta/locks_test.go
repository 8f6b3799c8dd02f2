package raftmeta

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"dfs/fs"
)

// lockMount is a mount that locks one inode.
type lockMount struct {
	*testSession
	c     *testCluster
	ino   fs.Ino
	st    fs.Stream
	calls uint64
}

// lockMounts makes n mounts that have the root pinned, and are attached.
func (c *testCluster) lockMounts(n int) (list []*lockMount) {
	c.t.Helper()
	for range n {
		m := &lockMount{testSession: c.session(), c: c, ino: fs.RootIno}
		if _, err := c.leader().Pin(c.ctx(), m.Session, m.ino); err != nil {
			c.t.Fatal(err)
		}
		m.attach()
		list = append(list, m)
	}
	return list
}

// attach tells whoever leads the locks that are held.
func (m *lockMount) attach(locks ...fs.Lock) {
	m.c.t.Helper()
	m.st = m.c.attach(m.Session, m.ino)
	if err := m.tell(locks...); err != nil {
		m.c.t.Fatal(err)
	}
}

func (m *lockMount) tell(locks ...fs.Lock) error {
	return m.st.Send(fs.Beat{Seq: 1, Locks: fs.LockClaim{Locks: locks, Seq: m.calls}})
}

func (m *lockMount) lock(start, end uint64) fs.Lock {
	return fs.Lock{Ino: m.ino, Kind: fs.LockRange, Owner: 7, Type: fs.LockWrite, Start: start, End: end}
}

func (m *lockMount) ask(action fs.LockAction, ticket uint64, l fs.Lock) (fs.LockState, error) {
	m.calls++
	a, err := m.c.leader().Lock(m.c.ctx(), m.Session, &fs.LockCall{Seq: m.calls, Action: action, Ticket: ticket, Lock: l})
	return a.State, err
}

func (m *lockMount) must(want fs.LockState, action fs.LockAction, ticket uint64, l fs.Lock) {
	m.c.t.Helper()
	if got, err := m.ask(action, ticket, l); err != nil || got != want {
		m.c.t.Fatalf("session %d, action %d: state %d, %v; want %d", m.ID, action, got, err, want)
	}
}

// told waits for the notice that names a ticket.
func (m *lockMount) told(ticket uint64) {
	m.c.t.Helper()
	late := time.AfterFunc(20*time.Second, func() { _ = m.st.Close() }) // which ends Recv
	defer late.Stop()
	for {
		n, err := m.st.Recv()
		if err != nil {
			m.c.t.Fatal(err)
		}
		if len(n.Tickets) > 0 {
			if fmt.Sprint(n.Tickets) != fmt.Sprint([]uint64{ticket}) {
				m.c.t.Fatalf("told of %v, want %d", n.Tickets, ticket)
			}
			return
		}
	}
}

func TestLock_IsHandedOverWithANotice(t *testing.T) {
	c := newCluster(t, 1, nil)
	m := c.lockMounts(2)
	m[0].must(fs.LockGranted, fs.LockTry, 0, m[0].lock(0, 9))
	m[1].must(fs.LockBusy, fs.LockTry, 0, m[1].lock(9, 9))
	m[1].must(fs.LockQueued, fs.LockWait, 3, m[1].lock(9, 9))
	list, err := c.leader().Locks(c.ctx(), fs.RootIno, 10)
	if err != nil || len(list.Locks) != 2 || list.Locks[0].Waiting || !list.Locks[1].Waiting || list.Locks[1].Host != "h" || list.Locks[1].Path != "/mnt" {
		t.Errorf("%+v, %v", list, err)
	}
	m[0].must(fs.LockGranted, fs.LockUnlock, 0, m[0].lock(0, fs.LockEnd))
	m[1].told(3)
	m[1].must(fs.LockGranted, fs.LockWait, 3, m[1].lock(9, 9))
	m[0].must(fs.LockBusy, fs.LockTry, 0, m[0].lock(0, 9))
}

func TestLock_OfWhatIsNotPinnedIsRefused(t *testing.T) {
	c := newCluster(t, 1, nil)
	m := c.lockMounts(1)[0]
	l := m.lock(0, 9)
	l.Ino = 77
	if _, err := m.ask(fs.LockTry, 0, l); !errors.Is(err, fs.ErrAccess) {
		t.Error(err)
	}
	m.must(fs.LockGranted, fs.LockUnlock, 0, l)
}

func TestEndOfASession_FreesItsLocks(t *testing.T) {
	c := shortSessions(t, 1, 500*time.Millisecond, nil)
	m := c.lockMounts(2)
	m[0].must(fs.LockGranted, fs.LockTry, 0, m[0].lock(0, 9))
	m[1].must(fs.LockQueued, fs.LockWait, 3, m[1].lock(9, 9))
	ctx, cancel := context.WithCancel(c.ctx())
	beating := make(chan struct{})
	go func() {
		defer close(beating)
		for seq := uint64(2); ctx.Err() == nil; seq++ {
			if err := m[1].st.Send(fs.Beat{Seq: seq}); err != nil {
				t.Error(err)
				return
			}
			waitFor(ctx, 50*time.Millisecond)
		}
	}()
	m[1].told(3)
	cancel()
	<-beating
	if !c.leader().Fenced(m[0].Epoch, m[0].ID) {
		t.Error("the lock was given away before the end of the session was applied")
	}
	if _, err := m[0].ask(fs.LockTry, 0, m[0].lock(100, 100)); !errors.Is(err, fs.ErrFenced) {
		t.Error(err)
	}
	other := c.lockMounts(1)[0]
	m[1].must(fs.LockGranted, fs.LockWait, 3, m[1].lock(9, 9))
	if err := c.leader().CloseSession(c.ctx(), m[1].Session); err != nil {
		t.Fatal(err)
	}
	other.must(fs.LockGranted, fs.LockTry, 0, other.lock(9, 9))
}

// A fresh leader grants what could conflict only when every live session has told what it holds.
func TestNextLeader_KnowsAllLocksBeforeItGrants(t *testing.T) {
	c := shortSessions(t, 3, 20*time.Second, nil)
	m := c.lockMounts(3)
	m[0].must(fs.LockGranted, fs.LockTry, 0, m[0].lock(0, 9))
	m[1].must(fs.LockQueued, fs.LockWait, 3, m[1].lock(9, 9))
	c.stop(c.leader().cfg.ID)
	m[1].st = c.attach(m[1].Session, m[1].ino)
	m[1].must(fs.LockLater, fs.LockWait, 3, m[1].lock(9, 9)) // it has not told its own
	if err := m[1].tell(); err != nil {
		t.Fatal(err)
	}
	m[1].must(fs.LockQueued, fs.LockWait, 3, m[1].lock(9, 9))
	m[1].must(fs.LockLater, fs.LockTry, 0, m[1].lock(50, 59))
	m[2].attach()
	m[1].must(fs.LockLater, fs.LockTry, 0, m[1].lock(0, 0))
	m[0].attach(m[0].lock(0, 9))
	m[1].must(fs.LockBusy, fs.LockTry, 0, m[1].lock(0, 0))
	m[1].must(fs.LockGranted, fs.LockTry, 0, m[1].lock(50, 59))
	m[0].must(fs.LockGranted, fs.LockUnlock, 0, m[0].lock(0, 9))
	m[1].told(3)
	m[1].must(fs.LockGranted, fs.LockWait, 3, m[1].lock(9, 9))
}

// What a session tells on a second stream in one reign is older than what the leader knows.
func TestSecondStream_ChangesNoLocks(t *testing.T) {
	c := newCluster(t, 1, nil)
	m := c.lockMounts(2)
	m[0].must(fs.LockGranted, fs.LockTry, 0, m[0].lock(0, 9))
	m[0].attach(m[0].lock(20, 29))
	m[1].must(fs.LockBusy, fs.LockTry, 0, m[1].lock(0, 9))
	m[1].must(fs.LockGranted, fs.LockTry, 0, m[1].lock(20, 29))
}

func TestClaimOfAnothersLock_EndsTheSession(t *testing.T) {
	c := shortSessions(t, 3, 20*time.Second, nil)
	m := c.lockMounts(2)
	c.stop(c.leader().cfg.ID)
	m[0].attach(m[0].lock(0, 9))
	m[1].st = c.attach(m[1].Session, m[1].ino)
	if err := m[1].tell(m[1].lock(5, 5)); err == nil {
		t.Error("both claims were taken")
	}
	c.eventually("the second one's session is over", func() bool { return c.leader().Fenced(m[1].Epoch, m[1].ID) })
	m[0].must(fs.LockGranted, fs.LockTry, 0, m[0].lock(10, 10))
}

// A session cannot claim what it has not pinned, and maybe may not see: it could keep it, or have its owner's session ended.
func TestClaimOfWhatIsNotPinned_IsNotTaken(t *testing.T) {
	c := shortSessions(t, 3, 20*time.Second, nil)
	m := c.lockMounts(3)
	m[1].must(fs.LockGranted, fs.LockTry, 0, m[1].lock(0, 9))
	c.stop(c.leader().cfg.ID)
	m[0].st = c.attach(m[0].Session)
	if err := m[0].tell(m[0].lock(0, 9)); err != nil {
		t.Fatal(err)
	}
	m[1].attach(m[1].lock(0, 9))
	m[2].must(fs.LockLater, fs.LockTest, 0, m[2].lock(0, 9)) // nobody knows whether it may see the inode
	m[2].attach()
	m[1].must(fs.LockGranted, fs.LockTry, 0, m[1].lock(10, 10))
}

// A leader that was cut off does not know that it is none any more; what it grants must not be believed.
func TestDeposedLeader_GrantsNothing(t *testing.T) {
	c := newCluster(t, 3, func(cfg *Config) { cfg.Timings.Operation = time.Second })
	m := c.lockMounts(1)[0]
	old := c.leader()
	cut := make(chan struct{})
	c.onStep(old.cfg.ID, "lock.done", func() error {
		c.setCut(old.cfg.ID, true)
		defer close(cut)
		for { // until another node leads
			for _, id := range c.ids() {
				if r, _ := c.node(id).leader.get(); id != old.cfg.ID && r != nil {
					return nil
				}
			}
			waitFor(c.ctx(), time.Millisecond)
		}
	})
	if a, err := old.Lock(context.WithoutCancel(c.ctx()), m.Session, &fs.LockCall{Seq: 1, Action: fs.LockTry, Lock: m.lock(0, 9)}); err == nil {
		t.Errorf("it answers %+v", a)
	}
	<-cut
	c.onStep(old.cfg.ID, "lock.done", nil)
	c.setCut(old.cfg.ID, false)
}
