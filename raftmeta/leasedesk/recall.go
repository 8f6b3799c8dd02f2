package leasedesk

import (
	"slices"
	"time"

	"dfs/fs"
)

// overtaking is how long a grant may be on its way. Its recall is not sent earlier, since on the stream it would overtake it,
// and make the grant useless.
const overtaking = 2 * time.Millisecond

// asked is a recall that is not answered.
type asked struct {
	seq   uint64
	first time.Time // when the table wanted it
	last  time.Time // when it was sent, on the newest stream
}

// sending is recalls on their way to one stream.
type sending struct {
	session fs.SessionID
	push    func([]fs.Recall)
	recalls []fs.Recall
}

// recall notes what the table asks back, and says what is to be sent now; mu is held.
func (d *Desk) recall(recalls []fs.Recall, now time.Time) (send []sending) {
	d.fresh.forget(now)
	for _, r := range recalls {
		one := d.sessions[r.Session]
		if one == nil {
			continue // the table has dropped it as well, in the same breath
		}
		a, ok := one.asked[r.Ino]
		if !ok || a.seq != r.Seq {
			a = asked{seq: r.Seq, first: now}
		}
		wait := d.fresh.left(r.Seq, now)
		a.last = now.Add(wait)
		one.asked[r.Ino] = a
		if wait > 0 {
			time.AfterFunc(wait, func() { d.sendLate(r) })
		} else if one.push != nil {
			send = put(send, one, r)
		}
	}
	return send
}

// put adds a recall to those of its session.
func put(send []sending, one *session, r fs.Recall) []sending {
	s := r.Session
	r.Session = 0
	k := slices.IndexFunc(send, func(x sending) bool { return x.session == s })
	if k < 0 {
		return append(send, sending{s, one.push, []fs.Recall{r}})
	}
	send[k].recalls = append(send[k].recalls, r)
	return send
}

// sendLate sends a recall that had to wait, if nobody has answered it meanwhile.
func (d *Desk) sendLate(r fs.Recall) {
	d.mu.Lock()
	one := d.sessions[r.Session]
	if d.closed != nil || one == nil || one.push == nil || !d.table.Recalled(r.Session, r.Ino, r.Seq) {
		d.mu.Unlock()
		return
	}
	push := one.push
	d.mu.Unlock()
	r.Session = 0
	push([]fs.Recall{r})
}

// answered forgets a recall that the table does not want answered any more; mu is held.
func (d *Desk) answered(s fs.SessionID, one *session, ino fs.Ino) {
	if a, ok := one.asked[ino]; ok && !d.table.Recalled(s, ino, a.seq) {
		delete(one.asked, ino)
	}
}

// oldest is the age of a session's oldest recall that is not answered, counted as when says; mu is held.
func (d *Desk) oldest(s fs.SessionID, one *session, when func(asked) time.Time) (age time.Duration) {
	for ino, a := range one.asked {
		d.answered(s, one, ino)
		if _, ok := one.asked[ino]; ok {
			age = max(age, time.Since(when(a)))
		}
	}
	return age
}

// Overdue lists the sessions that have not answered a recall for longer than each one's limit, counted from its last sending: up
// to then the mount may have had other beats answered, and believes in what they prolonged.
func (d *Desk) Overdue(limit func(fs.SessionID) time.Duration) (list []fs.SessionID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for s, one := range d.sessions {
		if len(one.asked) > 0 && d.oldest(s, one, func(a asked) time.Time { return a.last }) > limit(s) {
			list = append(list, s)
		}
	}
	slices.Sort(list)
	return list
}

// fresh is the leases that were granted a moment ago.
type fresh struct {
	at    map[uint64]time.Time // by their numbers
	order []uint64             // the same, older ones first; a number may be there twice
}

func newFresh() fresh { return fresh{at: map[uint64]time.Time{}} }

func (f *fresh) add(seq uint64, now time.Time) {
	f.forget(now)
	f.at[seq] = now
	f.order = append(f.order, seq)
}

// left is how long a lease's grant may still be on its way.
func (f *fresh) left(seq uint64, now time.Time) time.Duration {
	at, ok := f.at[seq]
	if !ok {
		return 0
	}
	return max(0, overtaking-now.Sub(at))
}

// forget drops those that are no longer fresh.
func (f *fresh) forget(now time.Time) {
	for len(f.order) > 0 {
		seq := f.order[0]
		if at, ok := f.at[seq]; ok && now.Sub(at) < overtaking {
			return
		}
		delete(f.at, seq)
		f.order = f.order[1:]
	}
}
