package vfs

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dfs/fs"
	"dfs/raftmeta/localmeta"
)

func rangeLock(owner uint64, t fs.LockType, start, end uint64) fs.Lock {
	return fs.Lock{Kind: fs.LockRange, Owner: owner, Type: t, Start: start, End: end}
}

func mustLock(t *testing.T, h *Handle, l fs.Lock, want fs.LockState) {
	t.Helper()
	state, err := h.Lock(ctxT(t), l, false)
	if err != nil || state != want {
		t.Fatalf("lock %+v: state %d, %v; want %d", l, state, err, want)
	}
}

// at has fn run once at a mount's step.
func (m *mount) once(step string, fn func()) {
	var once sync.Once
	m.sw.hook(step, func() error {
		once.Do(fn)
		return nil
	})
}

// A grant whose answer never comes is taken back when the leader can be asked.
func TestLock_WithoutAnAnswerIsGivenUp(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m := w.mount(t, Config{OpTimeout: time.Second})
	h := m.create("f")
	m.sw.set("lock.answer", fs.ErrUnavailable)
	if _, err := h.Lock(ctxT(t), rangeLock(1, fs.LockWrite, 0, 9), false); !errors.Is(err, fs.ErrUnavailable) {
		t.Fatal(err)
	}
	if n := len(w.meta.Locks()); n != 1 {
		t.Fatalf("%d locks at the leader, the test is void", n)
	}
	m.sw.set("lock.answer", nil)
	eventually(t, "it is given up", func() bool { return len(w.meta.Locks()) == 0 })
	mustLock(t, h, rangeLock(2, fs.LockWrite, 0, 9), fs.LockGranted)
}

// With nobody to be asked a program does not hang: what it gives up is given up when somebody can be.
func TestUnlock_WithoutALeaderEnds(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m := w.mount(t, Config{OpTimeout: 200 * time.Millisecond})
	h := m.create("f")
	mustLock(t, h, rangeLock(1, fs.LockWrite, 0, 9), fs.LockGranted)
	m.sw.set("lock", fs.ErrUnavailable)
	_, err := h.Unlock(ctxT(t), rangeLock(1, fs.LockRead, 0, 9))
	mustBeErr(t, err, fs.ErrUnavailable)
	_, err = h.Lock(ctxT(t), rangeLock(1, fs.LockWrite, 20, 29), false)
	mustBeErr(t, err, fs.ErrUnavailable)
	m.sw.set("lock", nil)
	eventually(t, "it is given up", func() bool { return len(w.meta.Locks()) == 0 })
}

// The answer of a leader that was deposed while it was on its way does not count.
func TestLock_GrantedByAnEarlierLeaderIsAskedForAgain(t *testing.T) {
	w := newWorld(t, localmeta.Config{TimeoutMillis: 400})
	m := w.mount(t, Config{})
	h := m.create("f")
	m.once("lock.answer", func() {
		told, _ := m.locks.generation()
		if err := w.meta.Failover(); err != nil {
			t.Error(err)
		}
		eventually(t, "the next leader was told", func() bool { now, _ := m.locks.generation(); return now != told })
	})
	mustLock(t, h, rangeLock(1, fs.LockWrite, 0, 9), fs.LockGranted)
	if n := len(w.meta.Locks()); n != 1 {
		t.Errorf("the leader knows of %d locks", n)
	}
}

// What is being unlocked is not told to a new leader, for the old one may have given it away.
func TestUnlock_OnItsWayIsNotToldToTheNextLeader(t *testing.T) {
	w := newWorld(t, localmeta.Config{TimeoutMillis: 400})
	m := w.mount(t, Config{})
	h := m.create("f")
	mustLock(t, h, rangeLock(1, fs.LockWrite, 0, 9), fs.LockGranted)
	mustLock(t, h, rangeLock(1, fs.LockWrite, 20, 29), fs.LockGranted)
	m.once("lock", func() {
		if err := w.meta.Failover(); err != nil {
			t.Error(err)
		}
		eventually(t, "the next leader was told", func() bool { return len(w.meta.Locks()) > 0 })
		if list := w.meta.Locks(); len(list) != 1 || list[0].Start != 20 {
			t.Errorf("it was told %+v", list)
		}
	})
	if state, err := h.Unlock(ctxT(t), rangeLock(1, fs.LockRead, 0, 9)); err != nil || state != fs.LockGranted {
		t.Fatal(state, err)
	}
}

// A write lock that may be a read lock by now is told as one; refused, it is lost.
func TestList_TellsTheLeastThatMayBeHeld(t *testing.T) {
	k, r, h := newLocks(), &registration{}, &Handle{n: &inode{}}
	l := rangeLock(1, fs.LockWrite, 0, 9)
	o := k.use(&l)
	k.begin(o, &l)
	o.under = r
	o.granted(h, &l)(fs.LockGranted)
	k.end(o, &l, true)
	lower := rangeLock(1, fs.LockRead, 5, 20)
	k.begin(o, &lower)
	claim := k.list(r)
	if len(claim.Locks) != 2 || claim.Locks[0].Type != fs.LockWrite || claim.Locks[0].End != 4 || claim.Locks[1].Type != fs.LockRead {
		t.Errorf("told: %+v", claim.Locks)
	}
	if claim := k.list(&registration{}); len(claim.Locks) != 0 {
		t.Errorf("told under another session: %+v", claim.Locks)
	}
	k.end(o, &lower, false)
	if h.LockLost() == nil || len(o.held) > 0 {
		t.Error("what the leader was not told is believed in")
	}
}

func TestList_HasNoFlockThatIsBeingConverted(t *testing.T) {
	k, r, h := newLocks(), &registration{}, &Handle{n: &inode{}}
	l := fs.Lock{Kind: fs.LockFlock, Owner: 1, Type: fs.LockRead, End: fs.LockEnd}
	o := k.use(&l)
	o.under = r
	o.granted(h, &l)(fs.LockGranted)
	again := l
	k.begin(o, &again)
	if claim := k.list(r); len(claim.Locks) != 1 {
		t.Errorf("asked for once more it is told as %+v", claim.Locks)
	}
	up := l
	up.Type = fs.LockWrite
	k.begin(o, &up)
	if claim := k.list(r); len(claim.Locks) != 0 {
		t.Errorf("told: %+v", claim.Locks)
	}
}

// An answer is believed in only while the session surely lives.
func TestLock_IsNotBelievedInWhenTheSessionMayBeOver(t *testing.T) {
	w := newWorld(t, localmeta.Config{TimeoutMillis: 400})
	var slept atomic.Int64
	m := w.leased(t, Config{Boottime: func() time.Duration { return boottime() + time.Duration(slept.Load()) }})
	h := m.create("f")
	m.once("lock.answer", func() { slept.Add(int64(time.Second)) }) // the machine sleeps for as long as a session lives
	mustLock(t, h, rangeLock(1, fs.LockWrite, 0, 9), fs.LockGranted)
	if !m.leases.timely() || m.sw.count("lock") < 2 {
		t.Errorf("believed in after %d calls, the session surely alive: %v", m.sw.count("lock"), m.leases.timely())
	}
}

// The leader hears of what is opened under a lease with the next beat only, and lets nobody lock what he has not opened.
func TestLock_OfWhatWasOpenedUnderALease(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m, other := w.leased(t, Config{}), w.leased(t, Config{})
	theirs := other.create("f")
	m.open("f", rw).Release()
	eventually(t, "the file is not pinned", func() bool { return !m.pins.isHeld(theirs.Ino()) })
	var h *Handle
	if n := m.asked(func() { h = m.open("f", rw) }, "pin"); n != 0 {
		t.Fatalf("opening asked %d times", n)
	}
	defer h.Release()
	mustLock(t, h, rangeLock(1, fs.LockWrite, 0, 9), fs.LockGranted)
}

func TestLostSession_FailsTheHandlesThatRelyOnALock(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m := w.mount(t, Config{})
	locked := m.create("f")
	free := m.open("f", rw)
	mustLock(t, locked, rangeLock(1, fs.LockWrite, 0, 9), fs.LockGranted)
	expire(t, w, m)
	eventually(t, "a new session is open", func() bool { r := m.sessions.get(); return r != nil && r.ID > 1 })
	_, err := locked.Write(ctxT(t), []byte("x"), 0)
	mustBeErr(t, err, fs.ErrFenced)
	_, err = locked.Lock(ctxT(t), rangeLock(1, fs.LockWrite, 0, 9), false)
	mustBeErr(t, err, fs.ErrFenced)
	mustBeErr(t, locked.Fsync(ctxT(t), false), fs.ErrFenced)
	free.mustWrite(t, []byte("x"), 0)
	free.mustFlush(t)
	mustLock(t, free, rangeLock(2, fs.LockWrite, 0, 9), fs.LockGranted)
}

// What was written under a lock is there for the next owner, without fsync.
func TestUnlock_MakesWhatWasWrittenSeen(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	a, b := w.mount(t, Config{}), w.mount(t, Config{})
	ha := a.create("f")
	hb := b.open("f", rw)
	mustLock(t, ha, rangeLock(1, fs.LockWrite, 0, 9), fs.LockGranted)
	ha.mustWrite(t, []byte("written"), 0)
	granted := make(chan error, 1)
	go func() {
		_, err := hb.Lock(context.Background(), rangeLock(1, fs.LockRead, 0, 9), true)
		granted <- err
	}()
	eventually(t, "the other mount waits", func() bool { return len(w.meta.Locks()) == 2 })
	if state, err := ha.Unlock(ctxT(t), rangeLock(1, fs.LockRead, 0, 9)); err != nil || state != fs.LockGranted {
		t.Fatal(state, err)
	}
	if err := <-granted; err != nil {
		t.Fatal(err)
	}
	hb.mustBe(t, []byte("written"))
}

func TestRelease_FreesWhatWasTakenThroughTheHandle(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m := w.mount(t, Config{})
	stays := m.create("f")
	_, h, _, err := m.Open(ctxT(t), stays.Ino(), rw)
	if err != nil {
		t.Fatal(err)
	}
	flock := fs.Lock{Kind: fs.LockFlock, Owner: 5, Type: fs.LockWrite, End: fs.LockEnd}
	mustLock(t, h, flock, fs.LockGranted)
	mustLock(t, h, rangeLock(5, fs.LockWrite, 0, 9), fs.LockGranted)
	mustLock(t, stays, rangeLock(6, fs.LockWrite, 10, 19), fs.LockGranted)
	h.Release()
	flock.Owner = 6
	mustLock(t, stays, flock, fs.LockGranted) // at once, on this mount
	mustLock(t, stays, rangeLock(6, fs.LockWrite, 0, 9), fs.LockGranted)
	if len(m.locks.leaving) > 0 || len(m.locks.open) > 0 || len(m.locks.tickets) > 0 {
		t.Errorf("left behind: %+v", m.locks)
	}
}
