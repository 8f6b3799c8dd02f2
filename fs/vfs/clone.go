package vfs

import (
	"context"
	"fmt"

	"dfs/fs"
)

// cloneMin is the length from which sharing extents beats copying bytes.
const cloneMin = 64 << 10

// CopyTo copies op's range to dst as copy_file_range(2) does, and returns how many bytes: fewer at the end of file. Large
// ranges are shared, not copied. Src, Dst and Time of op are set here. ErrInvalid for overlapping ranges of one file.
func (h *Handle) CopyTo(ctx context.Context, dst *Handle, op fs.Clone) (uint64, error) {
	if err := h.usable(); err != nil {
		return 0, err
	}
	if err := dst.canWrite(); err != nil {
		return 0, err
	}
	if op.SrcOff > fs.SizeMax || op.DstOff > fs.SizeMax {
		return 0, fs.ErrFileTooBig
	}
	op.Len = min(op.Len, fs.SizeMax-op.SrcOff)
	if h.n == dst.n && op.SrcOff < op.DstOff+op.Len && op.DstOff < op.SrcOff+op.Len {
		return 0, fmt.Errorf("copy within inode %d: the ranges overlap: %w", h.n.ino, fs.ErrInvalid)
	}
	if op.Len < cloneMin {
		return h.copyBytes(ctx, dst, op)
	}
	return h.clone(ctx, dst, op)
}

// copyBytes copies a little, through memory.
func (h *Handle) copyBytes(ctx context.Context, dst *Handle, op fs.Clone) (uint64, error) {
	p := make([]byte, op.Len)
	k, err := h.Read(ctx, p, op.SrcOff)
	if k == 0 || err != nil {
		return 0, err
	}
	// copy_file_range(2) has an offset even where the handle appends.
	done, err := dst.writeAs(ctx, p[:k], op.DstOff, op.KillPriv, false)
	return uint64(done), err
}

func (h *Handle) clone(ctx context.Context, dst *Handle, op fs.Clone) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, h.f.cfg.OpTimeout)
	defer cancel()
	claimed, _, err := h.f.claim(ctx, []fs.Ino{dst.n.ino}, nil)
	if err != nil {
		return 0, gone(err)
	}
	defer claimed()
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
	err = inSteps(op.Len, func(done, step uint64) (uint64, error) {
		r, err := h.f.do1Claimed(ctx, &fs.Clone{Src: h.n.ino, SrcOff: op.SrcOff + done, Dst: dst.n.ino, DstOff: op.DstOff + done,
			Len: step, Time: h.f.now(), KillPriv: op.KillPriv})
		if err != nil {
			return 0, gone(err)
		}
		dst.n.observe(r.Attr)
		total += r.N
		return r.N, nil
	})
	if total > 0 {
		h.accessed()
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
