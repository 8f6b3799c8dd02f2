package vfs

import (
	"context"
	"errors"
	"fmt"

	"dfs/fs"
)

// Allocate is fallocate(2); Ino and Time of op are set here.
func (h *Handle) Allocate(ctx context.Context, op fs.Allocate) error {
	if err := h.canWrite(); err != nil {
		return err
	}
	off, length := op.Off, op.Len
	if length == 0 || op.Mode > fs.AllocateZero {
		return fmt.Errorf("allocate %d bytes, mode %d: %w", length, op.Mode, fs.ErrInvalid)
	}
	if off > fs.SizeMax || length > fs.SizeMax-off {
		return fmt.Errorf("allocate up to %d: %w", off+length, fs.ErrFileTooBig)
	}
	if op.Mode == fs.AllocatePlain && op.KeepSize && !op.KillPriv {
		return nil // space is not tied to a file
	}
	n := h.n
	ctx, cancel := context.WithTimeout(ctx, h.f.cfg.OpTimeout)
	defer cancel()
	done, _, err := h.f.claim(ctx, []fs.Ino{n.ino}, nil)
	if err != nil {
		return gone(err)
	}
	defer done()
	if err := n.lock(ctx); err != nil {
		return err
	}
	defer n.unlock()
	if err := n.drained(ctx, h.f); err != nil {
		return err
	}
	op.Ino, op.Time = n.ino, h.f.now()
	return inSteps(length, func(done, step uint64) (uint64, error) {
		op.Off, op.Len = off+done, step
		r, err := h.f.do1Claimed(ctx, &op)
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
