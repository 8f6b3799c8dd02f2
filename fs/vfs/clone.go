package vfs

import (
	"context"
	"fmt"

	"dfs/fs"
)

// cloneMin is the length from which sharing extents beats copying bytes.
const cloneMin = 64 << 10

// CopyTo copies length bytes to dst as copy_file_range(2) does, and returns how many: fewer at the end of file. Large
// ranges are shared, not copied. ErrInvalid for overlapping ranges of one file.
func (h *Handle) CopyTo(ctx context.Context, dst *Handle, srcOff, dstOff, length uint64) (uint64, error) {
	if err := h.usable(); err != nil {
		return 0, err
	}
	if err := dst.canWrite(); err != nil {
		return 0, err
	}
	if srcOff > fs.SizeMax || dstOff > fs.SizeMax {
		return 0, fs.ErrFileTooBig
	}
	length = min(length, fs.SizeMax-srcOff)
	if h.n == dst.n && srcOff < dstOff+length && dstOff < srcOff+length {
		return 0, fmt.Errorf("copy within inode %d: the ranges overlap: %w", h.n.ino, fs.ErrInvalid)
	}
	if length < cloneMin {
		return h.copyBytes(ctx, dst, srcOff, dstOff, length)
	}
	return h.clone(ctx, dst, srcOff, dstOff, length)
}

// copyBytes copies a little, through memory.
func (h *Handle) copyBytes(ctx context.Context, dst *Handle, srcOff, dstOff, length uint64) (uint64, error) {
	p := make([]byte, length)
	k, err := h.Read(ctx, p, srcOff)
	if k == 0 || err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, h.f.cfg.OpTimeout)
	defer cancel()
	if err := dst.n.lock(ctx); err != nil {
		return 0, err
	}
	defer dst.n.unlock()
	// Not dst.Write: copy_file_range(2) has an offset even where the handle appends.
	done, err := dst.n.write(ctx, h.f, p[:k], dstOff)
	return uint64(done), err
}

func (h *Handle) clone(ctx context.Context, dst *Handle, srcOff, dstOff, length uint64) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, h.f.cfg.OpTimeout)
	defer cancel()
	unlock, err := lockBoth(ctx, h.n, dst.n)
	if err != nil {
		return 0, err
	}
	defer unlock()
	for _, n := range []*inode{h.n, dst.n} {
		if err := n.drained(ctx, h.f); err != nil {
			return 0, err
		}
	}
	total := uint64(0)
	err = inSteps(length, func(done, step uint64) (uint64, error) {
		r, err := h.f.do1(ctx, &fs.Clone{Src: h.n.ino, SrcOff: srcOff + done, Dst: dst.n.ino, DstOff: dstOff + done,
			Len: step, Time: h.f.now()})
		if err != nil {
			return 0, gone(err)
		}
		dst.n.observe(r.Attr)
		total += r.N
		return r.N, nil
	})
	if total > 0 {
		return total, nil // the next call reports an error that lasts
	}
	return 0, err
}

// lockBoth takes the operation locks of two inodes, which may be one, by rising number.
func lockBoth(ctx context.Context, a, b *inode) (unlock func(), err error) {
	if a == b {
		return a.unlock, a.lock(ctx)
	}
	if a.ino > b.ino {
		a, b = b, a
	}
	if err := a.lock(ctx); err != nil {
		return nil, err
	}
	if err := b.lock(ctx); err != nil {
		a.unlock()
		return nil, err
	}
	return func() { b.unlock(); a.unlock() }, nil
}
