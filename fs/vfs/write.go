package vfs

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"dfs/fs"
)

// writeMax is how much one step of a write takes into memory.
const writeMax = 1 << 20

// Write puts p at off, or with O_APPEND at the end of file, into memory; Fsync makes it durable. When too much is
// unflushed it waits. It returns how much was written, with an error only if that is less than p. ErrFileTooBig,
// ErrQuota and ErrNoSpace when there is no room for it, ErrUnavailable when nothing can be flushed any more.
func (h *Handle) Write(ctx context.Context, p []byte, off uint64) (int, error) {
	return h.writeAs(ctx, p, off, false, h.appends())
}

// WriteKillPriv is Write for a caller that may not keep the file's set-id bits. They go with the data: at once in what this
// mount shows, and elsewhere when the data comes.
func (h *Handle) WriteKillPriv(ctx context.Context, p []byte, off uint64) (int, error) {
	return h.writeAs(ctx, p, off, true, h.appends())
}

// WritePages is Write for pages of a shared mapping, which waits for no other mount's lease: a kernel that writes them back may hold up what
// others wait for. Where the file is not held exclusively they are flushed at once, and Fsync waits until others have dropped
// what they replace. It does not wait for room either: if there is none Fsync says so.
func (h *Handle) WritePages(ctx context.Context, p []byte, off uint64) (int, error) {
	if err := h.canWrite(); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, h.f.cfg.OpTimeout)
	defer cancel()
	uses, _, _ := h.f.leases.work([]fs.Ino{h.n.ino}, nil)
	defer func() {
		if uses == nil || h.f.nodes.limited() || !h.f.leases.allExclusive([]fs.Ino{h.n.ino}) {
			h.f.launch([]*inode{h.n}, (*segments).takeAll)
		}
		h.f.leases.worked(uses)
	}()
	if err := h.n.lock(ctx); err != nil {
		return 0, err
	}
	defer h.n.unlock()
	return h.n.write(ctx, h.f, p, off, false, nil)
}

func (h *Handle) appends() bool { return h.flags&syscall.O_APPEND != 0 }

func (h *Handle) writeAs(ctx context.Context, p []byte, off uint64, kill, appends bool) (int, error) {
	if err := h.canWrite(); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, h.f.cfg.OpTimeout)
	defer cancel()
	var room search
	for {
		done, err := h.writeClaimed(ctx, p, off, kill, appends, &room)
		switch {
		case done > 0:
			return done, nil // as write(2) does: the next one reports the error if it lasts
		case !errors.Is(err, fs.ErrFenced) && !errors.Is(err, errYield) || ctx.Err() != nil:
			return 0, err
		}
	}
}

// writeClaimed writes under the exclusive lease, so that nobody sees the file without what is written. ErrFenced: the session, and
// so the lease, ended while the write waited for memory, and nothing was written. errYield: nothing was written either.
func (h *Handle) writeClaimed(ctx context.Context, p []byte, off uint64, kill, appends bool, room *search) (int, error) {
	r, done, err := h.claim(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	if err := h.n.lock(ctx); err != nil {
		return 0, err
	}
	defer h.n.unlock()
	if appends {
		end, err := h.f.endOf(ctx, h.n)
		if err != nil {
			return 0, fmt.Errorf("append to inode %d: %w", h.n.ino, err)
		}
		off = end
	}
	h.n.under = r
	defer func() { h.n.under = nil }()
	return h.n.write(ctx, h.f, p, off, kill, room)
}

func (h *Handle) canWrite() error {
	if h.f.ReadOnly() {
		return fs.ErrReadOnly
	}
	if h.f.tasks.isStopped() {
		return fs.ErrClosed
	}
	if !h.writable() {
		return fmt.Errorf("the handle was opened for reading: %w", fs.ErrInvalid)
	}
	return h.usable()
}

// claim has the mount hold the file exclusively, so that nobody else can see it without what is written now, and returns the session
// that it is held under.
func (h *Handle) claim(ctx context.Context) (r *registration, done func(), err error) {
	for {
		r = h.f.sessions.get()
		if done, err = h.f.claimSurely(ctx, h.n.ino); err != nil {
			return nil, nil, fmt.Errorf("write inode %d: %w", h.n.ino, gone(err))
		}
		if r != nil && r == h.f.sessions.get() {
			return r, done, nil
		}
		done()
	}
}

// endOf is where an append goes; the file is claimed.
func (f *FS) endOf(ctx context.Context, n *inode) (uint64, error) {
	a, err := f.refresh(ctx, n)
	return a.Size, err
}

// write takes p into memory; the operation lock is held. kill says that it takes the set-id bits. room is nil for what is taken whether or not there is room.
func (n *inode) write(ctx context.Context, f *FS, p []byte, off uint64, kill bool, room *search) (done int, err error) {
	if off > fs.SizeMax || uint64(len(p)) > fs.SizeMax-off {
		return 0, fmt.Errorf("write inode %d up to %d: %w", n.ino, off+uint64(len(p)), fs.ErrFileTooBig)
	}
	for len(p) > 0 {
		k, err := n.writePiece(ctx, f, p[:min(len(p), writeMax)], off, kill, room)
		if err != nil {
			if fs.CodeOf(err) == fs.CodeInternal {
				err = unavailable(err)
			}
			return done, fmt.Errorf("write inode %d at %d: %w", n.ino, off, err)
		}
		done, off, p = done+k, off+uint64(k), p[k:]
	}
	return done, nil
}

// writePiece takes p into memory if there will be room for it, and else writes what there is room for through.
func (n *inode) writePiece(ctx context.Context, f *FS, p []byte, off uint64, kill bool, room *search) (int, error) {
	if room != nil {
		through, err := n.reserve(ctx, f, off, len(p), room)
		if err != nil {
			return 0, err
		}
		if through != nil {
			defer through()
			return n.writeThrough(ctx, f, p, off, kill)
		}
	}
	return len(p), n.writeStep(ctx, f, p, off, kill)
}

func (n *inode) writeStep(ctx context.Context, f *FS, p []byte, off uint64, kill bool) error {
	// An estimate; the difference to the real cost is settled below, either way.
	reserved := int64(len(p)) + 2*segmentOverhead
	if err := f.budget.take(ctx, reserved, f.relieve); err != nil {
		return err
	}
	cost, full, err := n.take(f, p, off, kill)
	f.budget.give(reserved - cost)
	if err != nil {
		return err
	}
	if full {
		f.launch([]*inode{n}, (*segments).takeFull) // it need not wait for anything
	}
	return nil
}

// take is the step that cannot wait. Under a session that is over nothing is taken. It is looked at twice: if it ends in between,
// all that is dirty is of that session, and fenced may have passed by already; if it ends later, fenced finds it among what is dirty.
func (n *inode) take(f *FS, p []byte, off uint64, kill bool) (cost int64, full bool, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	over := func() bool { return n.under != nil && n.under.ended() }
	if over() {
		return 0, false, fs.ErrFenced
	}
	now := f.cfg.Now()
	if !n.waiting() {
		n.born = now
	}
	cost, full = n.dirty.write(off, p, f.cfg.BlobSize)
	n.changedAt(fs.TimeOf(now))
	n.kill = n.kill || kill
	n.settle(f)
	if over() {
		n.errs.set(fs.ErrFenced)
		f.losses.set(fs.ErrFenced)
		n.drop(f) // gives back what all of it cost
		return cost, false, fs.ErrFenced
	}
	return cost, full, nil
}
