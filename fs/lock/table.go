package lock

import (
	"maps"
	"slices"

	"dfs/fs"
)

// Table is the leader's: who holds what, who waits for what. It lives as long as a reign. Not safe for concurrent use.
//
// Invariants (check, in the tests):
//   - no two owners hold what does not go together;
//   - nobody waits for what he could have, once all sessions have told what they hold;
//   - no owners of ranges wait for each other in a circle that searchMax lets be found;
//   - the counts are those of what is there.
type Table struct {
	inodes   map[fs.Ino]*inode
	sessions map[fs.SessionID]*session
	owing    map[fs.SessionID]struct{} // sessions that have not told this reign yet what they hold
	waits    map[person][]*waiter      // of those who wait; never empty
	total    int                       // ranges held
	woken    []Wake
}

// Wake says that it is worth asking again under a ticket.
type Wake struct {
	Session fs.SessionID
	Ticket  uint64
}

// inode is there as long as anybody holds or waits for a lock on it.
type inode struct {
	owners []*owner  // in the order in which they came
	queue  []*waiter // in the order in which they came
}

// person is an owner across inodes: what the circle of a deadlock is made of.
type person struct {
	session fs.SessionID
	kind    fs.LockKind
	id      uint64
}

// owner is what a person holds on one inode; it holds something.
type owner struct {
	person
	pid   uint32
	since fs.Time
	held  Ranges
}

type waiter struct {
	person
	ticket uint64
	since  fs.Time
	lock   fs.Lock
}

// session is a live session's part.
type session struct {
	ranges  int
	waits   map[uint64]*waiter       // by ticket
	top     uint64                   // the highest Seq seen
	open    map[uint64]struct{}      // lower ones that may still come
	answers map[uint64]fs.LockAnswer // of the calls that the mount may repeat
}

// NewTable begins a reign without sessions.
func NewTable() *Table {
	return &Table{inodes: map[fs.Ino]*inode{}, sessions: map[fs.SessionID]*session{}, owing: map[fs.SessionID]struct{}{},
		waits: map[person][]*waiter{}}
}

// Owe says that a session was alive before this reign and holds what only it knows.
func (t *Table) Owe(s fs.SessionID) { t.owing[s] = struct{}{} }

// Owing is how many sessions have not told yet what they hold.
func (t *Table) Owing() int { return len(t.owing) }

// Reclaim tells what a session holds, once: after that the table knows better. It is false if that cannot be, since somebody
// else has told that he holds it, or is too much; nothing is taken then, and the session still owes.
func (t *Table) Reclaim(s fs.SessionID, at fs.Time, c fs.LockClaim) bool {
	if _, ok := t.owing[s]; !ok {
		return true
	}
	if len(c.Locks) > fs.LocksMax {
		return false
	}
	e := t.session(s)
	for i := range c.Locks {
		l := &c.Locks[i]
		p := personOf(s, l)
		if _, _, busy := t.conflict(p, l); busy || t.total >= fs.LocksTotalMax {
			t.release(s)
			return false
		}
		t.hold(p, at, l)
	}
	e.top = max(e.top, c.Seq)
	delete(t.owing, s)
	if len(t.owing) == 0 {
		t.tellAll()
	}
	return true
}

// Drop forgets a session whose end has been applied.
func (t *Table) Drop(s fs.SessionID) {
	touched := t.release(s)
	if _, ok := t.owing[s]; ok {
		delete(t.owing, s)
		if len(t.owing) == 0 {
			t.tellAll()
			return
		}
	}
	t.settleAll(touched)
}

// release takes out everything of a session's, and returns where that was.
func (t *Table) release(s fs.SessionID) (touched []fs.Ino) {
	for ino, i := range t.inodes {
		before := len(i.owners) + len(i.queue)
		i.owners = slices.DeleteFunc(i.owners, func(o *owner) bool {
			if o.session == s {
				t.total -= len(o.held)
			}
			return o.session == s
		})
		i.queue = slices.DeleteFunc(i.queue, func(w *waiter) bool {
			if w.session == s {
				delete(t.waits, w.person)
			}
			return w.session == s
		})
		if len(i.owners)+len(i.queue) != before {
			touched = append(touched, ino)
		}
	}
	delete(t.sessions, s)
	for _, ino := range touched {
		t.forget(ino)
	}
	slices.Sort(touched)
	return touched
}

// Take returns, once, whom to wake after the calls since the last Take.
func (t *Table) Take() []Wake {
	woken := t.woken
	t.woken = nil
	return woken
}

// List is at most limit locks, those on ino or all for 0, without what the table does not know: the mounts. more are left out.
func (t *Table) List(ino fs.Ino, limit int) (list []fs.LockStatus, more int) {
	inos := []fs.Ino{ino}
	if ino == 0 {
		inos = slices.Sorted(maps.Keys(t.inodes))
	}
	add := func(l fs.LockStatus) {
		if len(list) < limit {
			list = append(list, l)
		} else {
			more++
		}
	}
	for _, ino := range inos {
		i := t.inodes[ino]
		if i == nil {
			continue
		}
		for _, o := range i.owners {
			for _, r := range o.held {
				add(fs.LockStatus{Session: o.session, Since: o.since, Lock: o.lock(ino, r)})
			}
		}
		for _, w := range i.queue {
			add(fs.LockStatus{Session: w.session, Since: w.since, Lock: w.lock, Waiting: true})
		}
	}
	return list, more
}

func (o *owner) lock(ino fs.Ino, r Range) fs.Lock {
	return fs.Lock{Ino: ino, Kind: o.kind, Owner: o.id, PID: o.pid, Type: r.Type, Start: r.Start, End: r.End}
}

func personOf(s fs.SessionID, l *fs.Lock) person { return person{s, l.Kind, l.Owner} }

func (t *Table) session(s fs.SessionID) *session {
	e := t.sessions[s]
	if e == nil {
		e = &session{waits: map[uint64]*waiter{}, open: map[uint64]struct{}{}, answers: map[uint64]fs.LockAnswer{}}
		t.sessions[s] = e
	}
	return e
}

func (t *Table) inode(ino fs.Ino) *inode {
	i := t.inodes[ino]
	if i == nil {
		i = &inode{}
		t.inodes[ino] = i
	}
	return i
}

func (t *Table) forget(ino fs.Ino) {
	if i := t.inodes[ino]; i != nil && len(i.owners)+len(i.queue) == 0 {
		delete(t.inodes, ino)
	}
}

// owner is p's part of an inode, nil for none.
func (t *Table) owner(p person, ino fs.Ino) *owner {
	if i := t.inodes[ino]; i != nil {
		for _, o := range i.owners {
			if o.person == p {
				return o
			}
		}
	}
	return nil
}

func (t *Table) held(p person, ino fs.Ino) Ranges {
	if o := t.owner(p, ino); o != nil {
		return o.held
	}
	return nil
}

// conflict is the first lock of another owner that p's l does not go together with.
func (t *Table) conflict(p person, l *fs.Lock) (*owner, Range, bool) {
	if i := t.inodes[l.Ino]; i != nil {
		for _, o := range i.owners {
			if o.kind != l.Kind || o.person == p {
				continue
			}
			if r, ok := o.held.conflict(l.Start, l.End, l.Type); ok {
				return o, r, true
			}
		}
	}
	return nil, Range{}, false
}

// fits reports whether p may hold what Ranges of an inode become.
func (t *Table) fits(p person, ino fs.Ino, becomes Ranges) bool {
	more := len(becomes) - len(t.held(p, ino))
	return more <= 0 || t.session(p.session).ranges+more <= fs.LocksMax && t.total+more <= fs.LocksTotalMax
}

// hold grants l.
func (t *Table) hold(p person, at fs.Time, l *fs.Lock) {
	o := t.owner(p, l.Ino)
	if o == nil {
		o = &owner{person: p}
		i := t.inode(l.Ino)
		i.owners = append(i.owners, o)
	}
	o.pid, o.since = l.PID, at
	t.become(o, o.held.Set(l.Start, l.End, l.Type))
}

func (t *Table) become(o *owner, r Ranges) {
	more := len(r) - len(o.held)
	o.held = r
	t.total += more
	t.session(o.session).ranges += more
}

// drop takes [start, end] from p, and reports whether that was anything.
func (t *Table) drop(p person, ino fs.Ino, start, end uint64) bool {
	o := t.owner(p, ino)
	if o == nil || !o.held.Overlaps(start, end) {
		return false
	}
	t.become(o, o.held.Clear(start, end))
	if len(o.held) == 0 {
		i := t.inodes[ino]
		i.owners = slices.DeleteFunc(i.owners, func(x *owner) bool { return x == o })
		t.forget(ino)
	}
	return true
}
