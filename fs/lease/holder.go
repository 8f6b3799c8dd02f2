package lease

import (
	"time"

	"dfs/fs"
)

// Holder is a mount's half: what it holds, what is at work under it, and what it has been asked to give back. Not safe for
// concurrent use. Times are readings of one clock that counts on while the machine is suspended (CLOCK_BOOTTIME).
//
//	     Granted         Recalled            no change at work, flushed: Close             no work left, dropped: GiveBack
//	none ───────▶ held ──────────▶ leaving ────────────────────────────▶ closing ────────────────────────────▶ none, or shared
//
// Of a lease that is leaving, no change begins any more, but reads do: what is not flushed yet is known here only. When it is
// closing, they go to the leader. A lease is used only inside of Begin and Done, and before the session's time is over by
// the mount's own clock.
type Holder struct {
	leases map[fs.Ino]*lease
	until  time.Duration // leases may be used before this moment, if no recall bids otherwise
	asked  []asked       // recalls, in the order they came; the answered ones in front may be forgotten
	term   uint64        // of the leader that may grant; 0 for none

	// Grants and recalls come on different ways and may overtake each other. A grant counts only if it has not been recalled
	// itself while its request was under way. That an earlier one was says nothing of it: the leader gave it after the answer.
	flying  int               // requests that have left and not come back
	recalls map[fs.Ino]uint64 // the Seq of an inode's newest recall, or Ack; emptied whenever nothing flies
	reign   Mark              // requests that left before asked another leader
}

// lease is what the mount holds on an inode; never None.
type lease struct {
	mode    Mode
	seq     uint64
	work    [Exclusive + 1]int // calls at work that need this much
	leaving bool
	asked   bool // … because the leader wants it so
	closing bool
	to      Mode
	nth     int // recalls of it that came when none was unanswered
}

// asked is a recall. As long as it is not answered, leases may be used before until: what was known when it came. The leader
// sent it after the answers to beats that had come by then, and ends the session a time-out after sending it, whatever beats
// it has answered since.
type asked struct {
	lease *lease
	nth   int
	until time.Duration
}

// Mark is when a request left: how often the mount had begun with a leader.
type Mark uint64

// NewHolder holds nothing.
func NewHolder() *Holder {
	return &Holder{leases: map[fs.Ino]*lease{}, recalls: map[fs.Ino]uint64{}}
}

// Renew says that the beat that was sent at the given moment has been answered, in a session of this time-out.
func (h *Holder) Renew(sent, timeout time.Duration) { h.until = max(h.until, sent+timeout) }

// Until is the moment before which leases may be used.
func (h *Holder) Until() time.Duration {
	for len(h.asked) > 0 {
		if a := h.asked[0]; a.lease.asked && a.lease.nth == a.nth {
			return min(h.until, a.until)
		}
		h.asked = h.asked[1:]
	}
	return h.until
}

// Leave notes that a request is being sent whose answer may bear grants. Back must follow.
func (h *Holder) Leave() Mark {
	h.flying++
	return h.reign
}

// Back is called once for each Leave, after the grants of the answer have been looked at.
func (h *Holder) Back() {
	if h.flying--; h.flying == 0 {
		clear(h.recalls)
	}
}

// Granted takes a grant from the answer of a request, given by the leader of a term. It is false if nothing may be kept: there
// is none, or it has been recalled in the meantime, or it was given by another leader than the one that is attached to.
func (h *Holder) Granted(m Mark, term uint64, g Grant) bool {
	if g.Mode == None || term == 0 || term != h.term || m < h.reign {
		return false
	}
	if seq, recalled := h.recalls[g.Ino]; recalled && g.Seq <= seq {
		return false
	}
	l := h.leases[g.Ino]
	if l == nil {
		l = &lease{}
		h.leases[g.Ino] = l
	}
	if g.Seq < l.seq {
		return false
	}
	if l.leaving { // it goes back as well
		l.seq = g.Seq
		return false
	}
	l.mode, l.seq = g.Mode, g.Seq
	return true
}

// Use is one call's work under a lease.
type Use struct {
	lease *lease
	mode  Mode
}

// Begin says whether a call may go to work under a lease of at least m; if so, Done must follow. What the call has begun
// it may finish, whatever becomes of the lease.
func (h *Holder) Begin(ino fs.Ino, m Mode, now time.Duration) (Use, bool) {
	l := h.leases[ino]
	if l == nil || l.mode < m || now >= h.Until() || l.leaving && m > l.to && (l.closing || m == Exclusive) {
		return Use{}, false
	}
	l.work[m]++
	return Use{l, m}, true
}

// Done ends a call's work.
func (u Use) Done() { u.lease.work[u.mode]-- }

// Recalled takes a recall. When Closable says so, and nothing is dirty beyond r.To, the caller calls Close; when Idle says so, it
// drops what it must, and calls GiveBack. If there is nothing to give back, the answer is returned at once, with true.
func (h *Holder) Recalled(r Recall) (Ack, bool) {
	if h.flying > 0 {
		h.recalls[r.Ino] = max(h.recalls[r.Ino], r.Seq)
	}
	l := h.leases[r.Ino]
	if l == nil {
		return Ack{Ino: r.Ino, Seq: r.Seq}, true
	}
	if r.Seq < l.seq {
		return Ack{}, false // it was answered, and the lease has been given anew since
	}
	// The Seq may be of a grant that is still on its way, a stronger one. It will not be taken.
	l.seq = r.Seq
	if !l.asked {
		l.asked = true
		l.nth++
		h.asked = append(h.asked, asked{l, l.nth, h.until})
	}
	l.leave(r.To)
	return Ack{}, false
}

// leave lowers what may be kept. A lower mode than before is not closed yet.
func (l *lease) leave(to Mode) {
	if !l.leaving || to < l.to {
		l.leaving, l.closing, l.to = true, false, to
	}
}

// Closable reports whether no change is at work any more that must end before an inode's lease is given back.
func (h *Holder) Closable(ino fs.Ino) bool {
	l := h.leases[ino]
	return l != nil && l.leaving && !l.closing && (l.to == Exclusive || l.work[Exclusive] == 0)
}

// Close says that what was changed under the lease is flushed: from now on the leader knows all that we know.
func (h *Holder) Close(ino fs.Ino) {
	if l := h.leases[ino]; l != nil && l.leaving {
		l.closing = true
	}
}

// Leaving is how much of an inode's lease may be kept; true if that is less than what is held.
func (h *Holder) Leaving(ino fs.Ino) (Mode, bool) {
	if l := h.leases[ino]; l != nil && l.leaving {
		return l.to, true
	}
	return None, false
}

// Idle reports whether a lease is closing and nothing is at work under more than may be kept.
func (h *Holder) Idle(ino fs.Ino) bool {
	l := h.leases[ino]
	if l == nil || !l.closing {
		return false
	}
	for m := l.to + 1; m <= Exclusive; m++ {
		if l.work[m] > 0 {
			return false
		}
	}
	return true
}

// GiveBack answers the recalls of an inode: what was known beyond what may be kept has been flushed and dropped. The Ack goes to
// the leader. False: there is nothing to answer.
func (h *Holder) GiveBack(ino fs.Ino) (Ack, bool) {
	l := h.leases[ino]
	if l == nil || !l.closing {
		return Ack{}, false
	}
	if h.flying > 0 { // an earlier grant may still be on its way
		h.recalls[ino] = max(h.recalls[ino], l.seq)
	}
	l.mode, l.leaving, l.asked, l.closing = min(l.mode, l.to), false, false, false
	if l.mode == None {
		delete(h.leases, ino)
	}
	return Ack{Ino: ino, Seq: l.seq, Mode: l.mode}, true
}

// Unwanted prepares to give back a lease that nobody has recalled; the same follows.
func (h *Holder) Unwanted(ino fs.Ino, keep Mode) {
	if l := h.leases[ino]; l != nil {
		l.leave(keep)
	}
}

// Held is what the mount holds, whatever the time.
func (h *Holder) Held(ino fs.Ino) Grant {
	if l := h.leases[ino]; l != nil {
		return Grant{Ino: ino, Mode: l.mode, Seq: l.seq}
	}
	return Grant{Ino: ino}
}

// Reclaim begins with another leader, or with the same one anew: it lists all leases, to be told to him. They bear the Seq 0
// from now on, and his recalls are the ones that count. Nothing is taken until he has Attached; then only what he grants to
// requests that leave from now on.
func (h *Holder) Reclaim() []Grant {
	h.reign++
	h.term, h.asked = 0, nil
	clear(h.recalls) // he numbers his own anew
	list := make([]Grant, 0, len(h.leases))
	for ino, l := range h.leases {
		l.seq, l.asked = 0, false
		list = append(list, Grant{Ino: ino, Mode: l.mode})
	}
	return list
}

// Attached says which leader, by his term, has been told.
func (h *Holder) Attached(term uint64) { h.term = term }

// Lose ends the session: nothing is held any more, and nothing that is on its way counts.
func (h *Holder) Lose() {
	h.reign++
	h.term, h.asked, h.until = 0, nil, 0
	clear(h.recalls)
	clear(h.leases)
}
