package vfs

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"

	"dfs/fs"
)

// Caller is on whose behalf something is made.
type Caller struct {
	UID, GID uint32
	Umask    uint32 // see fs.Create
}

// Handle is an open regular file. Its methods may be called from any goroutine; Release is called once, last.
type Handle struct {
	f     *FS
	n     *inode
	flags uint32 // of open(2)
	ahead reader

	released atomic.Bool
	unlocked atomic.Bool // a lock that was taken through it is lost
	mu       sync.Mutex
	errsAt   uint64 // up to where late errors have been reported
}

// Ino is the inode that the handle is open on.
func (h *Handle) Ino() fs.Ino { return h.n.ino }

func (h *Handle) writable() bool { return h.flags&syscall.O_ACCMODE != syscall.O_RDONLY }

// Open opens a regular file. Of the flags of open(2) the access mode, O_APPEND, O_TRUNC and O_NOATIME count. keepCache tells that
// nobody has changed the data since the last Open on this mount, so that pages cached then are still right. Errors:
// ErrNotExist, ErrIsDir, ErrInvalid for other types, ErrReadOnly.
func (f *FS) Open(ctx context.Context, ino fs.Ino, flags uint32) (a fs.Attr, h *Handle, keepCache bool, err error) {
	h = &Handle{f: f, flags: flags}
	truncate := flags&syscall.O_TRUNC != 0
	if f.ReadOnly() && (h.writable() || truncate) {
		return fs.Attr{}, nil, false, fs.ErrReadOnly
	}
	h.n, a, err = f.hold(ctx, ino)
	if err != nil {
		return fs.Attr{}, nil, false, fmt.Errorf("open inode %d: %w", ino, err)
	}
	h.start()
	if err = openable(a); err == nil && truncate {
		a, err = f.Setattr(ctx, ino, fs.Setattr{Set: fs.SetSize})
	}
	if err != nil {
		h.Release()
		return fs.Attr{}, nil, false, fmt.Errorf("open inode %d: %w", ino, err)
	}
	return a, h, h.n.keepCache(), nil
}

func openable(a fs.Attr) error {
	switch a.Type {
	case fs.TypeRegular:
		return nil
	case fs.TypeDir:
		return fs.ErrIsDir
	}
	return fs.ErrInvalid
}

// hold pins an inode and returns its attributes. What it counts is given back by unhold.
func (f *FS) hold(ctx context.Context, ino fs.Ino) (*inode, fs.Attr, error) {
	ctx, cancel := context.WithTimeout(ctx, f.cfg.OpTimeout)
	defer cancel()
	if f.tasks.isStopped() {
		return nil, fs.Attr{}, fs.ErrClosed
	}
	if a, ok := f.holdLeased(ino); ok {
		n := f.table.get(ino)
		return n, n.observe(a), nil
	}
	if err := f.pins.hold(ctx, ino); err != nil {
		return nil, fs.Attr{}, unavailable(err)
	}
	a, err := f.pin(ctx, ino)
	if err != nil {
		f.pins.release(ino)
		return nil, fs.Attr{}, err
	}
	n := f.table.get(ino)
	return n, n.observe(a), nil
}

// holdLeased pins an inode without asking, if a lease keeps it from being removed behind our back: the pin is told to the leader
// before the lease goes back. It is registered first, so that an ack that may leave from now on comes behind it.
func (f *FS) holdLeased(ino fs.Ino) (fs.Attr, bool) {
	if !f.pins.holdUntold(ino) {
		return fs.Attr{}, false
	}
	a, _, ok := f.leases.attr(ino)
	if !ok || a.Nlink == 0 {
		f.pins.release(ino)
		return fs.Attr{}, false
	}
	return a, true
}

func (f *FS) unhold(n *inode) {
	f.pins.release(n.ino)
	f.table.release(n)
}

// pin has the leader keep the inode. Under a session that turns out to be fenced it is tried again: the next session pins
// what is held, and this call is to find out whether that worked.
func (f *FS) pin(ctx context.Context, ino fs.Ino) (fs.Attr, error) {
	return inSession(ctx, f, func(r *registration) (a fs.Attr, err error) {
		at := f.leases.before(ino)
		_, err = f.bounded(ctx, func(ctx context.Context) (fs.Attr, error) {
			answer, _, err := under(ctx, f, r, fs.LeaseCall{Want: fs.LeaseShared},
				func(ctx context.Context) (fs.Attr, error) { return f.meta.Pin(ctx, r.Session, ino) },
				func(answer fs.Attr, err error) { a, _ = f.leases.noteAttr(ino, at, answer, err) })
			return answer, err
		})
		if err == nil {
			f.pins.told(ino)
		}
		return a, err
	})
}

// start makes h one of its inode's handles.
func (h *Handle) start() {
	h.n.mu.Lock()
	defer h.n.mu.Unlock()
	h.n.handles++
	h.errsAt = h.n.errs.start()
}

// keepCache is called at Open; see DESIGN.md, invariant 7.
func (n *inode) keepCache() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	keep := n.kept == n.attr.Version && !n.unflushed()
	n.kept = n.attr.Version
	return keep
}

// Release gives the handle up. Unflushed data is still flushed, in the background; its errors are logged only.
func (h *Handle) Release() {
	if h.released.Swap(true) {
		return
	}
	h.f.releaseLocks(h)
	n := h.n
	n.mu.Lock()
	n.handles--
	n.discardIfOrphan(h.f)
	last, a := n.handles == 0, n.attr
	n.mu.Unlock()
	if last && a.Ino != 0 {
		h.f.leaveOrphan(&a)
	}
	h.f.unhold(n)
}

// usable refuses a handle that is released, or relies on a lock that is lost, or whose inode is gone.
func (h *Handle) usable() error {
	if h.released.Load() {
		return fs.ErrClosed
	}
	if err := h.LockLost(); err != nil {
		return err
	}
	return h.n.usable()
}

// Read fills p from off on and returns how much; less than len(p) only at the end of file.
func (h *Handle) Read(ctx context.Context, p []byte, off uint64) (int, error) {
	if err := h.usable(); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, h.f.cfg.OpTimeout)
	defer cancel()
	if _, err := h.f.refresh(ctx, h.n); err != nil {
		return 0, fmt.Errorf("read inode %d: %w", h.n.ino, err)
	}
	return h.read(ctx, p, off)
}

// read is Read once the attributes are known.
func (h *Handle) read(ctx context.Context, p []byte, off uint64) (int, error) {
	k, err := h.n.read(ctx, h.f, p, off)
	if err != nil {
		return 0, fmt.Errorf("read inode %d at %d: %w", h.n.ino, off, unavailable(err))
	}
	h.accessed()
	if k > 0 && h.f.cfg.ReadAhead > 0 {
		if off == 0 {
			h.n.neighbours(h.f)
		}
		if s := h.ahead.advance(off, uint64(k), uint64(h.f.cfg.ReadAhead)); s.from < s.to {
			h.n.prefetch(h.f, s)
		}
	}
	return k, nil
}

// refresh returns the attributes of an open inode: what is known under a lease, or what the leader says.
func (f *FS) refresh(ctx context.Context, n *inode) (fs.Attr, error) {
	a, _, ok := f.leases.attr(n.ino)
	if !ok {
		var err error
		if a, _, err = f.askAttr(ctx, n.ino); err != nil {
			return fs.Attr{}, gone(err)
		}
	}
	return n.observe(a), nil
}

// Flush is close(2) of one descriptor. What was written before is visible to other mounts; it is durable a moment later, or when
// Fsync returns. Flush waits for nothing, and reports a late error that this handle has not reported yet.
func (h *Handle) Flush(ctx context.Context) error {
	switch {
	case !h.writable():
		return nil
	case h.released.Load():
		return fs.ErrClosed
	case !h.f.leases.holds(h.n.ino, fs.LeaseExclusive):
		return h.flushed(ctx)
	}
	return h.Lost()
}

// Fsync makes the file durable, whichever mount has written it, as fsync(2) does with what other processes have written. Metadata is written
// through, so dataOnly makes no difference.
func (h *Handle) Fsync(ctx context.Context, dataOnly bool) error {
	alone := h.f.leases.stands(h.n.ino) // then nobody else has something that is not flushed
	if err := h.flushed(ctx); err != nil || alone {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, h.f.cfg.OpTimeout)
	defer cancel()
	// The leader asks whoever has.
	if _, err := h.f.refresh(ctx, h.n); err != nil {
		return fmt.Errorf("fsync inode %d: %w", h.n.ino, unavailable(err))
	}
	return nil
}

// flushed makes durable what this mount has written.
func (h *Handle) flushed(ctx context.Context) error {
	if h.released.Load() {
		return fs.ErrClosed
	}
	waited := h.n.flushed(ctx, h.f)
	if err := h.Lost(); err != nil {
		return err
	}
	if err := h.LockLost(); err != nil {
		return err
	}
	if waited == nil {
		waited = h.f.gather(ctx, h.n)
	}
	return waited
}

// gather waits until nobody caches what stray pages have replaced.
func (f *FS) gather(ctx context.Context, n *inode) error {
	n.mu.Lock()
	strayed := n.strayed
	n.strayed = false
	n.mu.Unlock()
	if !strayed {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, f.cfg.OpTimeout)
	defer cancel()
	done, err := f.claimSurely(ctx, n.ino)
	if err == nil {
		done()
		return nil
	}
	n.mu.Lock()
	n.strayed = true
	n.mu.Unlock()
	return fmt.Errorf("wait for others to drop what was mapped: %w", gone(err))
}

func (h *Handle) lateError() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.n.mu.Lock()
	defer h.n.mu.Unlock()
	return h.n.errs.check(&h.errsAt)
}
