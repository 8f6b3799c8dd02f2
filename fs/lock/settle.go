package lock

import (
	"maps"
	"slices"

	"dfs/fs"
)

// settle grants what can be granted on an inode, and wakes who got it. Who waits on, and has come into a circle by a grant to
// somebody who waits as well, is woken too: asking again tells him. fresh are those who were granted something just before.
func (t *Table) settle(ino fs.Ino, fresh ...person) {
	fresh = append(fresh, t.grant(ino)...)
	left := searchMax
	for _, p := range fresh { // a new circle goes through one of them
		if slices.ContainsFunc(t.waits[p], func(w *waiter) bool { return t.deadlocked(w, &left) }) {
			t.breakCircles(ino, &left)
			return
		}
	}
}

// grant grants in the order in which it was asked for, and returns to whom.
func (t *Table) grant(ino fs.Ino) (fresh []person) {
	if len(t.owing) > 0 {
		return nil
	}
	for w := t.first(ino); w != nil; w = t.first(ino) {
		if t.fits(w.person, ino, t.held(w.person, ino).Set(w.lock.Start, w.lock.End, w.lock.Type)) {
			t.hold(w.person, w.since, &w.lock)
			fresh = append(fresh, w.person)
		}
		t.wake(w)
	}
	return fresh
}

// first is the first in line whom nobody is in the way of; nil for none.
func (t *Table) first(ino fs.Ino) *waiter {
	if i := t.inodes[ino]; i != nil {
		for _, w := range i.queue {
			if _, _, busy := t.conflict(w.person, &w.lock); !busy {
				return w
			}
		}
	}
	return nil
}

func (t *Table) breakCircles(ino fs.Ino, left *int) {
	if i := t.inodes[ino]; i != nil {
		for _, w := range slices.Clone(i.queue) {
			if t.deadlocked(w, left) {
				t.wake(w)
			}
		}
	}
}

// wake takes w out of the line; without room for its lock, asking again says so.
func (t *Table) wake(w *waiter) {
	t.leave(w)
	t.woken = append(t.woken, Wake{w.session, w.ticket})
}

// settleAll settles several inodes, in their order.
func (t *Table) settleAll(inos []fs.Ino) {
	if len(t.owing) > 0 {
		return
	}
	for _, ino := range inos {
		t.grant(ino)
	}
	left := searchMax
	for _, ino := range inos {
		t.breakCircles(ino, &left)
	}
}

// tellAll is called when the last session has told what it holds: only now can anything be granted.
func (t *Table) tellAll() { t.settleAll(slices.Sorted(maps.Keys(t.inodes))) }

// searchMax is how many ranges are looked at for circles, in one call: thousands that wait behind one another would else keep
// the leader from everything else. What is not found by then is taken for none, as on Linux, which takes ten steps.
const searchMax = 1 << 18

// deadlocked reports whether somebody in w's way waits for w's owner, directly or by others who wait. Only owners of ranges
// count: who else waits for a flock, or whom that waits for, cannot be known, since any process with the descriptor may end it.
// What is looked at is taken from left; it is false when that is used up.
func (t *Table) deadlocked(w *waiter, left *int) bool {
	if w.kind != fs.LockRange {
		return false
	}
	seen := map[person]bool{}
	next := []*waiter{w}
	for len(next) > 0 && *left > 0 {
		x := next[len(next)-1]
		next = next[:len(next)-1]
		for _, p := range t.inTheWay(x, left) {
			if p == w.person {
				return true
			}
			if !seen[p] {
				seen[p] = true
				next = append(next, t.waits[p]...)
			}
		}
	}
	return false
}

// inTheWay are the owners that w waits for. What is looked at is taken from left.
func (t *Table) inTheWay(w *waiter, left *int) (list []person) {
	i := t.inodes[w.lock.Ino]
	if i == nil {
		return nil
	}
	for _, o := range i.owners {
		if o.kind != w.kind || o.person == w.person {
			*left--
			continue
		}
		*left -= len(o.held)
		if _, ok := o.held.conflict(w.lock.Start, w.lock.End, w.lock.Type); ok {
			list = append(list, o.person)
		}
	}
	return list
}
