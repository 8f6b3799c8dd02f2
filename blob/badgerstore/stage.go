package badgerstore

import (
	"context"
	"fmt"
	"slices"

	"github.com/dgraph-io/badger/v4"

	"dfs/blob"
	"dfs/fs"
)

// Stage implements blob.Store: nil is a yes vote, given when the bytes have been synced.
func (s *Store) Stage(ctx context.Context, tx blob.Tx, b *blob.Blob) ([]fs.NodeID, error) {
	if err := s.stage(ctx, tx, b); err != nil {
		return nil, fmt.Errorf("stage blob %s: %w", b.ID, err)
	}
	return []fs.NodeID{s.cfg.NodeID}, nil
}

func (s *Store) stage(ctx context.Context, tx blob.Tx, b *blob.Blob) error {
	if err := b.Check(); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := s.cfg.Faults.At("stage.before"); err != nil {
		return err
	}
	n := headerLen(len(b.Sums)) + len(b.Data)
	if err := s.staging.Acquire(ctx, int64(n)); err != nil {
		return context.Cause(ctx)
	}
	if err := s.space.admit(n); err != nil {
		s.staging.Release(int64(n))
		return err
	}
	return s.submitValue(ctx, tx, b, n)
}

// submitValue hands a copy of b to the writer: the caller may end its wait, and then its bytes are its own again, while
// the writer is still at work. The copy, the space and the memory are given back when the job is finished.
func (s *Store) submitValue(ctx context.Context, tx blob.Tx, b *blob.Blob, n int) error {
	buf, _ := s.buffers.Get().(*[]byte) // the pool holds nothing else
	put := &put{id: b.ID, tx: tx, value: appendValue((*buf)[:0], b),
		rec: record{length: uint32(len(b.Data)), sum: b.Sums.Root(), staged: true, tx: tx}}
	return s.submit(ctx, &job{
		bytes: n, ops: 2,
		apply: func(b *batch) error { return s.put(b, put) },
		finish: func(err error) {
			s.space.settle(n, err == nil && put.wrote)
			s.buffers.Put(buf)
			s.staging.Release(int64(n))
		},
	})
}

// put is a blob on its way into a batch.
type put struct {
	id    fs.BlobID
	tx    blob.Tx
	rec   record
	value []byte
	wrote bool
}

// put runs in the writer.
func (s *Store) put(b *batch, p *put) error {
	if s.cfg.Fence != nil && s.cfg.Fence(p.tx.Epoch, p.tx.ID.Session) {
		return fmt.Errorf("epoch %d: %w", p.tx.Epoch, fs.ErrFenced)
	}
	old, ok, err := b.index(p.id)
	if err != nil {
		return err
	}
	if ok {
		return s.putAgain(b, p, old)
	}
	b.set(keyOf(valuePrefix, p.id), p.value)
	b.set(keyOf(indexPrefix, p.id), p.rec.encode())
	b.tally.add(tally{blobs: 1, staged: 1, bytes: int64(p.rec.length)})
	p.wrote = true
	return nil
}

// putAgain: the blob is here already. A yes vote counts on the copy on the disk, so that one is read, and replaced if
// it is not sound.
func (s *Store) putAgain(b *batch, p *put, old record) error {
	if old.length != p.rec.length || old.sum != p.rec.sum {
		return fmt.Errorf("the store has it with %d bytes and checksum %08x, not %d and %08x: %w",
			old.length, old.sum, p.rec.length, p.rec.sum, fs.ErrInvalid)
	}
	if !s.sound(b.txn, p.id, p.value) {
		s.cfg.Logger.Warn("replacing a damaged blob", "blob", p.id.String())
		b.set(keyOf(valuePrefix, p.id), p.value)
		b.tally.add(tally{freed: int64(old.length)})
		p.wrote = true
	}
	if old.staged && p.tx.Succeeds(old.tx) && p.tx != old.tx {
		b.set(keyOf(indexPrefix, p.id), p.rec.encode())
	}
	return nil
}

// sound reports whether the store has exactly this value.
func (s *Store) sound(txn *badger.Txn, id fs.BlobID, value []byte) bool {
	item, err := txn.Get(keyOf(valuePrefix, id))
	if err != nil {
		return false
	}
	same := false
	err = s.value(item, func(v []byte) error {
		same = slices.Equal(v, value)
		return nil
	})
	return err == nil && same
}
