package vfs

import (
	"context"
	"errors"
	"fmt"

	"dfs/fs"
)

// Allocate is fallocate(2).
func (h *Handle) Allocate(ctx context.Context, mode fs.AllocateMode, off, length uint64, keepSize bool) error {
	if err := h.canWrite(); err != nil {
		return err
	}
	if length == 0 || mode > fs.AllocateZero {
		return fmt.Errorf("allocate %d bytes, mode %d: %w", length, mode, fs.ErrInvalid)
	}
	if off > fs.SizeMax || length > fs.SizeMax-off {
		return fmt.Errorf("allocate up to %d: %w", off+length, fs.ErrFileTooBig)
	}
	if mode == fs.AllocatePlain && keepSize {
		return nil // space is not tied to a file
	}
	n := h.n
	ctx, cancel := context.WithTimeout(ctx, h.f.cfg.OpTimeout)
	defer cancel()
	if err := n.lock(ctx); err != nil {
		return err
	}
	defer n.unlock()
	if err := n.drained(ctx, h.f); err != nil {
		return err
	}
	op := fs.Allocate{Ino: n.ino, Mode: mode, KeepSize: keepSize, Time: h.f.now()}
	return inSteps(length, func(done, step uint64) (uint64, error) {
		op.Off, op.Len = off+done, step
		r, err := h.f.do1(ctx, &op)
		if err != nil {
			return 0, gone(err)
		}
		n.observe(r.Attr)
		return step, nil
	})
}

// inSteps does length bytes of work, in smaller and smaller steps where one touches too many extents. do returns how
// much it did; less than its step ends the work early.
func inSteps(length uint64, do func(done, step uint64) (uint64, error)) error {
	step := length
	for done := uint64(0); done < length; {
		step = min(step, length-done)
		k, err := do(done, step)
		switch {
		case errors.Is(err, fs.ErrTooManyExtents) && step > 1:
			step = (step + 1) / 2
		case err != nil:
			return err
		case k < step:
			return nil
		default:
			done += k
		}
	}
	return nil
}
