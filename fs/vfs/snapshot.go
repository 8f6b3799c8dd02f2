package vfs

import (
	"context"
	"errors"
	"fmt"

	"dfs/fs"
)

// Snapshot is the content of a regular file at one Version. What is done to the file meanwhile does not show in it: blobs
// are immutable, and those of a replaced content are kept for the cluster's garbage grace. When that is over, or when more
// of a file's layout is needed than was asked for before it changed, reads fail with ErrConflict; they never mix. A blob
// that no node has, although the file has not changed, is ErrCorrupt. It is for one goroutine at a time; Release is called
// once, last.
type Snapshot struct {
	f      *FS
	n      *inode
	attr   fs.Attr
	until  uint64
	layout layout
	ahead  reader
}

// Snapshot opens the content that a regular file has now, whatever this mount has written to it included.
func (f *FS) Snapshot(ctx context.Context, ino fs.Ino) (*Snapshot, error) {
	n, a, err := f.hold(ctx, ino)
	if err == nil {
		if err = openable(a); err == nil && n.isUnflushed() {
			if err = n.flushed(ctx, f); err == nil {
				a, err = f.refresh(ctx, n)
			}
		}
		if err != nil {
			f.unhold(n)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open inode %d: %w", ino, err)
	}
	return &Snapshot{f: f, n: n, attr: a, until: a.Size}, nil
}

// Attr is the file's as of the snapshot.
func (s *Snapshot) Attr() fs.Attr { return s.attr }

// Until tells that nothing from end on will be read.
func (s *Snapshot) Until(end uint64) { s.until = min(end, s.attr.Size) }

// Release gives the snapshot up.
func (s *Snapshot) Release() { s.f.unhold(s.n) }

// Read fills p from off on, up to the end of file, and returns how much.
func (s *Snapshot) Read(ctx context.Context, p []byte, off uint64) (int, error) {
	if off >= s.until {
		return 0, nil
	}
	p = p[:min(uint64(len(p)), s.until-off)]
	ctx, cancel := context.WithTimeout(ctx, s.f.cfg.OpTimeout)
	defer cancel()
	for try := 1; ; try++ {
		err := s.read(ctx, p, off)
		if err == nil {
			s.readAhead(off, uint64(len(p)))
			return len(p), nil
		}
		if !vanished(err) || try == readTries || ctx.Err() != nil {
			switch {
			case errors.Is(err, context.DeadlineExceeded):
				err = unavailable(err)
			case errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrStale):
				err = fmt.Errorf("%v: %w", err, fs.ErrCorrupt) // the file is at that Version still, and nobody has the blob
			}
			return 0, fmt.Errorf("read inode %d at %d: %w", s.n.ino, off, err)
		}
		s.layout = layout{} // the blob may lie on other nodes now
	}
}

func (s *Snapshot) read(ctx context.Context, p []byte, off uint64) error {
	want := span{off, off + uint64(len(p))}
	for {
		from, ok := s.layout.covers(s.attr.Version, want)
		if ok {
			clear(p)
			return s.f.fill(ctx, p, off, s.layout.pieces(want))
		}
		if err := s.learn(ctx, from); err != nil {
			return err
		}
	}
}

// learn asks for the layout from an offset on. That it is of the snapshot's Version is what keeps contents from mixing.
func (s *Snapshot) learn(ctx context.Context, from uint64) error {
	lay, err := reading(ctx, s.f, func(ctx context.Context) (*fs.Layout, error) {
		return s.f.meta.Layout(ctx, s.n.ino, from, s.until-from)
	})
	if err != nil {
		return fmt.Errorf("layout: %w", gone(err))
	}
	if lay.Attr.Version != s.attr.Version {
		return fmt.Errorf("the file has changed: %w", fs.ErrConflict)
	}
	to := lay.More
	if to == 0 {
		to = s.until
	}
	if to <= from {
		return fmt.Errorf("the layout from %d on ends at %d: %w", from, to, fs.ErrInternal)
	}
	s.layout.add(span{from, to}, lay)
	return nil
}

// readAhead has what a sequential reader wants next fetched, as far as the layout is known, and waits for nothing.
func (s *Snapshot) readAhead(off, n uint64) {
	if s.f.cfg.ReadAhead <= 0 {
		return
	}
	next := s.ahead.advance(off, n, uint64(s.f.cfg.ReadAhead))
	next.to = min(next.to, s.until)
	if next.from >= next.to {
		return
	}
	if _, ok := s.layout.covers(s.attr.Version, next); ok {
		s.f.prefetch(s.layout.pieces(next))
	}
}
