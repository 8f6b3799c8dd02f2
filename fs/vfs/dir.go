package vfs

import (
	"context"
	"errors"
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
	// NoAtime is O_NOATIME: listings are not recorded. It is set before the first Read.
	NoAtime bool

	mu    sync.Mutex
	read  bool        // the listing has been recorded
	ahead []fs.Dirent // listed, not emitted; they follow after
	after fs.Cookie
	until fs.Cookie   // where the listing ends, by its first answer since it was opened or rewound; 0 before that
	end   bool        // nothing follows ahead
	began look        // when it was opened or rewound
	all   []fs.Dirent // listed since then; none once they are more than namesMax
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
	if !d.read && !d.NoAtime {
		d.read = true
		d.n.mu.Lock()
		a := d.n.view()
		d.n.mu.Unlock()
		d.f.accessed(a)
	}
	if after != d.after || after == 0 {
		d.ahead, d.after, d.end, d.limit, d.all = nil, after, false, listMin, nil
	}
	if after == 0 { // rewinddir(3) wants to see what is there now
		d.until, d.began = 0, d.f.leases.before(d.n.ino)
		if list, end, ok := d.f.leases.list(d.n.ino); ok {
			d.ahead, d.until, d.end = list, end, true
		}
	}
	for {
		for len(d.ahead) > 0 {
			e := d.ahead[0]
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
	l, err := d.f.readdir(ctx, d.n.ino, d.after, d.limit, d.began)
	if err != nil {
		return fmt.Errorf("list directory %d: %w", d.n.ino, gone(err))
	}
	if d.until == 0 {
		d.until = l.End
	}
	d.ahead = before(l.Entries, d.until)
	d.end = len(d.ahead) < d.limit
	d.limit = min(2*d.limit, listMax)
	d.collect()
	return nil
}

// collect gathers what was listed, from the directory's beginning, until it has come to the end, or is too much to be kept.
func (d *DirHandle) collect() {
	if d.after > 0 && len(d.all) == 0 {
		return
	}
	d.all = append(d.all, d.ahead...)
	if d.end {
		d.f.leases.listed(d.n.ino, d.began, d.all, d.until)
	}
	if d.end || len(d.all) > namesMax {
		d.all = nil
	}
}

// readdir asks the leader for entries, and for leases on the directory and all that is listed.
func (f *FS) readdir(ctx context.Context, dir fs.Ino, after fs.Cookie, limit int, at look) (fs.Listing, error) {
	l := f.leases
	return asking(ctx, f, fs.LeaseShared, func(ctx context.Context) (fs.Listing, error) { return f.meta.Readdir(ctx, dir, after, limit) },
		func(answer fs.Listing, err error) {
			d := l.still(dir, at)
			for i := range answer.Entries {
				e := &answer.Entries[i]
				if l.still(e.Attr.Ino, look{}) != nil {
					l.learn(e.Attr)
				}
				if d != nil {
					d.nameIs(e.Name, e.Attr.Ino)
				}
			}
		})
}

// list answers from the cache with all of a directory.
func (l *leases) list(dir fs.Ino) (list []fs.Dirent, end fs.Cookie, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := l.usable(dir)
	if d == nil || d.listing == nil {
		return nil, 0, false
	}
	return d.listing, d.end, true
}

// listed keeps all of a directory, of which the first part was asked for at a moment.
func (l *leases) listed(dir fs.Ino, at look, all []fs.Dirent, end fs.Cookie) {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := l.known[dir]
	if d == nil || d != at.k || l.still(dir, at) == nil || len(all) > namesMax {
		return
	}
	d.names, d.whole = make(map[string]fs.Ino, len(all)), true
	for i := range all {
		d.names[all[i].Name] = all[i].Attr.Ino
	}
	d.listing, d.end = all, end
	if all == nil {
		d.listing = []fs.Dirent{}
	}
}

// List lists at most limit entries of a directory behind a cookie; see fs.Reader.Readdir. It is for callers that hold nothing
// between two calls.
func (f *FS) List(ctx context.Context, dir fs.Ino, after fs.Cookie, limit int) (fs.Listing, error) {
	l, err := f.readdir(ctx, dir, after, limit, f.leases.before(dir))
	if err != nil {
		return fs.Listing{}, err
	}
	kept := l.Entries[:0]
	for _, e := range l.Entries {
		e.Attr, err = f.Getattr(ctx, e.Attr.Ino)
		if errors.Is(err, fs.ErrNotExist) { // it has gone since
			continue
		}
		if err != nil {
			return fs.Listing{}, err
		}
		kept = append(kept, e)
	}
	l.Entries = kept
	return l, nil
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
	if d.released.Swap(true) {
		return
	}
	if a, _, ok := d.f.leases.attr(d.n.ino); ok {
		d.f.leaveOrphan(&a)
	}
	d.f.unhold(d.n)
}
