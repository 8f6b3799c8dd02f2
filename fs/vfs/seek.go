package vfs

import (
	"context"
	"fmt"

	"dfs/fs"
)

// ErrNoData is lseek(2)'s ENXIO: the offset is at or behind the end of file, or SeekData found no data behind it. It
// wraps fs.ErrInvalid.
var ErrNoData = fmt.Errorf("no data behind the offset: %w", fs.ErrInvalid)

// Whence says what Seek looks for.
type Whence int

// SeekData and SeekHole have the values of SEEK_DATA and SEEK_HOLE in lseek(2).
const (
	SeekData Whence = 3
	SeekHole Whence = 4
)

// Seek finds the first offset at or behind off that is data, or a hole; the end of file counts as one.
func (h *Handle) Seek(ctx context.Context, off uint64, whence Whence) (uint64, error) {
	if whence != SeekData && whence != SeekHole {
		return 0, fmt.Errorf("seek whence %d: %w", whence, fs.ErrInvalid)
	}
	if err := h.usable(); err != nil {
		return 0, err
	}
	if err := h.n.flushed(ctx, h.f); err != nil { // holes are known to the leader only
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, h.f.cfg.OpTimeout)
	defer cancel()
	if _, err := h.f.refresh(ctx, h.n); err != nil {
		return 0, err
	}
	for {
		at, unknown, err := h.n.seek(off, whence)
		if err != nil || unknown == (span{}) {
			return at, err
		}
		if err := h.n.learn(ctx, h.f, unknown); err != nil {
			return 0, unavailable(err)
		}
		// What lies before is not it. It is not looked at again: the layout of a large file is not kept as a whole.
		off = unknown.from
	}
}

// seek looks through the layout; unknown is what must be learnt first, for all that lies before it has been looked at.
// What has been written since the flush counts as holes for as long as it is not flushed.
func (n *inode) seek(off uint64, whence Whence) (at uint64, unknown span, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	size := n.attr.Size
	if off >= size {
		return 0, span{}, ErrNoData
	}
	all := span{off, size}
	from, complete := n.layout.covers(n.attr.Version, all)
	known := all
	if !complete {
		known.to = from
	}
	at = off
	if known.from < known.to {
		for _, e := range n.layout.pieces(known) {
			if whence == SeekData {
				return e.Off, span{}, nil
			}
			if e.Off > at {
				return at, span{}, nil
			}
			at = e.End()
		}
	}
	switch {
	case !complete && whence == SeekHole && at < known.to:
		return at, span{}, nil
	case !complete:
		return 0, span{known.to, size}, nil
	case whence == SeekData:
		return 0, span{}, ErrNoData
	}
	return at, span{}, nil // at size at the latest
}
