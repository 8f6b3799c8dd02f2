package badgerstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	iofs "io/fs"
	"os"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"

	"dfs/fs"
)

// Badger rewrites a value-log file record by record, takes a damaged one for the end, and deletes the file: one flipped
// bit costs every blob behind it. So the file whose turn is next is read before Badger gets it, and if it is damaged,
// the blobs in it are written anew first. Then nothing in it is needed any more, but for what is damaged itself, which
// stays in the index and is answered with ErrCorrupt until it is staged again. It also drops every value that it does not
// find in the tree: the tables are verified first.
func (s *Store) guard(ctx context.Context) error {
	if err := s.verify(); err != nil {
		return err
	}
	path, err := s.nextToCollect()
	if err != nil || path == "" {
		return err
	}
	at, err := firstBad(path)
	if err != nil || at < 0 {
		return err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read damaged value-log file: %w", err)
	}
	ids := blobsIn(data)
	s.cfg.Logger.Error("a value-log file is damaged; saving its blobs", "file", filepath.Base(path), "at", at, "blobs", len(ids))
	for _, id := range ids {
		if err := s.rescue(ctx, id); err != nil {
			return fmt.Errorf("rescue blob %s: %w", id, err)
		}
	}
	return nil
}

// rescue writes a blob's value anew if it is sound and wanted.
func (s *Store) rescue(ctx context.Context, id fs.BlobID) error {
	return s.submit(ctx, &job{bytes: valueMax, ops: 1, apply: func(b *batch) error {
		r, ok, err := b.index(id)
		if err != nil || !ok {
			return err
		}
		value, err := s.soundValue(b.txn, id, r)
		if errors.Is(err, fs.ErrCorrupt) {
			s.cfg.Logger.Error("a blob is damaged on the disk", "blob", id.String(), "err", err)
			return nil
		}
		if err == nil {
			b.set(keyOf(valuePrefix, id), value)
		}
		return err
	}})
}

// soundValue is a copy of a blob's value, with everything in it checked.
func (s *Store) soundValue(txn *badger.Txn, id fs.BlobID, r record) (value []byte, err error) {
	item, err := txn.Get(keyOf(valuePrefix, id))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, fs.ErrCorrupt)
	}
	err = s.value(item, func(v []byte) error {
		value = append([]byte(nil), v...)
		info := &fs.BlobInfo{ID: id, Length: r.length, Sum: r.sum}
		_, err := rangeOf(value, info, 0, r.length)
		return err
	})
	return value, err
}

// nextToCollect is the file that Badger will rewrite next: the one with the most garbage by its counts, which it keeps
// in the file DISCARD as pairs of 64-bit numbers, big endian: file, bytes. Empty: there is none.
func (s *Store) nextToCollect() (string, error) {
	counts, err := os.ReadFile(filepath.Join(s.space.dir, discardFile))
	if err != nil {
		return "", fmt.Errorf("read discard counts: %w", err)
	}
	var most uint64
	var next string
	for ; len(counts) >= 16; counts = counts[16:] {
		file, garbage := binary.BigEndian.Uint64(counts), binary.BigEndian.Uint64(counts[8:])
		if file == 0 {
			break
		}
		path := filepath.Join(s.space.dir, fmt.Sprintf("%06d.vlog", file))
		if _, err := os.Lstat(path); errors.Is(err, iofs.ErrNotExist) {
			continue // collected already
		}
		if garbage > most {
			most, next = garbage, path
		}
	}
	if active, err := s.activeFile(); err != nil || filepath.Base(next) == active {
		return "", err
	}
	return next, nil
}
