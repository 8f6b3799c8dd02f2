package leasedesk

import (
	"fmt"
	"sync"
	"time"

	"dfs/fs"
	"dfs/fs/lease"
)

// Desk is one reign's leases. Its methods may be called from any goroutine, also by callers that hold locks: what it calls
// itself are the functions given to Attach, and it calls them without its lock.
type Desk struct {
	term uint64
	done chan struct{} // closed by Close

	mu       sync.Mutex
	closed   error // why, once done is closed
	table    *lease.Table
	sessions map[fs.SessionID]*session // the live ones
	waiters  map[*lease.Request]chan struct{}
	names    map[name]*nameLock
	fresh    fresh
}

// session is a live session.
type session struct {
	push  func([]fs.Recall) // puts recalls on its newest stream; nil: it has none
	held  []fs.Lease        // what it says on that stream that it holds, until Told
	asked map[fs.Ino]asked  // its recalls that are not answered
}

// New begins a reign. The live sessions hold what only they know, until they have told it to Attach or were dropped.
func New(term uint64, live []fs.SessionID) *Desk {
	d := &Desk{term: term, done: make(chan struct{}), table: lease.NewTable(live), sessions: map[fs.SessionID]*session{},
		waiters: map[*lease.Request]chan struct{}{}, names: map[name]*nameLock{}, fresh: newFresh()}
	for _, s := range live {
		d.Open(s)
	}
	return d
}

// Term is the reign's.
func (d *Desk) Term() uint64 { return d.term }

// Open says that there is a session. One that is opened in this reign holds nothing yet. Twice is no error.
func (d *Desk) Open(s fs.SessionID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.sessions[s] == nil {
		d.sessions[s] = &session{asked: map[fs.Ino]asked{}}
	}
}

// Attach gives a session a stream, on which push puts recalls; it must not wait, and may drop them if the stream has ended. In
// a reign that the session has told nothing yet, held is what it holds, if Told follows; else the table knows better. It is
// reminded of the recalls that it has not answered. ErrFenced: there is no such session. ErrUnavailable: it has not
// answered a recall for longer than limit; it should end.
func (d *Desk) Attach(s fs.SessionID, held []fs.Lease, limit time.Duration, push func([]fs.Recall)) error {
	return d.do(func() error {
		one := d.sessions[s]
		if one == nil {
			return fenced(s)
		}
		if d.oldest(s, one, func(a asked) time.Time { return a.first }) > limit {
			return fmt.Errorf("session %d does not answer its recalls: %w", s, fs.ErrUnavailable)
		}
		one.push, one.held = push, held
		d.table.Again(s)
		return nil
	})
}

// Told says that the list of the session's newest Attach is its own: it has sent something on that stream. An Attach that was given
// up may arrive at any time later, with a list that lacks what the session has got from other leaders since; nobody sends
// anything on its stream. ErrUnavailable: what it tells cannot be; it should end.
func (d *Desk) Told(s fs.SessionID) error {
	return d.do(func() error {
		one := d.sessions[s]
		if one == nil {
			return fenced(s)
		}
		for _, l := range one.held {
			if d.table.Owes(s) && l.Mode > fs.LeaseNone && !d.table.Reclaim(s, l.Ino, l.Mode) {
				return fmt.Errorf("session %d cannot hold inode %d %s: %w", s, l.Ino, l.Mode, fs.ErrUnavailable)
			}
		}
		d.table.Told(s)
		one.held = nil
		return nil
	})
}

// Ack takes what a session gives back.
func (d *Desk) Ack(s fs.SessionID, acks []fs.LeaseAck) {
	_ = d.do(func() error {
		one := d.sessions[s]
		if one == nil {
			return nil // it has ended, and holds nothing any more
		}
		for _, a := range acks {
			d.table.Ack(s, a)
			d.answered(s, one, a.Ino)
		}
		return nil
	})
}

// Drop forgets a session whose end has been applied.
func (d *Desk) Drop(s fs.SessionID) {
	_ = d.do(func() error {
		if d.sessions[s] != nil {
			delete(d.sessions, s)
			d.table.Drop(s)
		}
		return nil
	})
}

// Close ends the reign: whoever waits gets err.
func (d *Desk) Close(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed == nil {
		d.closed = err
		close(d.done)
	}
}

// Counts are a session's leases, and its recalls that are not answered.
func (d *Desk) Counts(s fs.SessionID) (leases, recalls int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if one := d.sessions[s]; one != nil {
		recalls = len(one.asked)
	}
	return d.table.Count(s), recalls
}

// do changes the table under the lock, and then hands out what has come of it.
func (d *Desk) do(fn func() error) error {
	d.mu.Lock()
	if err := d.closed; err != nil {
		d.mu.Unlock()
		return err
	}
	err := fn()
	send := d.take()
	d.mu.Unlock()
	for _, s := range send {
		s.push(s.recalls)
	}
	return err
}

// take takes what has come of changes to the table; mu is held. Recalls are to be sent without it.
func (d *Desk) take() []sending {
	recalls, decided := d.table.Take()
	now := time.Now()
	for _, r := range decided {
		if r.Grant.Mode > fs.LeaseNone {
			d.fresh.add(r.Grant.Seq, now)
		}
		if wake := d.waiters[r]; wake != nil {
			close(wake)
			delete(d.waiters, r)
		}
	}
	return d.recall(recalls, now)
}

func fenced(s fs.SessionID) error { return fmt.Errorf("session %d: %w", s, fs.ErrFenced) }
