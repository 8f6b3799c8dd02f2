package vfs

import (
	"container/list"
	"context"
	"fmt"
	"sync"
	"time"

	"dfs/fs"
)

// inode is the content of one file as this mount knows it.
type inode struct {
	ino fs.Ino
	op  chan struct{} // the operation lock; see DESIGN.md

	room room // guarded by op

	users int           // guarded by table.mu
	idle  *list.Element // guarded by table.mu; set while users is 0

	under *registration // the session that the write under way is claimed under; guarded by the operation lock

	mu      sync.Mutex
	attr    fs.Attr     // of the highest Version seen; Ino is 0 before the first
	dirty   segments    // may still be changed
	pending *fs.Setattr // times that were set behind what is dirty; see pending.go
	flights []*flight   // in the order of their jobs
	held    bool        // something is unflushed: one user, one pin, one place in the dirty set
	kill    bool        // some of dirty was written by who may not keep the file's set-id bits
	strayed bool        // pages of a mapping were flushed, and others may not have dropped what they replace; see Handle.Fsync
	through bool        // what is dirty is about to be flushed by its writer, who reports what becomes of it
	frozen  bool        // nothing may be packed: a truncation is at the leader, or about to be
	cutting bool        // it is there: attr stays as it is
	mtime   fs.Time     // of the last write, while something is unflushed
	born    time.Time   // of the oldest dirty byte, or of pending
	handles int
	gone    bool // reaped: the inode number means nothing any more
	errs    errseq
	layout  layout
	fetch   chan struct{} // held by who asks for the layout
	kept    uint64        // the Version at the last Open; see keepCache
}

// flight is what one job carries of one inode.
type flight struct {
	n     *inode
	job   *job
	segs  segments    // immutable
	mtime fs.Time     // of segs
	kill  bool        // segs take the file's set-id bits
	set   *fs.Setattr // done behind segs, in the same transaction; nil if nothing is
	lost  error       // why all this was given up; guarded by the inode's mu

	through bool // the writer waits for it
}

func newInode(ino fs.Ino) *inode {
	return &inode{ino: ino, op: make(chan struct{}, 1), fetch: make(chan struct{}, 1)}
}

// lock takes the operation lock.
func (n *inode) lock(ctx context.Context) error {
	select {
	case n.op <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("inode %d is busy: %w", n.ino, unavailable(ctx.Err()))
	}
}

func (n *inode) unlock() { <-n.op }

// observe takes in what the leader said of the inode and returns what this mount shows.
func (n *inode) observe(a fs.Attr) fs.Attr {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.adopt(a)
	return n.view()
}

// adopt keeps the newest attributes; mu is held. While a truncation is at the leader they are left to it: with a new size the data
// that it is about to cut would look as if it lay behind a hole.
func (n *inode) adopt(a fs.Attr) {
	if !n.cutting {
		n.newest(a)
	}
}

// newest keeps a unless what is kept is newer; mu is held.
func (n *inode) newest(a fs.Attr) {
	if a.Version >= n.attr.Version {
		n.attr = a
	}
}

// view merges what is unflushed into the attributes (DESIGN.md, invariants 4 and 5); mu is held.
func (n *inode) view() fs.Attr {
	a := n.attr
	if !n.unflushed() {
		return a
	}
	for _, fl := range n.flights {
		wrote(&a, fl.segs, fl.mtime, fl.kill)
		set(&a, fl.set)
	}
	wrote(&a, n.dirty, n.mtime, n.kill)
	set(&a, n.pending)
	a.Size = n.size()
	// What is unflushed may lie over what is mapped: an estimate, but never 0 where there are bytes.
	a.Used = max(a.Used, min(a.Size, a.Used+uint64(n.unflushedBytes())))
	return a
}

// size is the file's as this mount shows it; mu is held.
func (n *inode) size() uint64 { return max(n.attr.Size, n.end()) }

// unflushed reports whether anything is waiting or flying; mu is held.
func (n *inode) unflushed() bool { return n.waiting() || len(n.flights) > 0 }

// waiting reports whether the next job has something to carry; mu is held.
func (n *inode) waiting() bool { return len(n.dirty) > 0 || n.pending != nil }

func (n *inode) isUnflushed() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.unflushed()
}

// end is the first offset behind all that is unflushed; mu is held.
func (n *inode) end() uint64 {
	end := n.dirty.end()
	for _, fl := range n.flights {
		end = max(end, fl.segs.end())
	}
	return end
}

func (n *inode) unflushedBytes() int64 {
	bytes := n.dirty.bytes()
	for _, fl := range n.flights {
		bytes += fl.segs.bytes()
	}
	return bytes
}

// settle makes held true exactly while something is unflushed; mu is held.
func (n *inode) settle(f *FS) {
	want := n.unflushed()
	if want == n.held {
		return
	}
	n.held = want
	if want {
		f.table.again(n)
		f.pins.again(n.ino)
		f.dirty.add(n)
		return
	}
	f.dirty.remove(n)
	f.pins.release(n.ino)
	f.table.release(n)
}

// loseDirty drops what is waiting, because of err. What is flying is its job's.
func (n *inode) loseDirty(f *FS, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.waiting() {
		return
	}
	n.errs.set(err)
	f.losses.set(err)
	n.drop(f)
}

// drop forgets what is waiting; mu is held.
func (n *inode) drop(f *FS) {
	f.budget.give(n.dirty.cost())
	n.dirty, n.pending, n.kill = nil, nil, false
	n.settle(f)
}

// lost marks the inode as reaped.
func (n *inode) lost(f *FS) {
	n.loseDirty(f, fs.ErrStale)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.gone = true
}

// usable is ErrStale for an inode that has been reaped under its handles.
func (n *inode) usable() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.gone {
		return fmt.Errorf("inode %d is gone: %w", n.ino, fs.ErrStale)
	}
	return nil
}

// merge shows a, which the leader answered, as this mount sees it.
func (f *FS) merge(a fs.Attr) fs.Attr {
	if a.Type == fs.TypeRegular {
		if n := f.table.peek(a.Ino); n != nil {
			a = n.observe(a)
			f.table.release(n)
		}
	}
	f.accesses.show(&a)
	return a
}
