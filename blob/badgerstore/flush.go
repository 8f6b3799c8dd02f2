package badgerstore

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/dgraph-io/badger/v4"
)

// flush makes Badger notice what has been deleted. Badger counts the garbage in a value-log file only when a compaction
// drops the record that pointed into it, and with records as small and few as ours its memtables fill, and compactions
// happen, almost never. There is no call for either; but dropping a prefix does both. So a key below all others and
// one above are written and dropped again: the memtable goes to the tree's level 0, and level 0, which now spans all
// keys, is merged with everything below it.
//
// It runs in the writer, between batches: Badger refuses writes meanwhile. What a compaction could not read it drops, so
// the tables are verified before, and the index is counted after.
func (s *Store) flush() error {
	if err := s.verify(); err != nil {
		return err
	}
	err := s.db.Update(func(txn *badger.Txn) error {
		if err := txn.Set([]byte{lowPrefix}, nil); err != nil {
			return err
		}
		return txn.Set([]byte{highPrefix}, nil)
	})
	if err == nil {
		err = s.db.DropPrefix([]byte{lowPrefix}, []byte{highPrefix})
	}
	if err == nil {
		err = s.db.Flatten(1) // a large tree has middle levels too
	}
	if err == nil {
		err = s.failure.get()
	}
	if err != nil {
		s.failure.set(err)
		return err
	}
	if err := s.verifyCount(); err != nil {
		return err
	}
	return s.syncDiscards()
}

const discardFile = "DISCARD"

// syncDiscards makes Badger's counts of garbage durable, which it leaves to the kernel: counts lost in a power cut
// never come back, and the space with them.
func (s *Store) syncDiscards() error {
	f, err := os.OpenFile(filepath.Join(s.space.dir, discardFile), os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("sync discard counts: %w", err)
	}
	err = f.Sync()
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("sync discard counts: %w", err)
	}
	return nil
}

// stuck reports whether there is more garbage left than files just below garbageShare can hold. Badger looks only at
// the file with the most garbage; when that is the active one, which it cannot rewrite, it never comes to the others.
func (s *Store) stuck() bool {
	return s.garbage() > s.counts.bytes.Load()+2*s.cfg.ValueLogFileBytes
}

// rotate makes Badger begin a new value-log file, by filling the active one with garbage up to its end. The reserve
// has room for it.
func (s *Store) rotate(ctx context.Context) error {
	return s.submit(ctx, &job{alone: func() error {
		active, err := s.activeFile()
		if err != nil {
			return err
		}
		filler := make([]byte, 4<<20)
		for written := int64(0); written <= s.cfg.ValueLogFileBytes; written += int64(len(filler)) {
			err := s.db.Update(func(txn *badger.Txn) error { return txn.Set([]byte{highPrefix}, filler) })
			if err != nil {
				s.failure.set(err)
				return fmt.Errorf("rotate: %w", err)
			}
			if now, err := s.activeFile(); err != nil || now != active {
				return err
			}
		}
		return nil
	}})
}

// activeFile is the name of the newest value-log file. Names have at least six digits, so the longest of those with
// the most digits that sorts last is the newest.
func (s *Store) activeFile() (string, error) {
	list, err := os.ReadDir(s.space.dir)
	if err != nil {
		return "", fmt.Errorf("find the active file: %w", err)
	}
	newest := ""
	for _, e := range list {
		if n := e.Name(); strings.HasSuffix(n, ".vlog") && (len(n) > len(newest) || len(n) == len(newest) && n > newest) {
			newest = n
		}
	}
	return newest, nil
}
