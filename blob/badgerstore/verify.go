package badgerstore

import (
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"dfs/fs"
	"dfs/fs/tables"
)

// Badger passes over a damaged block of a table in silence (see package tables): the blobs in it seem not to exist, their
// bytes look like garbage, and a compaction makes both true. So nothing is thrown away unless the index has been found
// whole after it was looked at: every table matches its checksums, and it has as many records as the writer has counted.
// An index that is not whole stops the store.

// verify checks every table. Damage does not go away by itself: what was read before from tables that pass now was sound,
// unless a compaction came between, and each of those is behind a check of its own.
func (s *Store) verify() error {
	if err := tables.Verify(s.db); err != nil {
		s.failure.set(fmt.Errorf("the index of the blobs is damaged: %w: %w", fs.ErrUnavailable, err))
		return s.failure.get()
	}
	return nil
}

// verifyCount compares the index with the writer's count; it runs in the writer, between batches.
func (s *Store) verifyCount() error {
	var records int64
	err := s.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(keysOnly(indexPrefix))
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			records++
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("count the index: %w", err)
	}
	if want := s.counts.blobs.Load(); records != want {
		s.failure.set(fmt.Errorf("the index has %d blobs, but %d are expected; a restart takes stock anew, and what is missing is "+
			"copied back from the other nodes: %w: %w", records, want, fs.ErrUnavailable, fs.ErrCorrupt))
		return s.failure.get()
	}
	return nil
}

// whole reports whether the index is; it runs in the writer.
func (s *Store) whole() error {
	if err := s.verify(); err != nil {
		return err
	}
	return s.verifyCount()
}

const (
	// levelZeroMax is how many tables may gather in level 0 before the writer merges them: about 20,000 blobs each.
	levelZeroMax = 5
	// levelZeroShare: no more often than when level 0 has this share of the rest, since all of it is read and written.
	levelZeroShare = 4
)

// compact merges level 0 into the rest of the tree when it has grown large. Badger's own compactors are switched off:
// they would drop what is behind a damaged block before anybody could look.
func (s *Store) compact() error {
	var rest int64
	levels := s.db.Levels()
	for _, l := range levels[1:] {
		rest += l.Size
	}
	if levels[0].NumTables < levelZeroMax || levels[0].Size < rest/levelZeroShare {
		return nil
	}
	if err := s.verify(); err != nil {
		return err
	}
	if err := s.db.Flatten(1); err != nil {
		s.failure.set(fmt.Errorf("compact: %w", err))
		return s.failure.get()
	}
	return s.verifyCount()
}
