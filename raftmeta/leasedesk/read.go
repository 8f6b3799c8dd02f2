package leasedesk

import (
	"context"
	"fmt"
	"time"

	"dfs/fs"
	"dfs/fs/lease"
)

// listWait is how long a listing waits for the attributes of what others hold exclusively.
const listWait = 100 * time.Millisecond

// pending is a request, and what is closed when it is decided; nil if that was at once.
type pending struct {
	*lease.Request
	wake chan struct{}
}

// Read returns when a session's read of all the inodes may go ahead, with the leases that it is granted: want or more, or, if
// that cannot be, none, and none for the session 0. Whoever reads takes his snapshot afterwards. ErrFenced: there is no such
// session. Otherwise the error is ctx's, or Close's.
func (d *Desk) Read(ctx context.Context, s fs.SessionID, want fs.LeaseMode, inos ...fs.Ino) ([]fs.Lease, error) {
	list, err := d.ask(s, inos, func(ino fs.Ino) *lease.Request { return d.reading(s, want, ino) })
	if err == nil {
		err = d.wait(ctx, list)
	}
	if err != nil {
		d.abandon(list)
		return nil, err
	}
	return grants(list), nil
}

// pageWait is how long a page waits for its turn. The kernel that is to have it holds it locked meanwhile.
const pageWait = time.Second

// ReadAs is Read as a call wants it. A page waits for its turn first, for a moment: it is served without a lease then.
func (d *Desk) ReadAs(ctx context.Context, call fs.LeaseCall, inos ...fs.Ino) ([]fs.Lease, error) {
	if call.Page {
		list, err := d.page(ctx, call.Session, inos)
		if err != nil || len(list) > 0 {
			return list, err
		}
	}
	return d.Read(ctx, call.Session, call.Want, inos...)
}

// page returns the shared leases that pages have got; none if their turn has not come, or does not come.
func (d *Desk) page(ctx context.Context, s fs.SessionID, inos []fs.Ino) ([]fs.Lease, error) {
	list, err := d.ask(s, inos, func(ino fs.Ino) *lease.Request {
		r := d.reading(s, fs.LeaseShared, ino)
		r.Page = r.Kind == lease.Hold
		return r
	})
	if err != nil {
		return nil, err
	}
	return d.within(ctx, pageWait, list)
}

// List is Read for what a listing names, if any leases are wanted: exclusive ones where nobody else wants anything, so that who changes
// all of it asks once, shared ones elsewhere. Of those whom others hold exclusively it waits a moment for all together, and goes without the rest: their attributes may be
// old.
func (d *Desk) List(ctx context.Context, s fs.SessionID, want fs.LeaseMode, inos []fs.Ino) ([]fs.Lease, error) {
	list, err := d.ask(s, inos, func(ino fs.Ino) *lease.Request {
		mode := min(want, fs.LeaseShared)
		if mode == fs.LeaseShared && d.table.Free(s, ino) {
			mode = fs.LeaseExclusive
		}
		return d.reading(s, mode, ino)
	})
	if err != nil {
		return nil, err
	}
	return d.within(ctx, listWait, list)
}

// within waits for a moment, and returns what was granted by then. What is not decided is taken back.
func (d *Desk) within(ctx context.Context, moment time.Duration, list []pending) ([]fs.Lease, error) {
	short, cancel := context.WithTimeout(ctx, moment)
	defer cancel()
	if err := d.wait(short, list); err != nil {
		d.abandon(list)
		if short.Err() == nil || ctx.Err() != nil { // not just the moment that is over
			return nil, err
		}
	}
	return grants(list), nil
}

// reading is the request of a read; mu is held. A session that has as many leases as it may have gets no more, and one without a
// stream, to which no recall could be sent, gets none.
func (d *Desk) reading(s fs.SessionID, want fs.LeaseMode, ino fs.Ino) *lease.Request {
	r := &lease.Request{Session: s, Ino: ino}
	if s != 0 && want > fs.LeaseNone && d.sessions[s].push != nil && (d.table.Count(s) < fs.LeasesMax || d.table.Holds(s, ino) >= want) {
		r.Kind, r.Mode = lease.Hold, want
	}
	return r
}

func grants(list []pending) (leases []fs.Lease) {
	for _, p := range list {
		if p.Decided() && p.Grant.Mode > fs.LeaseNone {
			leases = append(leases, p.Grant)
		}
	}
	return leases
}

// ask makes a request about each inode.
func (d *Desk) ask(s fs.SessionID, inos []fs.Ino, make func(fs.Ino) *lease.Request) (list []pending, err error) {
	err = d.do(func() error {
		if s != 0 && d.sessions[s] == nil {
			return fenced(s)
		}
		for _, ino := range inos {
			r := make(ino)
			d.table.Ask(r)
			list = append(list, d.watch(r))
		}
		return nil
	})
	return list, err
}

// watch makes whoever waits for a request known to take; mu is held.
func (d *Desk) watch(r *lease.Request) pending {
	p := pending{Request: r}
	if !r.Decided() {
		p.wake = make(chan struct{})
		d.waiters[r] = p.wake
	}
	return p
}

// wait returns when all requests are decided.
func (d *Desk) wait(ctx context.Context, list []pending) error {
	for _, p := range list {
		if p.wake == nil {
			continue
		}
		select {
		case <-p.wake:
		case <-d.done:
			return d.closed
		case <-ctx.Done():
			return fmt.Errorf("wait for what others hold of inode %d: %w", p.Ino, context.Cause(ctx))
		}
	}
	for _, p := range list {
		if p.Ended {
			return fenced(p.Session)
		}
	}
	return nil
}

// abandon takes back requests, and ends changes that were let through. What was granted stays granted.
func (d *Desk) abandon(list []pending) {
	_ = d.do(func() error {
		for _, p := range list {
			delete(d.waiters, p.Request)
			d.table.Cancel(p.Request)
			d.table.End(p.Request)
		}
		return nil
	})
}
