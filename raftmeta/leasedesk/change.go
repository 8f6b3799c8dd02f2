package leasedesk

import (
	"context"
	"maps"
	"slices"
	"time"

	"dfs/fs"
	"dfs/fs/lease"
)

// Work is a transaction that was let through.
type Work struct {
	d       *Desk
	session fs.SessionID
	let     []pending // ended by End
	names   []name    // locked
	born    []fs.Lease
}

// Begin returns when a session's transaction may be proposed, in this reign's term: nobody else caches what it changes. End must
// follow. The call says what is to come with the answer. resolve is asked while nobody else can change what the
// transaction's names mean. ErrFenced: there is no such session.
func (d *Desk) Begin(ctx context.Context, s fs.SessionID, tx *fs.Tx, call fs.LeaseCall, resolve Resolver) (*Work, error) {
	w := &Work{d: d, session: s}
	if err := w.begin(ctx, tx, call, resolve); err != nil {
		w.End(false)
		return nil, err
	}
	return w, nil
}

// begin waits for what the transaction names by number first, the directories too, and only then locks its names: so a lock is
// held only by transactions to whose directories nobody holds a lease but their own session.
func (w *Work) begin(ctx context.Context, tx *fs.Tx, call fs.LeaseCall, now Resolver) error {
	t := touch(tx, call.Stray)
	if err := w.wait(ctx, t, slices.Sorted(maps.Keys(t.changes)), slices.Sorted(maps.Keys(t.looks))); err != nil {
		return err
	}
	if err := w.lock(ctx, t.names); err != nil {
		return err
	}
	if len(t.names) > 0 {
		found, err := resolve(tx, now)
		if err != nil {
			return err
		}
		for ino := range t.changes {
			delete(found, ino)
		}
		if err := w.wait(ctx, t, slices.Sorted(maps.Keys(found)), nil); err != nil {
			return err
		}
	}
	if ctx.Err() != nil { // the caller may have given up long ago, and has been told so
		return context.Cause(ctx)
	}
	if call.Want == fs.LeaseExclusive {
		w.bear(slices.Sorted(maps.Keys(t.born)))
	}
	return nil
}

// wait asks for what is to be changed, and looked at, and waits until all of it is let through. What the transaction makes
// nobody else can know of.
func (w *Work) wait(ctx context.Context, t *touched, changes, looks []fs.Ino) error {
	inos := make([]fs.Ino, 0, len(changes)+len(looks))
	for _, ino := range changes {
		if !t.born[ino] {
			inos = append(inos, ino)
		}
	}
	n := len(inos)
	for _, ino := range looks {
		if _, changed := t.changes[ino]; !changed && !t.born[ino] {
			inos = append(inos, ino)
		}
	}
	k := 0
	list, err := w.d.ask(w.session, inos, func(ino fs.Ino) *lease.Request {
		r := &lease.Request{Session: w.session, Ino: ino, Kind: lease.Look}
		if k < n {
			r.Kind = lease.Change
			if t.changes[ino] {
				r.Kind = lease.Stray
			}
		}
		k++
		return r
	})
	w.let = append(w.let, list...)
	if err != nil {
		return err
	}
	return w.d.wait(ctx, list)
}

func (w *Work) lock(ctx context.Context, names []name) error {
	if err := w.d.lockNames(ctx, names); err != nil {
		return err
	}
	w.names = names
	return nil
}

// bear grants the leases on what the transaction is about to make.
func (w *Work) bear(inos []fs.Ino) {
	_ = w.d.do(func() error {
		for _, ino := range inos {
			if one := w.d.sessions[w.session]; one == nil || one.push == nil || w.d.table.Count(w.session) >= fs.LeasesMax {
				break
			}
			if g := w.d.table.Born(w.session, ino); g.Mode > fs.LeaseNone {
				w.born = append(w.born, g)
			}
		}
		return nil
	})
}

// Born is the leases on what the transaction has made, if it was carried out.
func (w *Work) Born() []fs.Lease { return w.born }

// End says that the transaction has been decided and applied, or never will be in this reign. done: it was carried out now. If
// not, what it would have made is nobody's.
func (w *Work) End(done bool) {
	w.d.end(w.born, w.session, done)
	w.d.abandon(w.let)
	w.d.unlockNames(w.names)
	w.let, w.names = nil, nil
}

// end takes back the leases on what was not made. Those on what was made are on their way from now on.
func (d *Desk) end(born []fs.Lease, s fs.SessionID, done bool) {
	_ = d.do(func() error {
		for _, g := range born {
			if done {
				d.fresh.add(g.Seq, time.Now())
			} else {
				d.table.Unborn(s, g)
			}
		}
		return nil
	})
}
