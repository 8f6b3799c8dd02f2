package badgerstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"dfs/blob"
	"dfs/fs"
)

// Get implements blob.Store. It checks what it returns: the header, the root against info, and the chunks read.
func (s *Store) Get(ctx context.Context, info *fs.BlobInfo, off, n uint32) (*blob.Range, error) {
	if err := blob.CheckRange(info, off, n); err != nil {
		return nil, fmt.Errorf("get: %w", err)
	}
	leave, err := s.read(ctx)
	if err != nil {
		return nil, fmt.Errorf("get blob %s: %w", info.ID, err)
	}
	defer leave()
	r, err := s.get(info, off, n)
	if err != nil {
		return nil, fmt.Errorf("get blob %s: %w", info.ID, err)
	}
	return r, nil
}

// getTries: a value-log file may be reclaimed between the look-up of a value and its reading, and Badger then answers
// with nothing, as it does for a damaged value. A fresh look-up finds where the value has been moved to.
const getTries = 4

func (s *Store) get(info *fs.BlobInfo, off, n uint32) (r *blob.Range, err error) {
	for range getTries {
		err = s.db.View(func(txn *badger.Txn) error {
			r, err = s.getIn(txn, info, off, n)
			return err
		})
		if !errors.Is(err, errNoValue) {
			break
		}
	}
	return r, err
}

// errNoValue: the index has the blob and Badger has no bytes for it.
var errNoValue = fmt.Errorf("the store has lost its bytes: %w", fs.ErrCorrupt)

func (s *Store) getIn(txn *badger.Txn, info *fs.BlobInfo, off, n uint32) (r *blob.Range, err error) {
	if _, ok, err := index(txn, info.ID); err != nil {
		return nil, err
	} else if !ok {
		if err := s.failure.get(); err != nil {
			return nil, err // perhaps it is the index that has failed
		}
		return nil, fs.ErrNotExist
	}
	item, err := txn.Get(keyOf(valuePrefix, info.ID))
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, errNoValue
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, fs.ErrCorrupt)
	}
	if err := s.cfg.Faults.At("get.found"); err != nil {
		return nil, err
	}
	err = s.value(item, func(v []byte) error {
		if len(v) == 0 {
			return errNoValue
		}
		r, err = rangeOf(v, info, off, n)
		return err
	})
	return r, err
}

// rangeOf copies the range out of Badger's memory and checks the copy.
func rangeOf(v []byte, info *fs.BlobInfo, off, n uint32) (*blob.Range, error) {
	sums, data, err := parseValue(info.ID, v)
	if err != nil {
		return nil, err
	}
	if uint32(len(data)) != info.Length {
		return nil, fmt.Errorf("it has %d bytes, not %d: %w", len(data), info.Length, fs.ErrCorrupt)
	}
	from, to := blob.Cover(info.Length, off, n)
	r := &blob.Range{Off: from, Data: append([]byte(nil), data[from:to]...), Sums: sums}
	if _, err := r.Verify(info, off, n); err != nil {
		return nil, err
	}
	return r, nil
}
