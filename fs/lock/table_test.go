package lock

import (
	"testing"

	"dfs/fs"
)

// script plays calls on a table, with numbers of its own.
type script struct {
	*Table
	t   *testing.T
	seq map[fs.SessionID]uint64
}

func newScript(t *testing.T) *script { return &script{NewTable(), t, map[fs.SessionID]uint64{}} }

func (s *script) do(id fs.SessionID, action fs.LockAction, ticket uint64, l fs.Lock, want fs.LockState) {
	s.t.Helper()
	s.seq[id]++
	c := fs.LockCall{Seq: s.seq[id], Action: action, Ticket: ticket, Lock: l}
	if a := s.Do(id, 1, &c); a.State != want {
		s.t.Fatalf("session %d, action %d, %+v: state %d, want %d", id, action, l, a.State, want)
	}
	if err := s.check(); err != nil {
		s.t.Fatal(err)
	}
}

func write(ino fs.Ino, owner, start, end uint64) fs.Lock {
	return fs.Lock{Ino: ino, Kind: fs.LockRange, Owner: owner, Type: fs.LockWrite, Start: start, End: end}
}

func flock(t fs.LockType, owner uint64) fs.Lock {
	return fs.Lock{Ino: 1, Kind: fs.LockFlock, Owner: owner, Type: t, End: fs.LockEnd}
}

func TestCircle_IsFoundByTheLastWhoWouldWait(t *testing.T) {
	s := newScript(t)
	for i := range uint64(3) {
		s.do(fs.SessionID(i+1), fs.LockTry, 0, write(1, 1, i, i), fs.LockGranted)
	}
	s.do(1, fs.LockWait, 1, write(1, 1, 1, 1), fs.LockQueued)
	s.do(2, fs.LockWait, 1, write(1, 1, 2, 2), fs.LockQueued)
	s.do(3, fs.LockWait, 1, write(1, 1, 0, 0), fs.LockDeadlock)
	s.do(3, fs.LockUnlock, 0, write(1, 1, 2, 2), fs.LockGranted)
	s.do(2, fs.LockCancel, 1, write(1, 1, 2, 2), fs.LockGranted)
}

func TestCircle_OfFlocksIsNone(t *testing.T) {
	s := newScript(t)
	other := flock(fs.LockWrite, 1)
	other.Ino = 2
	s.do(1, fs.LockTry, 0, flock(fs.LockWrite, 1), fs.LockGranted)
	s.do(2, fs.LockTry, 0, other, fs.LockGranted)
	s.do(1, fs.LockWait, 1, other, fs.LockQueued)
	s.do(2, fs.LockWait, 1, flock(fs.LockWrite, 1), fs.LockQueued)
}

// An owner with two threads may wait with one of them and be granted with the other what somebody waits for.
func TestCircle_ThatAGrantClosesIsFound(t *testing.T) {
	s := newScript(t)
	s.do(1, fs.LockTry, 0, write(1, 1, 0, 0), fs.LockGranted)
	s.do(3, fs.LockTry, 0, write(2, 1, 0, 0), fs.LockGranted)
	s.do(2, fs.LockWait, 1, write(1, 1, 0, 0), fs.LockQueued) // 2 waits for 1
	s.do(1, fs.LockWait, 1, write(2, 1, 0, 5), fs.LockQueued) // 1 waits for 3
	s.do(2, fs.LockTry, 0, write(2, 1, 5, 5), fs.LockGranted) // and now for 2 as well
	if woken := s.Take(); len(woken) != 1 || woken[0] != (Wake{1, 1}) {
		t.Fatal(woken)
	}
	s.do(1, fs.LockWait, 1, write(2, 1, 0, 5), fs.LockDeadlock)
}

// Whoever waits behind many others must not keep everybody from the table while it is found out whether he waits for himself.
func TestCircle_IsLookedForWithinBounds(t *testing.T) {
	const n = 100
	s := newScript(t)
	seq := uint64(0)
	do := func(action fs.LockAction, ticket uint64, l fs.Lock) {
		seq++
		s.Do(1, 1, &fs.LockCall{Seq: seq, Action: action, Ticket: ticket, Lock: l})
	}
	for i := range uint64(n) {
		do(fs.LockTry, 0, write(1, i, i, i))
		if i > 0 {
			do(fs.LockWait, i, write(1, i, i-1, i-1))
		}
	}
	last := &waiter{person{1, fs.LockRange, 0}, n, 1, write(1, 0, n-1, n-1)}
	left := searchMax
	if !s.deadlocked(last, &left) {
		t.Error("it would wait for itself")
	}
	if left = n * n / 4; s.deadlocked(last, &left) || left < -n {
		t.Errorf("it went %d ranges beyond the bound", -left)
	}
}

func TestFlock_ThatCannotBeConvertedIsLost(t *testing.T) {
	s := newScript(t)
	s.do(1, fs.LockTry, 0, flock(fs.LockRead, 1), fs.LockGranted)
	s.do(1, fs.LockTry, 0, flock(fs.LockRead, 2), fs.LockGranted)
	s.do(1, fs.LockTry, 0, flock(fs.LockWrite, 1), fs.LockBusy)
	s.do(1, fs.LockTry, 0, flock(fs.LockWrite, 2), fs.LockGranted)
}

// The numbers of calls make late ones harmless.
func TestCall_ThatWasGivenUpIsNotCarriedOutLater(t *testing.T) {
	s := newScript(t)
	late := fs.LockCall{Seq: 5, Action: fs.LockTry, Lock: write(1, 1, 0, 9)}
	open := fs.LockCall{Seq: 6, Open: []uint64{4}, Action: fs.LockUnlock, Lock: write(1, 1, 0, 9)}
	for _, step := range []struct {
		call fs.LockCall
		want fs.LockState
	}{
		{open, fs.LockGranted},
		{late, fs.LockStale},
		{fs.LockCall{Seq: 4, Action: fs.LockTry, Lock: write(1, 1, 0, 0)}, fs.LockGranted},
		{fs.LockCall{Seq: 3, Action: fs.LockTry, Lock: write(1, 1, 0, 0)}, fs.LockStale},
		{fs.LockCall{Seq: 7, Action: fs.LockUnlock, Lock: write(1, 1, 0, 9)}, fs.LockGranted},
		{fs.LockCall{Seq: 4, Action: fs.LockTry, Lock: write(1, 1, 0, 0)}, fs.LockStale},
		{open, fs.LockStale},
	} {
		if a := s.Do(1, 1, &step.call); a.State != step.want {
			t.Fatalf("%+v: %+v", step.call, a)
		}
	}
	s.Owe(2)
	if !s.Reclaim(2, 1, fs.LockClaim{Seq: 9}) {
		t.Fatal("an empty claim is refused")
	}
	if a := s.Do(2, 1, &fs.LockCall{Seq: 9, Action: fs.LockTry, Lock: write(1, 1, 0, 0)}); a.State != fs.LockStale {
		t.Fatalf("a call from before the claim: %+v", a)
	}
}

func TestNewReign_GrantsWhenAllHaveTold(t *testing.T) {
	s := newScript(t)
	s.Owe(1)
	s.Owe(2)
	s.do(1, fs.LockTry, 0, write(1, 1, 0, 0), fs.LockLater)
	if !s.Reclaim(1, 1, fs.LockClaim{Locks: []fs.Lock{write(1, 1, 0, 9)}, Seq: 1}) {
		t.Fatal("refused")
	}
	s.do(3, fs.LockTry, 0, write(1, 1, 0, 0), fs.LockBusy)
	s.do(3, fs.LockTry, 0, write(1, 1, 10, 10), fs.LockLater)
	s.do(3, fs.LockWait, 1, write(1, 1, 10, 10), fs.LockQueued)
	s.do(1, fs.LockTry, 0, write(1, 1, 2, 3), fs.LockGranted) // it has that already
	if s.Reclaim(2, 1, fs.LockClaim{Locks: []fs.Lock{write(1, 7, 20, 20), write(1, 7, 9, 9)}}) {
		t.Fatal("what two tell is taken")
	}
	if len(s.Take()) != 0 {
		t.Fatal("granted while a session owes")
	}
	s.Drop(2)
	if woken := s.Take(); len(woken) != 1 || woken[0] != (Wake{3, 1}) {
		t.Fatal(woken)
	}
	s.do(3, fs.LockWait, 1, write(1, 1, 10, 10), fs.LockGranted)
}

func TestBounds_HoldForASession(t *testing.T) {
	s := newScript(t)
	seq := uint64(0)
	do := func(action fs.LockAction, ticket uint64, l fs.Lock) fs.LockState {
		seq++
		return s.Do(1, 1, &fs.LockCall{Seq: seq, Action: action, Ticket: ticket, Lock: l}).State
	}
	for i := range uint64(fs.LocksMax) {
		if state := do(fs.LockTry, 0, write(fs.Ino(i+1), 1, 0, 2)); state != fs.LockGranted {
			t.Fatal(i, state)
		}
	}
	if state := do(fs.LockTry, 0, write(1, 1, 4, 4)); state != fs.LockFull {
		t.Error("one more:", state)
	}
	if state := do(fs.LockUnlock, 0, write(1, 1, 1, 1)); state != fs.LockFull {
		t.Error("a hole in one:", state)
	}
	if state := do(fs.LockUnlock, 0, write(1, 1, 0, fs.LockEnd)); state != fs.LockGranted {
		t.Error("one less:", state)
	}
	s.do(2, fs.LockTry, 0, write(1, 1, 0, 0), fs.LockGranted)
	for i := range uint64(fs.LockWaitsMax) {
		if state := do(fs.LockWait, i+1, write(1, 1, 0, 0)); state != fs.LockQueued {
			t.Fatal(i, state)
		}
	}
	if state := do(fs.LockWait, fs.LockWaitsMax+1, write(1, 1, 0, 0)); state != fs.LockFull {
		t.Error("one more in line:", state)
	}
	if e := s.sessions[1]; len(e.answers) > 1 || len(e.open) > 1 {
		t.Errorf("%d answers, %d open calls are remembered", len(e.answers), len(e.open))
	}
	if list, more := s.List(1, 10); len(list) != 10 || more != fs.LockWaitsMax-9 || list[0].Waiting || !list[1].Waiting {
		t.Errorf("%+v and %d more", list, more)
	}
}
