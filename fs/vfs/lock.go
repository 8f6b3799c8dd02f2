package vfs

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"dfs/fs"
)

// Lock asks for a lock on the handle's file, in the name of l.Owner; l.Ino is set here. With wait it waits until it is granted or
// ctx ends; a lock that was granted just then is kept, and no error. The state is LockGranted, LockBusy (without wait), LockDeadlock
// or LockFull. After an error the lock is not held, or will be given up in the background.
func (h *Handle) Lock(ctx context.Context, l fs.Lock, wait bool) (fs.LockState, error) {
	if err := h.usable(); err != nil {
		return 0, err
	}
	l.Ino = h.n.ino
	state, err := h.lock(ctx, &l, wait)
	if err != nil {
		return 0, fmt.Errorf("lock inode %d: %w", l.Ino, err)
	}
	return state, nil
}

func (h *Handle) lock(ctx context.Context, l *fs.Lock, wait bool) (fs.LockState, error) {
	f := h.f
	if err := f.settledLocks(ctx, l.Ino); err != nil {
		return 0, err
	}
	o := f.locks.use(l)
	defer f.locks.done(o)
	ticket, woken := f.locks.newTicket()
	defer f.locks.dropTicket(ticket)
	call := fs.LockCall{Action: fs.LockTry, Lock: *l}
	if wait {
		call.Action, call.Ticket = fs.LockWait, ticket
	}
	state, err := f.askOrWait(ctx, o, h, l, call, woken)
	if err != nil && !errors.Is(err, errLockLost) {
		return f.abandonLock(o, h, l, ticket, err)
	}
	f.locks.end(o, l, state == fs.LockGranted)
	return state, err
}

func (f *FS) settledLocks(ctx context.Context, ino fs.Ino) error {
	ctx, cancel := context.WithTimeout(ctx, f.cfg.OpTimeout)
	defer cancel()
	return f.locks.settled(ctx, ino)
}

// askOrWait asks, and asks again while the lock is queued: when the leader says that it is worth it, and when another leader, or
// the same one on a new stream, knows or forgets that we wait.
func (f *FS) askOrWait(ctx context.Context, o *lockOwner, h *Handle, l *fs.Lock, c fs.LockCall, woken <-chan struct{}) (fs.LockState, error) {
	for {
		_, changed := f.locks.generation()
		state, err := f.askLock(ctx, o, h, l, c)
		if err != nil || state != fs.LockQueued {
			return state, err
		}
		select {
		case <-woken:
		case <-changed:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// abandonMax bounds how long a caller waits who does not want his lock any more.
const abandonMax = 2 * time.Second

// abandonLock makes sure that l, whose outcome is open because of err, is not held without anybody knowing. If it turns out soon that
// it is held, the caller has it after all. What is not known soon is found out in the background, and the lock given up.
func (f *FS) abandonLock(o *lockOwner, h *Handle, l *fs.Lock, ticket uint64, err error) (fs.LockState, error) {
	var decided atomic.Bool // whose the outcome is: the first one's who looks
	outcome := make(chan fs.LockState, 1)
	f.locks.use(l)
	running := f.spawn(func() {
		defer f.locks.done(o)
		state, overlapped := f.cancelLock(o, h, l, ticket)
		if !decided.Swap(true) {
			outcome <- state
			return
		}
		if state == fs.LockGranted {
			f.dropLate(o, h.n, l, overlapped)
		}
	})
	if !running {
		f.locks.done(o)
		return 0, fs.ErrClosed
	}
	timer := time.NewTimer(abandonMax)
	defer timer.Stop()
	select {
	case state := <-outcome:
		return held(state, err)
	case <-timer.C:
	}
	if decided.Swap(true) {
		return held(<-outcome, err)
	}
	return 0, err
}

func held(state fs.LockState, err error) (fs.LockState, error) {
	if state == fs.LockGranted {
		return state, nil
	}
	return 0, err
}

// cancelLock takes a request for l back, until that is answered: LockGranted if the lock is held. overlapped says that something of
// it was held before.
func (f *FS) cancelLock(o *lockOwner, h *Handle, l *fs.Lock, ticket uint64) (state fs.LockState, overlapped bool) {
	state = fs.LockBusy
	f.untilAnswered(o, func() error {
		overlapped = f.locks.holds(o, l.Start, l.End)
		a, err := f.lockCall(f.life, o, fs.LockCall{Action: fs.LockCancel, Ticket: ticket, Lock: *l}, o.granted(h, l))
		if err == nil {
			state = a.State
		}
		return err
	})
	f.locks.end(o, l, state == fs.LockGranted)
	return state, overlapped
}

// dropLate gives up a lock that its caller does not know of. What he held of it before goes with it, which he must hear of.
func (f *FS) dropLate(o *lockOwner, n *inode, l *fs.Lock, overlapped bool) {
	if overlapped {
		f.locks.loseHandles(o)
	}
	f.unlock(n, o, l)
}

// untilAnswered has call make a call of o's until it is answered, or the mount closed.
func (f *FS) untilAnswered(o *lockOwner, call func() error) {
	if o.take(f.life) != nil {
		return
	}
	defer o.free()
	var wait backoff
	for f.life.Err() == nil && !f.tasks.isStopped() {
		if call() == nil {
			return
		}
		wait.sleep(f.life, nil)
	}
}
