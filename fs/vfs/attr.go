package vfs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"dfs/fs"
)

// Getattr answers from what is known under a lease, or else from the leader, and merges in what this mount has not flushed yet.
func (f *FS) Getattr(ctx context.Context, ino fs.Ino) (fs.Attr, error) {
	a, _, err := f.GetattrFor(ctx, ino)
	return a, err
}

// GetattrFor is Getattr that tells how long the answer may be believed. What has no name and is not open here is asked for each
// time: it may be reaped, and no recall tells of that.
func (f *FS) GetattrFor(ctx context.Context, ino fs.Ino) (fs.Attr, time.Duration, error) {
	a, valid, ok := f.leases.attr(ino)
	if !ok || f.reapable(&a) {
		var err error
		if a, valid, err = f.askAttr(ctx, ino); err != nil {
			return fs.Attr{}, 0, err
		}
	}
	if f.reapable(&a) {
		f.leaveOrphan(&a)
		valid = 0
	}
	return f.merge(a), valid, nil
}

// reapable reports whether an inode may be reaped as far as this mount knows.
func (f *FS) reapable(a *fs.Attr) bool { return a.Nlink == 0 && !f.pins.isHeld(a.Ino) }

// askAttr asks the leader for attributes, and for a lease.
func (f *FS) askAttr(ctx context.Context, ino fs.Ino) (a fs.Attr, valid time.Duration, err error) {
	at := f.leases.before(ino)
	_, err = asking(ctx, f, fs.LeaseShared, func(ctx context.Context) (fs.Attr, error) { return f.meta.Getattr(ctx, ino) },
		func(answer fs.Attr, err error) { a, valid = f.leases.noteAttr(ino, at, answer, err) })
	return a, valid, err
}

// Setattr changes attributes; Ino and Time of s are set here. A truncation that cuts very many extents is done in
// several transactions. What else is changed of a file with unflushed data is decided together with that: at once, but
// for the times alone, which may wait for the data's flush (DESIGN.md, invariant 5).
func (f *FS) Setattr(ctx context.Context, ino fs.Ino, s fs.Setattr) (fs.Attr, error) {
	if f.ReadOnly() {
		return fs.Attr{}, fs.ErrReadOnly
	}
	if f.tasks.isStopped() {
		return fs.Attr{}, fs.ErrClosed
	}
	if s.Set&fs.SetSize != 0 && s.Size > fs.SizeMax {
		return fs.Attr{}, fs.ErrFileTooBig
	}
	if s.Set&fs.SetAtime != 0 {
		if err := f.accesses.forget(ctx, ino); err != nil {
			return fs.Attr{}, err
		}
	}
	done, held, err := f.claim(ctx, []fs.Ino{ino}, nil)
	if err != nil {
		return fs.Attr{}, err
	}
	defer done()
	s.Ino, s.Time = ino, f.now()
	a, err := f.setHere(ctx, s, held)
	f.accesses.show(&a)
	return a, err
}

// setHere changes attributes, in order with what this mount has not flushed yet. Only of an inode that is held may they stay in memory.
func (f *FS) setHere(ctx context.Context, s fs.Setattr, held bool) (fs.Attr, error) {
	n := f.table.peek(s.Ino)
	if n == nil {
		return f.setattr(ctx, s)
	}
	defer f.table.release(n)
	ctx, cancel := context.WithTimeout(ctx, f.cfg.OpTimeout)
	defer cancel()
	if err := n.lock(ctx); err != nil {
		return fs.Attr{}, err
	}
	defer n.unlock()
	switch {
	case s.Set == fs.SetSize:
		if err := n.writtenBefore(ctx, f, s.Size); err != nil {
			return fs.Attr{}, err
		}
		return n.truncate(ctx, f, s)
	case s.Set&fs.SetSize != 0: // drained first, below
	case onlyTimes(&s) && held:
		if a, ok := n.setLater(f, s); ok {
			return a, nil
		}
	default:
		if a, err := n.setWithData(ctx, f, s); a.Ino != 0 || err != nil {
			return a, err
		}
	}
	// Data that was lost is fsync's to report; what is asked for here can be done nevertheless.
	if _, err := n.drain(ctx, f); err != nil {
		return fs.Attr{}, err
	}
	a, err := f.setattr(ctx, s)
	if err != nil {
		return fs.Attr{}, err
	}
	return n.observe(a), nil
}

// writtenBefore flushes, before a truncation, what was written and stays behind it: else a crash could leave the truncation without
// the writes before it. What is cut off need not be flushed. That data was lost is fsync's to report. The operation lock is held.
func (n *inode) writtenBefore(ctx context.Context, f *FS, size uint64) error {
	n.mu.Lock()
	stays := len(n.dirty) > 0 && n.dirty[0].off < size
	n.mu.Unlock()
	if !stays {
		return nil
	}
	_, err := n.drain(ctx, f)
	return err
}

// truncate sets the size without flushing what is to be cut off. The operation lock is held.
func (n *inode) truncate(ctx context.Context, f *FS, s fs.Setattr) (fs.Attr, error) {
	n.freeze(true)
	defer n.freeze(false)
	if err := n.awaitFlights(ctx); err != nil {
		return fs.Attr{}, err
	}
	if _, err := f.refresh(ctx, n); err != nil { // what is shown meanwhile
		return fs.Attr{}, err
	}
	n.cut(true)
	defer n.cut(false)
	n.mu.Lock()
	s.KillPriv = s.KillPriv || n.kill // the data that does it may be cut off
	n.mu.Unlock()
	a, err := f.setattr(ctx, s)
	if err != nil {
		return fs.Attr{}, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.newest(a)
	f.budget.give(n.dirty.cut(s.Size))
	n.kill = n.kill && len(n.dirty) > 0
	n.changedAt(s.Time) // what stays is flushed later, and must not turn mtime back
	n.settle(f)
	return n.view(), nil
}

// freeze keeps an inode from being packed.
func (n *inode) freeze(on bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.frozen = on
}

// cut keeps an inode's attributes as they are.
func (n *inode) cut(on bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cutting = on
}

func (n *inode) isCutting() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cutting
}

// setattr asks the leader, in steps if it must; the inode is claimed.
func (f *FS) setattr(ctx context.Context, s fs.Setattr) (fs.Attr, error) {
	for {
		r, err := f.do1Claimed(ctx, &s)
		if !errors.Is(err, fs.ErrTooManyExtents) {
			return r.Attr, err
		}
		if err := f.shrink(ctx, s); err != nil {
			return fs.Attr{}, err
		}
	}
}

// shrink cuts a file, that cannot be truncated at once, by half of the way or less.
func (f *FS) shrink(ctx context.Context, s fs.Setattr) error {
	a, err := reading(ctx, f, func(ctx context.Context) (fs.Attr, error) { return f.meta.Getattr(ctx, s.Ino) })
	if err != nil {
		return err
	}
	size := a.Size
	for step := (size - min(size, s.Size)) / 2; step > 0; step /= 2 {
		_, err = f.do1Claimed(ctx, &fs.Setattr{Ino: s.Ino, Set: fs.SetSize, Size: size - step, Time: s.Time,
			KillPriv: s.KillPriv})
		if !errors.Is(err, fs.ErrTooManyExtents) {
			return err
		}
	}
	return fmt.Errorf("truncate inode %d: %w", s.Ino, err)
}
