package vfs

import (
	"context"
	"fmt"
	"slices"
	"sort"

	"dfs/fs"
)

// layoutExtentsMax bounds the extents cached of one inode.
const layoutExtentsMax = 64 << 10

// layout caches where the bytes of one Version of a file lie. The zero value covers nothing.
type layout struct {
	ino     fs.Ino
	version uint64
	index   uint64      // the Raft index of the newest answer taken in
	covered []span      // sorted, disjoint, not touching: what is known
	extents []fs.Extent // sorted, disjoint
	blobs   map[fs.BlobID]fs.BlobInfo
}

// covers reports whether s is known at a Version; from is the first offset that is not.
func (l *layout) covers(version uint64, s span) (from uint64, ok bool) {
	if l.version != version {
		return s.from, false
	}
	i := sort.Search(len(l.covered), func(i int) bool { return l.covered[i].to > s.from })
	if i == len(l.covered) || l.covered[i].from > s.from {
		return s.from, false
	}
	if l.covered[i].to >= s.to {
		return 0, true
	}
	return l.covered[i].to, false
}

// add takes in an answer that covers s. What it says of places that are known already is the same.
func (l *layout) add(s span, answer *fs.Layout) {
	version, extents, blobs := answer.Attr.Version, answer.Extents, answer.Blobs
	if l.version != version || len(l.extents)+len(extents) > layoutExtentsMax {
		*l = layout{version: version}
	}
	l.ino, l.index = answer.Attr.Ino, max(l.index, answer.Index)
	if l.blobs == nil {
		l.blobs = make(map[fs.BlobID]fs.BlobInfo)
	}
	for _, b := range blobs {
		l.blobs[b.ID] = b
	}
	l.extents = append(l.extents, extents...)
	slices.SortFunc(l.extents, func(a, b fs.Extent) int { return compare(a.Off, b.Off) })
	l.extents = slices.CompactFunc(l.extents, func(a, b fs.Extent) bool { return a.Off == b.Off })
	l.covered = append(l.covered, s)
	slices.SortFunc(l.covered, func(a, b span) int { return compare(a.from, b.from) })
	joined := l.covered[:1]
	for _, s := range l.covered[1:] {
		if last := &joined[len(joined)-1]; s.from <= last.to {
			last.to = max(last.to, s.to)
			continue
		}
		joined = append(joined, s)
	}
	l.covered = joined
}

func compare(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// piece is a run of a file's bytes with the blob that it lies in, if it lies in one.
type piece struct {
	fs.Extent
	blob  fs.BlobInfo
	whole fs.Extent // that it is part of
	ino   fs.Ino
	index uint64 // of a state in which the extent is the file's
}

// pieces returns the parts of extents within s, which is covered. What is between them is a hole.
func (l *layout) pieces(s span) []piece {
	var list []piece
	i := sort.Search(len(l.extents), func(i int) bool { return l.extents[i].End() > s.from })
	for ; i < len(l.extents) && l.extents[i].Off < s.to; i++ {
		e := l.extents[i].Slice(s.from, s.to)
		list = append(list, piece{e, l.blobs[e.Blob], l.extents[i], l.ino, l.index})
	}
	return list
}

// learn asks the leader for the layout from off on, unless it has become known meanwhile.
func (n *inode) learn(ctx context.Context, f *FS, s span) error {
	select {
	case n.fetch <- struct{}{}:
		defer func() { <-n.fetch }()
	case <-ctx.Done():
		return ctx.Err()
	}
	n.mu.Lock()
	from, known := n.layout.covers(n.attr.Version, s)
	n.mu.Unlock()
	if known {
		return nil
	}
	lay, err := reading(ctx, f, func(ctx context.Context) (*fs.Layout, error) {
		return f.meta.Layout(ctx, n.ino, from, fs.SizeMax-min(from, fs.SizeMax))
	})
	if err != nil {
		return fmt.Errorf("layout of inode %d: %w", n.ino, gone(err))
	}
	to := lay.More
	if to == 0 {
		to = fs.SizeMax
	}
	if n.isCutting() { // it may be of what a truncation is about to make
		if err := n.lock(ctx); err != nil {
			return err
		}
		n.unlock()
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.adopt(lay.Attr)
	if lay.Attr.Version == n.attr.Version && to > from {
		n.layout.add(span{from, to}, lay)
	}
	return nil
}

// forgetLayout drops the layout, because what it said turned out to be wrong.
func (n *inode) forgetLayout() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.layout = layout{}
}
