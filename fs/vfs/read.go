package vfs

import (
	"context"
	"errors"
	"fmt"

	"dfs/blob"
	"dfs/fs"
)

// readTries is how often a read asks for the layout anew when a blob has vanished: another mount has replaced the data,
// or the blob lies on other nodes now.
const readTries = 3

// read fills p from off on, up to the end of file; it returns how much.
func (n *inode) read(ctx context.Context, f *FS, p []byte, off uint64) (int, error) {
	for try := 1; ; try++ {
		k, err := n.readOnce(ctx, f, p, off)
		if !vanished(err) || try == readTries || ctx.Err() != nil {
			return k, gone(err)
		}
		n.forgetLayout()
	}
}

// vanished reports whether bytes may be elsewhere than the layout says. A storage node that looks at claims gives nothing of
// what the file does not map any more.
func vanished(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrUnavailable) || errors.Is(err, fs.ErrAccess)
}

func (n *inode) readOnce(ctx context.Context, f *FS, p []byte, off uint64) (int, error) {
	for {
		plan := n.plan(p, off)
		if plan.unknown == (span{}) {
			return plan.size, f.fill(ctx, p, off, plan.pieces)
		}
		if err := n.learn(ctx, f, plan.unknown); err != nil {
			return 0, err
		}
	}
}

// plan is what a read has to do still: dirty and flying bytes and zeros are in place already.
type plan struct {
	size    int     // bytes up to the end of file
	pieces  []piece // to be copied from the metadata or from blobs
	unknown span    // the layout of this must be asked for first
}

// plan looks at one moment of the inode: dirty over flying, the newest first, over the layout, over zeros.
func (n *inode) plan(p []byte, off uint64) plan {
	n.mu.Lock()
	defer n.mu.Unlock()
	size := n.size()
	if off >= size || len(p) == 0 {
		return plan{}
	}
	p = p[:min(uint64(len(p)), size-off)]
	left := n.dirty.overlay(p, off, []span{{off, off + uint64(len(p))}})
	for i := len(n.flights) - 1; i >= 0; i-- {
		left = n.flights[i].segs.overlay(p, off, left)
	}
	pl := plan{size: len(p)}
	for _, s := range left {
		clear(p[s.from-off : s.to-off])
		if s.from >= n.attr.Size {
			continue // behind the leader's end of file nothing is mapped
		}
		s.to = min(s.to, n.attr.Size)
		if from, ok := n.layout.covers(n.attr.Version, s); !ok {
			return plan{unknown: span{from, s.to}}
		}
		pl.pieces = append(pl.pieces, n.layout.pieces(s)...)
	}
	return pl
}

// fill copies pieces to their places; blobs are fetched side by side.
func (f *FS) fill(ctx context.Context, p []byte, off uint64, pieces []piece) error {
	fetching := make([][]*chunk, len(pieces))
	for i := range pieces {
		e := &pieces[i]
		if e.Inline() {
			copy(p[e.Off-off:], e.Data)
			continue
		}
		if e.BlobOff+e.Len > uint64(e.blob.Length) {
			return fmt.Errorf("extent at %d reaches beyond blob %s: %w", e.Off, e.Blob, fs.ErrCorrupt)
		}
		fetching[i] = f.startPiece(e)
	}
	for i, list := range fetching {
		for _, ch := range list {
			if err := copyChunk(ctx, p, off, &pieces[i].Extent, ch); err != nil {
				return err
			}
		}
	}
	return nil
}

// startPiece has what a piece maps of a blob fetched.
func (f *FS) startPiece(p *piece) []*chunk {
	if r := f.sessions.get(); r != nil && r.Claims {
		return f.chunks.startClaimed(p, blob.Claim{Session: r.ID, Epoch: r.Epoch, Ino: p.ino, Index: p.index})
	}
	return f.chunks.start(&p.blob, uint32(p.BlobOff), uint32(p.Len))
}

// copyChunk copies what e maps of a chunk.
func copyChunk(ctx context.Context, p []byte, off uint64, e *fs.Extent, ch *chunk) error {
	data, err := ch.await(ctx)
	if err != nil {
		return err
	}
	start := uint64(ch.key.from)
	from, to := max(e.BlobOff, start), min(e.BlobOff+e.Len, start+uint64(len(data)))
	if from < to {
		at := e.Off + (from - e.BlobOff) - off
		copy(p[at:at+to-from], data[from-start:to-start])
	}
	return nil
}

// gone is err as an open file gives it: an inode that is no more is a stale handle.
func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", fs.ErrStale, err)
	}
	return err
}
