package vfs

import (
	"context"
	"errors"
	"fmt"

	"dfs/fs"
)

// lockCall asks the leader, under whatever session is current, until there is an answer that counts: given under the present
// session, by a leader that has been told all that was held when it was asked, at a time when the session was surely alive. What
// the answer changes is done by take, in the moment in which that is certain. It is done after OpTimeout at the latest; after
// an error the outcome is open.
func (f *FS) lockCall(ctx context.Context, o *lockOwner, c fs.LockCall, take func(fs.LockState)) (fs.LockAnswer, error) {
	return bounded(ctx, f, func(ctx context.Context) (fs.LockAnswer, error) {
		var wait backoff
		pinned := false
		for {
			told, _ := f.locks.generation()
			r, err := f.sessions.wait(ctx)
			if err != nil {
				return fs.LockAnswer{}, err
			}
			a, err := f.lockOnce(ctx, r, c)
			switch {
			case errors.Is(err, fs.ErrFenced):
				f.fenced(r)
				continue
			case errors.Is(err, fs.ErrAccess) && !pinned: // opened under a lease: the beat that tells the pin may be on its way
				pinned = true
				if _, err := f.pin(ctx, o.key.ino); err != nil {
					return fs.LockAnswer{}, gone(err)
				}
				continue
			case err != nil:
				return fs.LockAnswer{}, err
			case a.State != fs.LockLater && a.State != fs.LockStale && f.counts(told, r, o, a.State, take):
				return a, nil
			}
			wait.sleep(ctx, nil)
			if ctx.Err() != nil {
				return fs.LockAnswer{}, fmt.Errorf("the leader does not know all locks yet: %w", unavailable(ctx.Err()))
			}
		}
	})
}

// lockOnce makes one call with a number of its own.
func (f *FS) lockOnce(ctx context.Context, r *registration, c fs.LockCall) (fs.LockAnswer, error) {
	select {
	case f.locks.slots <- struct{}{}:
		defer func() { <-f.locks.slots }()
	case <-ctx.Done():
		return fs.LockAnswer{}, ctx.Err()
	}
	c.Seq, c.Open = f.locks.number()
	defer f.locks.over(c.Seq)
	return f.meta.Lock(ctx, r.Session, &c)
}

// counts decides whether an answer counts, and if so has take do what follows from it.
func (f *FS) counts(told uint64, r *registration, o *lockOwner, state fs.LockState, take func(fs.LockState)) bool {
	if !f.leases.timely() {
		return false // nobody knows whether the session is over: the next answered beat tells
	}
	f.locks.mu.Lock()
	defer f.locks.mu.Unlock()
	if f.locks.told != told || len(o.held) > 0 && o.under != r {
		return false
	}
	o.under = r
	take(state)
	return true
}

// granted is what follows from an answer to a call that asks for l through h.
func (o *lockOwner) granted(h *Handle, l *fs.Lock) func(fs.LockState) {
	return func(state fs.LockState) {
		if state == fs.LockGranted {
			o.held = o.held.Set(l.Start, l.End, l.Type)
			o.via[h] = struct{}{}
		}
	}
}

// askLock asks for l once, by c; the turn is taken for that long.
func (f *FS) askLock(ctx context.Context, o *lockOwner, h *Handle, l *fs.Lock, c fs.LockCall) (fs.LockState, error) {
	if err := o.takeSoon(ctx, f.cfg.OpTimeout); err != nil {
		return 0, err
	}
	defer o.free()
	if h.unlocked.Load() {
		return 0, errLockLost
	}
	f.locks.begin(o, l)
	a, err := f.lockCall(ctx, o, c, o.granted(h, l))
	return a.State, err
}
