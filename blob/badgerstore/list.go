package badgerstore

import (
	"context"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"dfs/blob"
	"dfs/fs"
)

// List implements blob.Store. It reads the index only. The last page of a listing is an error if the index is damaged:
// then entries may be missing from any of the pages.
func (s *Store) List(ctx context.Context, after fs.BlobID, limit int) ([]blob.Entry, error) {
	if err := blob.CheckLimit(limit); err != nil {
		return nil, err
	}
	leave, err := s.read(ctx)
	if err != nil {
		return nil, fmt.Errorf("list: %w", err)
	}
	defer leave()
	var list []blob.Entry
	err = s.scan(ctx, after, func(id fs.BlobID, r record) bool {
		list = append(list, r.entry(id))
		return len(list) < limit
	})
	if err == nil && len(list) < limit { // the end, or a damaged block
		err = s.verify()
	}
	if err != nil {
		return nil, fmt.Errorf("list: %w", err)
	}
	return list, nil
}

// scan calls visit for each record above after, until it returns false.
func (s *Store) scan(ctx context.Context, after fs.BlobID, visit func(fs.BlobID, record) bool) error {
	return s.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(keysOnly(indexPrefix))
		defer it.Close()
		start := append(keyOf(indexPrefix, after), 0) // the first key behind after's
		if after.IsZero() {
			start = []byte{indexPrefix}
		}
		for it.Seek(start); it.Valid(); it.Next() {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			id, r, err := recordAt(it.Item())
			if err != nil {
				return err
			}
			if !visit(id, r) {
				return nil
			}
		}
		return nil
	})
}

func keysOnly(prefix byte) badger.IteratorOptions {
	return badger.IteratorOptions{Prefix: []byte{prefix}}
}

func recordAt(item *badger.Item) (id fs.BlobID, r record, err error) {
	if id, err = idOf(item.Key()); err != nil {
		return id, r, err
	}
	err = item.Value(func(v []byte) error {
		r, err = decodeRecord(v)
		return err
	})
	if err != nil {
		return id, r, fmt.Errorf("index of blob %s: %w", id, err)
	}
	return id, r, nil
}

// Usage implements blob.Store.
func (s *Store) Usage(ctx context.Context) (blob.Usage, error) {
	leave, err := s.read(ctx)
	if err != nil {
		return blob.Usage{}, fmt.Errorf("usage: %w", err)
	}
	defer leave()
	r, err := s.space.room()
	if err != nil {
		return blob.Usage{}, fmt.Errorf("usage: %w", err)
	}
	return blob.Usage{
		TotalBytes: r.total, FreeBytes: r.free, UsedBytes: r.used,
		Blobs: uint64(s.counts.blobs.Load()), Staged: uint64(s.counts.staged.Load()),
		ReadOnly: r.readOnly || s.failure.get() != nil,
	}, nil
}
