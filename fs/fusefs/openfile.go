package fusefs

import (
	"fmt"
	"sync"

	"dfs/fs"
	"dfs/fs/vfs"

	"golang.org/x/sys/unix"
)

// file is an open file, one OPEN of the kernel's.
//
// A vfs handle appends or it does not, for as long as it lives. The kernel mixes the two on one handle: fcntl(2) changes
// O_APPEND, and pages of a shared mapping are written back through whatever handle is open for writing. So there is a
// twin of the other kind, opened when it is first needed.
type file struct {
	h     *vfs.Handle
	ino   fs.Ino
	flags uint32 // that h was opened with

	mu     sync.Mutex
	twin   *vfs.Handle
	closed bool
}

// handle is the vfs handle for a write that appends, or does not.
func (f *front) handle(r *request, o *file, appends bool) (*vfs.Handle, error) {
	if appends == (o.flags&unix.O_APPEND != 0) {
		return o.h, nil
	}
	if err := o.h.LockLost(); err != nil { // locks are the first handle's
		return nil, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.twin != nil || o.closed {
		return o.twin, o.usable()
	}
	_, twin, keep, err := f.fs.Open(r, o.ino, (o.flags^unix.O_APPEND)&^unix.O_TRUNC)
	if err != nil {
		return nil, gone(err)
	}
	if !keep {
		// vfs has said so, once, and takes it that the kernel's pages are dropped; let the next OPEN do it.
		f.stale.Store(o.ino, struct{}{})
	}
	o.twin = twin
	return twin, nil
}

// usable is called with mu held.
func (o *file) usable() error {
	if o.closed {
		return fmt.Errorf("inode %d: %w", o.ino, errBadHandle)
	}
	return nil
}

// release gives both handles up.
func (o *file) release() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	o.h.Release()
	if o.twin != nil {
		o.twin.Release()
	}
}

// keepCache is what OPEN tells the kernel, given what vfs says.
func (f *front) keepCache(ino fs.Ino, keep bool) bool {
	_, stale := f.stale.LoadAndDelete(ino)
	return keep && !stale
}
