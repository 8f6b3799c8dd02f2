package lease

import (
	"maps"
	"slices"

	"dfs/fs"
)

// Table is the leader's half: who holds what, who waits for what. It lives as long as a reign. Not safe for concurrent use.
//
// Invariants (check, in the tests):
//   - an inode with an exclusive holder has no other holder;
//   - while a Change is let through, nobody holds anything but its session exclusively, except who is still being recalled for a Stray;
//   - nothing waits that could be decided.
type Table struct {
	inodes map[fs.Ino]*inode
	held   map[fs.SessionID]map[fs.Ino]struct{} // the inodes that a session holds
	owing  map[fs.SessionID]struct{}            // sessions that have not told this reign yet what they hold
	seq    uint64

	recalls []Recall
	decided []*Request
}

// inode is an entry; it is there as long as anybody holds it, waits for it or changes it.
type inode struct {
	holders map[fs.SessionID]*hold
	queue   []*Request // that wait, in the order they came
	changes []*Request // Change and Stray that were let through
}

type hold struct {
	mode   Mode
	seq    uint64
	recall bool // it has been asked to keep no more than to
	to     Mode
}

// NewTable begins a reign in which the given sessions are alive, and hold what only they know.
func NewTable(live []fs.SessionID) *Table {
	t := &Table{inodes: map[fs.Ino]*inode{}, held: map[fs.SessionID]map[fs.Ino]struct{}{}, owing: map[fs.SessionID]struct{}{}}
	for _, s := range live {
		t.owing[s] = struct{}{}
	}
	return t
}

// Ask decides r now, or keeps it until it can be. See Take.
func (t *Table) Ask(r *Request) {
	i := t.inode(r.Ino)
	i.queue = append(i.queue, r)
	t.settle(r.Ino)
}

// Cancel takes back a request that waits. One that has been decided stands: a grant is held, a Change must be ended.
func (t *Table) Cancel(r *Request) {
	if r.state != waiting {
		return
	}
	r.state = over
	i := t.inode(r.Ino)
	i.queue = slices.DeleteFunc(i.queue, func(q *Request) bool { return q == r })
	t.settle(r.Ino)
}

// End says that the transaction of a Change or Stray has been decided, and applied.
func (t *Table) End(r *Request) {
	if r.state != active {
		return
	}
	r.state = over
	i := t.inode(r.Ino)
	i.changes = slices.DeleteFunc(i.changes, func(q *Request) bool { return q == r })
	t.settle(r.Ino)
}

// Born grants the exclusive lease on an inode that a session's transaction is about to make, before anybody can know of it. It
// grants nothing, with the Mode None, if somebody does: the transaction is repeated, or bound to fail.
func (t *Table) Born(s fs.SessionID, ino fs.Ino) Grant {
	if t.inodes[ino] != nil || len(t.owing) > 0 {
		return Grant{Ino: ino}
	}
	return t.grant(t.inode(ino), s, ino, Exclusive)
}

// Unborn takes back a grant of Born: the transaction has failed, and nobody was told of it.
func (t *Table) Unborn(s fs.SessionID, g Grant) {
	i := t.inodes[g.Ino]
	if i == nil || i.holders[s] == nil || i.holders[s].seq != g.Seq {
		return
	}
	t.drop(i, s, g.Ino)
	t.settle(g.Ino)
}

// Ack lowers what a session holds. An Ack of another grant than the present one is late, and means nothing.
func (t *Table) Ack(s fs.SessionID, a Ack) {
	i := t.inodes[a.Ino]
	if i == nil {
		return
	}
	h := i.holders[s]
	if h == nil || h.seq != a.Seq || a.Mode >= h.mode && !h.recall {
		return
	}
	h.mode = min(h.mode, a.Mode)
	if h.recall && h.mode <= h.to {
		h.recall = false
	}
	if h.mode == None {
		t.drop(i, s, a.Ino)
	}
	t.settle(a.Ino)
}

// Reclaim tells a new reign what a session holds. It is false if that cannot be: somebody else has told that he holds it.
func (t *Table) Reclaim(s fs.SessionID, ino fs.Ino, m Mode) bool {
	if _, ok := t.owing[s]; !ok || m == None {
		return ok
	}
	i := t.inode(ino)
	if i.others(s, Exclusive) || m == Exclusive && i.others(s, Shared) {
		t.forget(ino)
		return false
	}
	t.hold(i, s, ino, &hold{mode: m})
	t.settle(ino)
	return true
}

// Told says that a session has told all that it holds.
func (t *Table) Told(s fs.SessionID) {
	if _, ok := t.owing[s]; !ok {
		return
	}
	delete(t.owing, s)
	if len(t.owing) > 0 {
		return
	}
	for _, ino := range slices.Sorted(maps.Keys(t.inodes)) {
		t.settle(ino)
	}
}

// Drop forgets a session whose end has been applied: none of its transactions is accepted any more. Its requests are
// decided as Ended; its Changes that were let through still have to be ended.
func (t *Table) Drop(s fs.SessionID) {
	touched := t.held[s]
	delete(t.held, s)
	if touched == nil {
		touched = map[fs.Ino]struct{}{}
	}
	for ino := range touched {
		delete(t.inodes[ino].holders, s)
	}
	for ino, i := range t.inodes {
		i.queue = slices.DeleteFunc(i.queue, func(r *Request) bool {
			if r.Session != s {
				return false
			}
			r.Ended = true
			t.decide(r, over)
			touched[ino] = struct{}{}
			return true
		})
	}
	for _, ino := range slices.Sorted(maps.Keys(touched)) {
		t.settle(ino)
	}
	t.Told(s)
}

// Take returns, once, what has come of the calls since the last Take: recalls to be sent, and requests that were decided.
func (t *Table) Take() ([]Recall, []*Request) {
	recalls, decided := t.recalls, t.decided
	t.recalls, t.decided = nil, nil
	return recalls, decided
}

// Again repeats, for the next Take, the recalls that a session has not answered: its stream was broken.
func (t *Table) Again(s fs.SessionID) {
	for _, ino := range slices.Sorted(maps.Keys(t.held[s])) {
		if h := t.inodes[ino].holders[s]; h.recall {
			t.recalls = append(t.recalls, Recall{Session: s, Ino: ino, Seq: h.seq, To: h.to})
		}
	}
}

// Recalled reports whether a session has not answered a recall of the lease Seq on an inode.
func (t *Table) Recalled(s fs.SessionID, ino fs.Ino, seq uint64) bool {
	i := t.inodes[ino]
	return i != nil && i.holders[s] != nil && i.holders[s].recall && i.holders[s].seq == seq
}

// Holds is what a session holds on an inode.
func (t *Table) Holds(s fs.SessionID, ino fs.Ino) Mode {
	if i := t.inodes[ino]; i != nil && i.holders[s] != nil {
		return i.holders[s].mode
	}
	return None
}

// Count is how many leases a session holds.
func (t *Table) Count(s fs.SessionID) int { return len(t.held[s]) }

func (t *Table) inode(ino fs.Ino) *inode {
	i := t.inodes[ino]
	if i == nil {
		i = &inode{holders: map[fs.SessionID]*hold{}}
		t.inodes[ino] = i
	}
	return i
}

func (t *Table) forget(ino fs.Ino) {
	if i := t.inodes[ino]; i != nil && len(i.holders)+len(i.queue)+len(i.changes) == 0 {
		delete(t.inodes, ino)
	}
}

// grant gives a lease, or what a session holds already once more. Each grant has a Seq of its own: an Ack that nobody asked for may
// be on its way, and must not take back what is granted now.
func (t *Table) grant(i *inode, s fs.SessionID, ino fs.Ino, m Mode) Grant {
	t.seq++
	t.hold(i, s, ino, &hold{mode: m, seq: t.seq})
	return Grant{Ino: ino, Mode: m, Seq: t.seq}
}

func (t *Table) hold(i *inode, s fs.SessionID, ino fs.Ino, h *hold) {
	i.holders[s] = h
	if t.held[s] == nil {
		t.held[s] = map[fs.Ino]struct{}{}
	}
	t.held[s][ino] = struct{}{}
}

func (t *Table) drop(i *inode, s fs.SessionID, ino fs.Ino) {
	delete(i.holders, s)
	delete(t.held[s], ino)
	if len(t.held[s]) == 0 {
		delete(t.held, s)
	}
}

func (t *Table) decide(r *Request, s state) {
	r.state = s
	t.decided = append(t.decided, r)
}
