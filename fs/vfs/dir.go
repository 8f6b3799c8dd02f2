package vfs

import (
	"context"
	"fmt"
	"sort"
	"sync"
	"sync/atomic"

	"dfs/fs"
)

// Entries asked for at once: few at first, for directories that are only peeked into.
const (
	listMin = 128
	listMax = 1024
)

// DirHandle is an open directory.
type DirHandle struct {
	f        *FS
	n        *inode
	released atomic.Bool

	mu    sync.Mutex
	ahead []fs.Dirent // listed, not emitted; they follow after
	after fs.Cookie
	until fs.Cookie // where the listing ends, by its first answer since it was opened or rewound; 0 before that
	end   bool      // nothing follows ahead
	limit int
}

// OpenDir opens a directory. It stays readable, as an empty one, when it is removed.
func (f *FS) OpenDir(ctx context.Context, ino fs.Ino) (*DirHandle, error) {
	n, a, err := f.hold(ctx, ino)
	if err != nil {
		return nil, fmt.Errorf("open directory %d: %w", ino, err)
	}
	if !a.IsDir() {
		f.unhold(n)
		return nil, fmt.Errorf("open inode %d as a directory: %w", ino, fs.ErrNotDir)
	}
	return &DirHandle{f: f, n: n, limit: listMin}, nil
}

// Ino is the inode that the handle is open on.
func (d *DirHandle) Ino() fs.Ino { return d.n.ino }

// Read emits the entries behind after, by rising cookie, until emit returns false or there are no more. "." and ".." are
// not among them. An entry that emit refused comes again when the next Read goes on behind the one before it.
//
// What is entered, or renamed, after the listing began lies behind its end. So it ends, and has no entry twice, even if
// each one is renamed as it is read.
func (d *DirHandle) Read(ctx context.Context, after fs.Cookie, emit func(fs.Dirent) bool) error {
	if d.released.Load() {
		return fs.ErrClosed
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if after != d.after || after == 0 {
		d.ahead, d.after, d.end, d.limit = nil, after, false, listMin
	}
	if after == 0 { // rewinddir(3) wants to see what is there now
		d.until = 0
	}
	for {
		for len(d.ahead) > 0 {
			e := d.ahead[0]
			e.Attr = d.f.merge(e.Attr)
			if !emit(e) {
				return nil
			}
			d.ahead, d.after = d.ahead[1:], e.Cookie
		}
		if d.end {
			return nil
		}
		if err := d.list(ctx); err != nil {
			return err
		}
	}
}

// list asks the leader for the next entries.
func (d *DirHandle) list(ctx context.Context) error {
	l, err := reading(ctx, d.f, func(ctx context.Context) (fs.Listing, error) {
		return d.f.meta.Readdir(ctx, d.n.ino, d.after, d.limit)
	})
	if err != nil {
		return fmt.Errorf("list directory %d: %w", d.n.ino, gone(err))
	}
	if d.until == 0 {
		d.until = l.End
	}
	d.ahead = before(l.Entries, d.until)
	d.end = len(d.ahead) < d.limit
	d.limit = min(2*d.limit, listMax)
	return nil
}

// List lists at most limit entries of a directory behind a cookie; see fs.Reader.Readdir. It is for callers that hold nothing
// between two calls.
func (f *FS) List(ctx context.Context, dir fs.Ino, after fs.Cookie, limit int) (fs.Listing, error) {
	l, err := reading(ctx, f, func(ctx context.Context) (fs.Listing, error) { return f.meta.Readdir(ctx, dir, after, limit) })
	for i := range l.Entries {
		l.Entries[i].Attr = f.merge(l.Entries[i].Attr)
	}
	return l, err
}

// before is the entries below a cookie.
func before(entries []fs.Dirent, end fs.Cookie) []fs.Dirent {
	n := sort.Search(len(entries), func(i int) bool { return entries[i].Cookie >= end })
	return entries[:n]
}

// Fsync makes the directory's entries durable: they are written through, so they are.
func (d *DirHandle) Fsync(context.Context) error { return nil }

// Release gives the handle up.
func (d *DirHandle) Release() {
	if !d.released.Swap(true) {
		d.f.unhold(d.n)
	}
}
