package badgerstore

import (
	"bytes"
	"context"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"dfs/fs"
)

// sweep deletes values without an index record. Badger makes them: rewriting a value-log file it may write a value
// back whose deletion it has seen and is about to forget, and the value rises from the dead. Nobody can reach it, since
// Get asks the index first, but it takes space. The blobs of a damaged table look the same: nothing is deleted unless
// the index is found whole after the strays were looked for.
func (s *Store) sweep(ctx context.Context) error {
	stray, err := s.strays(ctx)
	if err == nil && len(stray) > 0 {
		err = s.submit(ctx, &job{alone: s.whole})
	}
	if err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	err = change(ctx, s, stray, 1, func(b *batch, id fs.BlobID) error {
		_, ok, err := b.index(id) // it may have been staged anew meanwhile
		if err == nil && !ok {
			b.unset(keyOf(valuePrefix, id))
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("sweep %d values: %w", len(stray), err)
	}
	return nil
}

// straysMax bounds one sweep; the next one goes on.
const straysMax = 1 << 16

// strays walks the keys of values and of index records side by side. It may list a blob that is being staged; it
// misses none.
func (s *Store) strays(ctx context.Context) (stray []fs.BlobID, err error) {
	err = s.db.View(func(txn *badger.Txn) error {
		values := txn.NewIterator(keysOnly(valuePrefix))
		defer values.Close()
		records := txn.NewIterator(keysOnly(indexPrefix))
		defer records.Close()
		records.Rewind()
		for values.Rewind(); values.Valid() && len(stray) < straysMax; values.Next() {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			key := values.Item().Key()[1:]
			for records.Valid() && bytes.Compare(records.Item().Key()[1:], key) < 0 {
				records.Next()
			}
			if records.Valid() && bytes.Equal(records.Item().Key()[1:], key) {
				continue
			}
			id, err := idOf(values.Item().Key())
			if err != nil {
				return err
			}
			stray = append(stray, id)
		}
		return nil
	})
	return stray, err
}
