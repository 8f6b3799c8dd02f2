package lock

import (
	"slices"

	"dfs/fs"
)

// Do carries out one call of a live session's, at a time by the caller's clock. A call that is repeated gets its first answer.
func (t *Table) Do(s fs.SessionID, at fs.Time, c *fs.LockCall) fs.LockAnswer {
	if c.Action == fs.LockTest {
		return t.test(s, &c.Lock)
	}
	if _, owes := t.owing[s]; owes {
		return fs.LockAnswer{State: fs.LockLater} // or a lock that is given up here would be told afterwards
	}
	e := t.session(s)
	if a, ok := e.admit(c); !ok {
		return a
	}
	a := fs.LockAnswer{State: t.act(personOf(s, &c.Lock), at, c)}
	if a.State != fs.LockLater {
		e.answers[c.Seq] = a
	}
	return a
}

// admit decides whether a call is to be carried out; if not, it has the answer. What the call says of the earlier ones is
// learnt: all but the open ones are over.
func (e *session) admit(c *fs.LockCall) (fs.LockAnswer, bool) {
	if c.Seq <= e.top {
		if a, ok := e.answers[c.Seq]; ok {
			return a, false
		}
		if _, ok := e.open[c.Seq]; !ok {
			return fs.LockAnswer{State: fs.LockStale}, false
		}
		return fs.LockAnswer{}, true
	}
	before := e.top
	e.top = c.Seq
	open := make(map[uint64]struct{}, len(c.Open)+1)
	open[c.Seq] = struct{}{} // it may be answered LockLater, and come again
	for _, seq := range c.Open {
		if _, ok := e.open[seq]; ok || seq > before && seq < c.Seq {
			open[seq] = struct{}{}
		}
	}
	e.open = open
	for seq := range e.answers {
		if _, ok := open[seq]; !ok {
			delete(e.answers, seq)
		}
	}
	return fs.LockAnswer{}, true
}

func (t *Table) act(p person, at fs.Time, c *fs.LockCall) fs.LockState {
	l := &c.Lock
	switch c.Action {
	case fs.LockTry:
		return t.try(p, at, l)
	case fs.LockWait:
		return t.wait(p, at, l, c.Ticket)
	case fs.LockUnlock:
		return t.unlock(p, l)
	case fs.LockCancel:
		return t.cancel(p, l, c.Ticket)
	}
	return fs.LockStale
}

// try grants l, if it can be.
func (t *Table) try(p person, at fs.Time, l *fs.Lock) fs.LockState {
	held := t.held(p, l.Ino)
	if held.Covers(l.Start, l.End, l.Type) {
		return fs.LockGranted
	}
	if l.Kind == fs.LockFlock && t.drop(p, l.Ino, 0, fs.LockEnd) {
		t.settle(l.Ino) // flock(2): the old lock is removed first, and others may get in between
	}
	if _, _, busy := t.conflict(p, l); busy {
		return fs.LockBusy
	}
	if len(t.owing) > 0 {
		return fs.LockLater
	}
	if !t.fits(p, l.Ino, t.held(p, l.Ino).Set(l.Start, l.End, l.Type)) {
		return fs.LockFull
	}
	t.hold(p, at, l)
	t.settle(l.Ino, p) // a write lock may have become a read lock
	return fs.LockGranted
}

// wait is try, and then waits in line. Asked again under a ticket that waits it says so.
func (t *Table) wait(p person, at fs.Time, l *fs.Lock, ticket uint64) fs.LockState {
	e := t.session(p.session)
	if e.waits[ticket] != nil {
		return fs.LockQueued
	}
	if state := t.try(p, at, l); state != fs.LockBusy && state != fs.LockLater {
		return state
	}
	w, left := &waiter{p, ticket, at, *l}, searchMax
	if t.deadlocked(w, &left) {
		return fs.LockDeadlock
	}
	if len(e.waits) >= fs.LockWaitsMax {
		return fs.LockFull
	}
	e.waits[ticket] = w
	t.waits[p] = append(t.waits[p], w)
	i := t.inode(l.Ino)
	i.queue = append(i.queue, w)
	return fs.LockQueued
}

func (t *Table) unlock(p person, l *fs.Lock) fs.LockState {
	if held := t.held(p, l.Ino); held != nil && !t.fits(p, l.Ino, held.Clear(l.Start, l.End)) {
		return fs.LockFull
	}
	if t.drop(p, l.Ino, l.Start, l.End) {
		t.settle(l.Ino)
	}
	return fs.LockGranted
}

// cancel ends a wait; LockGranted if the lock is held, by this wait or already.
func (t *Table) cancel(p person, l *fs.Lock, ticket uint64) fs.LockState {
	if w := t.session(p.session).waits[ticket]; w != nil {
		t.leave(w)
		return fs.LockBusy
	}
	if t.held(p, l.Ino).Covers(l.Start, l.End, l.Type) {
		return fs.LockGranted
	}
	return fs.LockBusy
}

// leave takes w out of its line.
func (t *Table) leave(w *waiter) {
	delete(t.session(w.session).waits, w.ticket)
	t.waits[w.person] = slices.DeleteFunc(t.waits[w.person], func(x *waiter) bool { return x == w })
	if len(t.waits[w.person]) == 0 {
		delete(t.waits, w.person)
	}
	i := t.inodes[w.lock.Ino]
	i.queue = slices.DeleteFunc(i.queue, func(x *waiter) bool { return x == w })
	t.forget(w.lock.Ino)
}

// test tells who is in the way of l.
func (t *Table) test(s fs.SessionID, l *fs.Lock) fs.LockAnswer {
	if o, r, busy := t.conflict(personOf(s, l), l); busy {
		return fs.LockAnswer{State: fs.LockBusy, Conflict: o.lock(l.Ino, r), Own: o.session == s}
	}
	if len(t.owing) > 0 {
		return fs.LockAnswer{State: fs.LockLater}
	}
	return fs.LockAnswer{State: fs.LockGranted}
}
