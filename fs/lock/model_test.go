package lock

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"dfs/fs"
)

const (
	bytesMax  = 6 // bytes 0 … 5 of a model's file; the last one stands for all up to fs.LockEnd
	inosMax   = 2
	ownersMax = 2 // of a session, a kind
)

// place is one byte of one inode, for one kind of locks.
type place struct {
	ino  fs.Ino
	kind fs.LockKind
	b    int
}

// naive is a Table that knows of each byte who holds it.
type naive struct {
	held  map[place]map[person]fs.LockType
	queue []naiveWait
	owing map[fs.SessionID]bool
}

type naiveWait struct {
	p      person
	ticket uint64
	l      fs.Lock
}

func places(l *fs.Lock) (list []place) {
	for b := int(l.Start); b < bytesMax && uint64(b) <= l.End; b++ {
		list = append(list, place{l.Ino, l.Kind, b})
	}
	return list
}

func (n *naive) set(p person, l *fs.Lock, t fs.LockType) {
	for _, at := range places(l) {
		if n.held[at] == nil {
			n.held[at] = map[person]fs.LockType{}
		}
		n.held[at][p] = t
		if t == 0 {
			delete(n.held[at], p)
		}
	}
}

// blockers are the owners in the way of p's l.
func (n *naive) blockers(p person, l *fs.Lock) map[person]bool {
	all := map[person]bool{}
	for _, at := range places(l) {
		for o, t := range n.held[at] {
			if o != p && (t == fs.LockWrite || l.Type == fs.LockWrite) {
				all[o] = true
			}
		}
	}
	return all
}

func (n *naive) covers(p person, l *fs.Lock) bool {
	for _, at := range places(l) {
		if n.held[at][p] != l.Type {
			return false
		}
	}
	return true
}

// circle closes the graph step by step until nothing is new.
func (n *naive) circle(w naiveWait) bool {
	if w.l.Kind != fs.LockRange {
		return false
	}
	reached := n.blockers(w.p, &w.l)
	for grown := true; grown; {
		grown = false
		for _, x := range n.queue {
			if !reached[x.p] {
				continue
			}
			for b := range n.blockers(x.p, &x.l) {
				grown = grown || !reached[b]
				reached[b] = true
			}
		}
	}
	return reached[w.p]
}

// settle grants until nothing more can be, and then wakes who waits in a circle, by inode. It returns who was woken. What has
// changed is on ino; 0: anywhere.
func (n *naive) settle(ino fs.Ino) (woken []uint64) {
	if len(n.owing) > 0 {
		return nil
	}
	for i := 0; i < len(n.queue); {
		w := n.queue[i]
		if len(n.blockers(w.p, &w.l)) > 0 {
			i++
			continue
		}
		n.set(w.p, &w.l, w.l.Type)
		woken = append(woken, w.ticket)
		n.queue = slices.Delete(n.queue, i, i+1)
		i = 0
	}
	slices.SortStableFunc(n.queue, func(a, b naiveWait) int { return int(a.l.Ino) - int(b.l.Ino) })
	for i := 0; i < len(n.queue); {
		if w := n.queue[i]; (ino == 0 || w.l.Ino == ino) && n.circle(w) {
			woken = append(woken, w.ticket)
			n.queue = slices.Delete(n.queue, i, i+1)
			continue
		}
		i++
	}
	return woken
}

// try is LockTry and LockWait.
func (n *naive) try(p person, l *fs.Lock, ticket uint64) (fs.LockState, []uint64) {
	if n.covers(p, l) {
		return fs.LockGranted, nil
	}
	var woken []uint64
	if l.Kind == fs.LockFlock {
		n.set(p, l, 0)
		woken = n.settle(l.Ino)
	}
	busy := len(n.blockers(p, l)) > 0
	if !busy && len(n.owing) == 0 {
		n.set(p, l, l.Type)
		return fs.LockGranted, append(woken, n.settle(l.Ino)...)
	}
	w := naiveWait{p, ticket, *l}
	switch {
	case ticket == 0 && busy:
		return fs.LockBusy, woken
	case ticket == 0:
		return fs.LockLater, woken
	case n.circle(w):
		return fs.LockDeadlock, woken
	}
	n.queue = append(n.queue, w)
	return fs.LockQueued, woken
}

// twin drives a Table and its model side by side.
type twin struct {
	t        *rapid.T
	table    *Table
	model    *naive
	sessions []fs.SessionID
	seq      map[fs.SessionID]uint64
	tickets  uint64
	waits    []naiveWait // that were queued once
	told     []uint64    // tickets woken by the model, since the last look
}

func newTwin(t *rapid.T) *twin {
	w := &twin{t: t, table: NewTable(), model: &naive{held: map[place]map[person]fs.LockType{}, owing: map[fs.SessionID]bool{}},
		sessions: []fs.SessionID{1, 2, 3}, seq: map[fs.SessionID]uint64{}}
	for _, s := range w.sessions[:rapid.IntRange(0, 3).Draw(t, "owing")] {
		w.table.Owe(s)
		w.model.owing[s] = true
	}
	return w
}

func (w *twin) lock() fs.Lock {
	l := fs.Lock{Ino: fs.Ino(rapid.IntRange(1, inosMax).Draw(w.t, "ino")), Kind: fs.LockKind(rapid.IntRange(1, 2).Draw(w.t, "kind")),
		Owner: uint64(rapid.IntRange(1, ownersMax).Draw(w.t, "owner")), Type: fs.LockType(rapid.IntRange(1, 2).Draw(w.t, "type")), End: fs.LockEnd}
	if l.Kind == fs.LockRange {
		l.Start = uint64(rapid.IntRange(0, bytesMax-1).Draw(w.t, "start"))
		if end := rapid.IntRange(int(l.Start), bytesMax-1).Draw(w.t, "end"); end < bytesMax-1 {
			l.End = uint64(end)
		}
	}
	return l
}

func (w *twin) session() fs.SessionID { return rapid.SampledFrom(w.sessions).Draw(w.t, "session") }

func (w *twin) call(s fs.SessionID, action fs.LockAction, l fs.Lock, ticket uint64) fs.LockState {
	w.seq[s]++
	c := &fs.LockCall{Seq: w.seq[s], Action: action, Ticket: ticket, Lock: l}
	a := w.table.Do(s, 1, c)
	if again := w.table.Do(s, 2, c); a.State != fs.LockLater && again != a {
		w.t.Fatalf("the repeated call is answered %v after %v", again, a)
	}
	return a.State
}

func (w *twin) same(what string, got, want fs.LockState) {
	if got != want {
		w.t.Fatalf("%s: %v, the model says %v", what, got, want)
	}
}

func (w *twin) Try(*rapid.T) { w.ask(w.session(), w.lock(), 0) }

func (w *twin) Wait(*rapid.T) {
	w.tickets++
	w.ask(w.session(), w.lock(), w.tickets)
}

// AskAgain is what a mount does when it is woken, or attached anew.
func (w *twin) AskAgain(*rapid.T) {
	if len(w.waits) > 0 {
		x := rapid.SampledFrom(w.waits).Draw(w.t, "wait")
		w.ask(x.p.session, x.l, x.ticket)
	}
}

func (w *twin) ask(s fs.SessionID, l fs.Lock, ticket uint64) {
	action := fs.LockTry
	if ticket != 0 {
		action = fs.LockWait
	}
	got := w.call(s, action, l, ticket)
	p := personOf(s, &l)
	if w.model.owing[s] {
		w.same("owing", got, fs.LockLater)
		return
	}
	if slices.ContainsFunc(w.model.queue, func(x naiveWait) bool { return x.ticket == ticket }) {
		w.same("again", got, fs.LockQueued)
		return
	}
	want, woken := w.model.try(p, &l, ticket)
	w.told = append(w.told, woken...)
	w.same(fmt.Sprintf("%v %+v", p, l), got, want)
	if got == fs.LockQueued {
		w.waits = append(w.waits, naiveWait{p, ticket, l})
	}
}

func (w *twin) Unlock(*rapid.T) {
	s, l := w.session(), w.lock()
	got := w.call(s, fs.LockUnlock, l, 0)
	if w.model.owing[s] {
		w.same("owing", got, fs.LockLater)
		return
	}
	w.same("unlock", got, fs.LockGranted)
	w.model.set(personOf(s, &l), &l, 0)
	w.told = append(w.told, w.model.settle(l.Ino)...)
}

func (w *twin) Cancel(*rapid.T) {
	if len(w.waits) == 0 {
		return
	}
	x := rapid.SampledFrom(w.waits).Draw(w.t, "wait")
	got := w.call(x.p.session, fs.LockCancel, x.l, x.ticket)
	if w.model.owing[x.p.session] {
		w.same("owing", got, fs.LockLater)
		return
	}
	before := len(w.model.queue)
	w.model.queue = slices.DeleteFunc(w.model.queue, func(y naiveWait) bool { return y.ticket == x.ticket })
	if len(w.model.queue) == before && w.model.covers(x.p, &x.l) {
		w.same("cancel, held", got, fs.LockGranted)
	} else {
		w.same("cancel", got, fs.LockBusy)
	}
}

func (w *twin) Test(*rapid.T) {
	s, l := w.session(), w.lock()
	a := w.table.Do(s, 1, &fs.LockCall{Action: fs.LockTest, Lock: l})
	blockers := w.model.blockers(personOf(s, &l), &l)
	switch {
	case len(blockers) > 0:
		o := a.Conflict
		found := slices.ContainsFunc(w.sessions, func(x fs.SessionID) bool { return blockers[personOf(x, &o)] && (x == s) == a.Own })
		if a.State != fs.LockBusy || !found {
			w.t.Fatalf("%+v is answered %+v, in the way are %v", l, a, blockers)
		}
	case len(w.model.owing) > 0:
		w.same("test", a.State, fs.LockLater)
	default:
		w.same("test", a.State, fs.LockGranted)
	}
}

// Drop ends a session; a new one takes its place.
func (w *twin) Drop(*rapid.T) {
	i := rapid.IntRange(0, len(w.sessions)-1).Draw(w.t, "which")
	s := w.sessions[i]
	w.table.Drop(s)
	w.sessions[i] = slices.Max(w.sessions) + 1
	for _, owners := range w.model.held {
		maps.DeleteFunc(owners, func(p person, _ fs.LockType) bool { return p.session == s })
	}
	w.model.queue = slices.DeleteFunc(w.model.queue, func(x naiveWait) bool { return x.p.session == s })
	w.waits = slices.DeleteFunc(w.waits, func(x naiveWait) bool { return x.p.session == s })
	delete(w.model.owing, s)
	w.told = append(w.told, w.model.settle(0)...)
}

func (w *twin) Reclaim(*rapid.T) {
	s := w.session()
	var claim fs.LockClaim
	clash := false
	if w.model.owing[s] {
		for range rapid.IntRange(0, 2).Draw(w.t, "locks") {
			l := w.lock()
			clash = clash || len(w.model.blockers(personOf(s, &l), &l)) > 0
			claim.Locks = append(claim.Locks, l)
		}
	}
	own := map[place]map[person]fs.LockType{} // locks of two owners of the session may clash with each other
	trial := &naive{held: own}
	for i := range claim.Locks {
		l := &claim.Locks[i]
		clash = clash || len(trial.blockers(personOf(s, l), l)) > 0
		trial.set(personOf(s, l), l, l.Type)
	}
	if ok := w.table.Reclaim(s, 1, claim); ok == clash {
		w.t.Fatalf("reclaim %+v: %v", claim, ok)
	}
	if clash {
		return
	}
	for i := range claim.Locks {
		w.model.set(personOf(s, &claim.Locks[i]), &claim.Locks[i], claim.Locks[i].Type)
	}
	if w.model.owing[s] {
		delete(w.model.owing, s)
		w.told = append(w.told, w.model.settle(0)...)
	}
}

// Check compares the two.
func (w *twin) Check(*rapid.T) {
	if err := w.table.check(); err != nil {
		w.t.Fatal(err)
	}
	for ino := fs.Ino(1); ino <= inosMax; ino++ {
		for _, kind := range []fs.LockKind{fs.LockRange, fs.LockFlock} {
			for b := range bytesMax {
				w.compare(place{ino, kind, b})
			}
		}
	}
	var woken []uint64
	for _, x := range w.table.Take() {
		woken = append(woken, x.Ticket)
	}
	slices.Sort(woken)
	slices.Sort(w.told)
	if !slices.Equal(woken, w.told) {
		w.t.Fatalf("woken %v, the model says %v", woken, w.told)
	}
	w.told = nil
}

func (w *twin) compare(at place) {
	for _, s := range w.sessions {
		for id := uint64(1); id <= ownersMax; id++ {
			p := person{s, at.kind, id}
			var got fs.LockType
			for _, r := range w.table.held(p, at.ino) {
				if r.Start <= uint64(at.b) && uint64(at.b) <= r.End {
					got = r.Type
				}
			}
			if want := w.model.held[at][p]; got != want {
				w.t.Fatalf("%+v holds %v at %+v, the model says %v", p, got, at, want)
			}
		}
	}
}

func TestTable_DoesWhatANaiveOneDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newTwin(t)
		t.Repeat(map[string]func(*rapid.T){"try": w.Try, "wait": w.Wait, "again": w.AskAgain, "unlock": w.Unlock, "cancel": w.Cancel,
			"test": w.Test, "drop": w.Drop, "reclaim": w.Reclaim, "": w.Check})
	})
}
