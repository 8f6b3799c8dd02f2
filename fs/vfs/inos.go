package vfs

import (
	"context"
	"errors"
	"fmt"

	"dfs/fs"
)

// inoRange is how many inode numbers are asked for at once.
const inoRange = 1024

// newIno returns an inode number that nobody uses.
func (f *FS) newIno(ctx context.Context) (fs.Ino, error) {
	select {
	case f.inoTurn <- struct{}{}:
		defer func() { <-f.inoTurn }()
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, f.cfg.OpTimeout)
	defer cancel()
	for {
		r, err := f.sessions.wait(ctx)
		if err != nil {
			return 0, err
		}
		if ino, ok := r.takeIno(); ok {
			return ino, nil
		}
		more, err := f.meta.AllocInos(ctx, r.Session, inoRange)
		if errors.Is(err, fs.ErrFenced) {
			f.fenced(r)
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("get inode numbers: %w", err)
		}
		r.addInos(more)
	}
}
