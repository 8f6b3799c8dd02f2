package vfs

import (
	"context"
	"fmt"

	"dfs/fs"
)

// Unlock gives up what l.Owner holds within l's range; l.Type and l.Ino do not matter. What was written under a write lock is
// flushed first, so that whoever locks next sees it, on whatever mount; a failure of that shows at fsync and close. When ctx ends, or
// after OpTimeout (ErrUnavailable), it goes on in the background. The state is LockGranted, or LockFull if there are too many ranges to make one into two.
func (h *Handle) Unlock(ctx context.Context, l fs.Lock) (fs.LockState, error) {
	f := h.f
	l.Ino = h.n.ino
	o := f.locks.known(&l)
	if o == nil {
		return fs.LockGranted, nil
	}
	done := make(chan fs.LockState, 1)
	running := f.spawn(func() {
		defer f.locks.done(o)
		done <- f.unlock(h.n, o, &l)
	})
	if !running {
		f.locks.done(o)
		return 0, fs.ErrClosed
	}
	ctx, cancel := context.WithTimeout(ctx, f.cfg.OpTimeout)
	defer cancel()
	select {
	case state := <-done:
		return state, nil
	case <-ctx.Done():
		return 0, fmt.Errorf("unlock inode %d: %w", l.Ino, unavailable(ctx.Err()))
	}
}

// CloseLocks gives up the fcntl locks of an owner who closes a descriptor of the file: all of them, by POSIX.
func (h *Handle) CloseLocks(ctx context.Context, owner uint64) error {
	_, err := h.Unlock(ctx, fs.Lock{Kind: fs.LockRange, Owner: owner, Type: fs.LockRead, End: fs.LockEnd})
	return err
}

// unlock takes the owner's turn. The range leaves the list of what is held before any leader is asked: from then on nobody believes in it.
func (f *FS) unlock(n *inode, o *lockOwner, l *fs.Lock) (state fs.LockState) {
	state = fs.LockGranted
	call := fs.LockCall{Action: fs.LockUnlock, Lock: *l}
	begun := false
	f.untilAnswered(o, func() error {
		if !begun {
			if !f.locks.holds(o, l.Start, l.End) {
				return nil
			}
			f.flushLocked(n)
			f.locks.unhold(o, l.Start, l.End)
			begun = true
		}
		a, err := f.lockCall(f.life, o, call, func(fs.LockState) {})
		if err == nil {
			state = a.State
		}
		return err
	})
	return state
}

// flushLocked makes what has been written to n visible everywhere, if the cluster can be reached in time.
func (f *FS) flushLocked(n *inode) {
	ctx, cancel := context.WithTimeout(f.life, f.cfg.OpTimeout)
	defer cancel()
	if err := n.flushed(ctx, f); err != nil {
		f.log.Warn("what was written under a lock is not flushed before the lock is given up", "ino", n.ino, "err", err)
	}
}

// releaseLocks is called when h is closed for good: what was taken through it alone is given up, in the background. These are flocks
// and OFD locks, which belong to it; a process's own have gone with its close.
func (f *FS) releaseLocks(h *Handle) {
	orphans := f.locks.released(h)
	if orphans == nil {
		return
	}
	if f.spawn(func() {
		defer f.locks.departed(h.n.ino)
		for _, o := range orphans {
			f.unlock(h.n, o, &fs.Lock{Ino: h.n.ino, Kind: o.key.kind, Owner: o.key.owner, Type: fs.LockRead, End: fs.LockEnd})
			f.locks.done(o)
		}
	}) {
		return
	}
	for _, o := range orphans { // the mount is being closed, and its session with it
		f.locks.done(o)
	}
	f.locks.departed(h.n.ino)
}

// TestLock tells who is in the way of l: a lock of another owner, and whether he is on this mount; ok is false if nobody is.
func (h *Handle) TestLock(ctx context.Context, l fs.Lock) (conflict fs.Lock, own, ok bool, err error) {
	l.Ino = h.n.ino
	o := h.f.locks.use(&l)
	defer h.f.locks.done(o)
	err = h.f.settledLocks(ctx, l.Ino)
	var a fs.LockAnswer
	if err == nil {
		a, err = h.f.lockCall(ctx, o, fs.LockCall{Action: fs.LockTest, Lock: l}, func(fs.LockState) {})
	}
	if err != nil {
		return fs.Lock{}, false, false, fmt.Errorf("test a lock of inode %d: %w", l.Ino, err)
	}
	return a.Conflict, a.Own, a.State == fs.LockBusy, nil
}
