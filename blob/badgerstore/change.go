package badgerstore

import (
	"context"
	"fmt"
	"slices"

	"dfs/blob"
	"dfs/fs"
)

// Commit implements blob.Store.
func (s *Store) Commit(ctx context.Context, ids []fs.BlobID) error {
	if err := change(ctx, s, ids, 1, s.makeLive); err != nil {
		return fmt.Errorf("commit %d blobs: %w", len(ids), err)
	}
	return nil
}

// Drop implements blob.Store.
func (s *Store) Drop(ctx context.Context, staged []blob.Staged) error {
	err := change(ctx, s, staged, 2, func(b *batch, d blob.Staged) error {
		r, ok, err := b.index(d.ID)
		if err == nil && ok && r.staged && r.tx.ID == d.Tx {
			remove(b, d.ID, r)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("drop %d blobs: %w", len(staged), err)
	}
	return nil
}

// Delete implements blob.Store. It takes nothing of the space that puts share: the reserve has room for it.
func (s *Store) Delete(ctx context.Context, ids []fs.BlobID) error {
	err := change(ctx, s, ids, 2, func(b *batch, id fs.BlobID) error {
		r, ok, err := b.index(id)
		if err == nil && ok {
			remove(b, id, r)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("delete %d blobs: %w", len(ids), err)
	}
	return nil
}

func (s *Store) makeLive(b *batch, id fs.BlobID) error {
	r, ok, err := b.index(id)
	if err != nil || !ok || !r.staged {
		return err
	}
	r.staged, r.tx = false, blob.Tx{}
	b.set(keyOf(indexPrefix, id), r.encode())
	b.tally.add(tally{staged: -1})
	return nil
}

// remove takes a blob out of the batch's state.
func remove(b *batch, id fs.BlobID, r record) {
	b.unset(keyOf(indexPrefix, id))
	b.unset(keyOf(valuePrefix, id))
	t := tally{blobs: -1, bytes: -int64(r.length), freed: int64(r.length)}
	if r.staged {
		t.staged = -1
	}
	b.tally.add(t)
}

// change applies one to each item, a job for every jobIDs of them. Stopped in the middle it has done a part, which is
// as good: all changes may be repeated.
func change[T any](ctx context.Context, s *Store, items []T, opsEach int, one func(*batch, T) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	for part := range slices.Chunk(items, jobIDs) {
		part = slices.Clone(part) // the job may outlive the caller's wait
		err := s.submit(ctx, &job{ops: opsEach * len(part), apply: func(b *batch) error {
			for _, item := range part {
				if err := one(b, item); err != nil {
					return err
				}
			}
			return nil
		}})
		if err != nil {
			return err
		}
	}
	return nil
}
