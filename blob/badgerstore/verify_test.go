package badgerstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"dfs/blob"
	"dfs/fs"
)

// flipIndex flips a bit in the middle of the index records in each table that has some, and returns how to flip it back.
func flipIndex(t *testing.T, dir string) (mend func()) {
	t.Helper()
	mends := []func(){}
	for _, path := range files(t, dir, ".sst") {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		first := bytes.Index(data, keyOf(indexPrefix, fs.BlobID{Session: 1, Counter: 1})[:9])
		if first < 0 {
			continue
		}
		flip(t, path, int64(first+60), data[first+60])
		mends = append(mends, func() { flip(t, path, int64(first+60), data[first+60]^4) })
	}
	if len(mends) == 0 {
		t.Fatal("no table has an index")
	}
	return func() {
		for _, m := range mends {
			m()
		}
	}
}

// flushed is a store whose index lies in tables.
func flushed(t *testing.T, cfg Config) (*Store, []*blob.Blob) {
	t.Helper()
	s := openStore(t, cfg)
	blobs := fill(t, s, 1, 400, 2000)
	if err := s.submit(t.Context(), &job{alone: s.flush}); err != nil {
		t.Fatal(err)
	}
	return s, blobs
}

// Badger makes nothing of a damaged block of the index: the blobs in it and behind it are gone, in silence, and the next
// compaction and the next sweep make that true. The test mends the damage afterwards, to see what has been thrown away.
func TestFlippedBitInTheIndex_StopsTheStoreBeforeAnythingIsThrownAway(t *testing.T) {
	for name, act := range map[string]func(*Store) error{
		"list":    func(s *Store) error { _, err := s.List(t.Context(), fs.BlobID{}, 4096); return err },
		"reclaim": func(s *Store) error { return s.Reclaim(t.Context()) },
		"sweep":   func(s *Store) error { return s.sweep(t.Context()) },
		"flush":   func(s *Store) error { return s.submit(t.Context(), &job{alone: s.flush}) },
		"guard":   func(s *Store) error { return s.guard(t.Context()) },
		"compaction": func(s *Store) error {
			fillLevelZero(t, s, levelZeroMax+1)
			return s.Commit(t.Context(), []fs.BlobID{{Session: 9, Counter: 1}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig(t, t.TempDir())
			s, blobs := flushed(t, cfg)
			mend := flipIndex(t, cfg.Dir)
			if err := act(s); !errors.Is(err, fs.ErrCorrupt) || !errors.Is(err, fs.ErrUnavailable) {
				t.Errorf("%v", err)
			}
			select {
			case <-s.Failed():
			default:
				t.Error("the store goes on")
			}
			info := blobs[0].Info(nil)
			if _, err := s.Get(t.Context(), &info, 0, 1); errors.Is(err, fs.ErrNotExist) {
				t.Errorf("a store that has failed is sure that it has no such blob: %v", err)
			}
			closeStore(t, s)
			if _, err := Open(t.Context(), cfg); !errors.Is(err, fs.ErrCorrupt) || !strings.Contains(err.Error(), "remove the directory "+cfg.Dir) {
				t.Errorf("open: %v", err)
			}
			mend()
			s = openStore(t, cfg)
			checkAll(t, s, blobs, 2000, all)
		})
	}
}

// fillLevelZero writes values that nobody needs until level 0 has had so many tables, or the store has stopped.
func fillLevelZero(t *testing.T, s *Store, tables int) {
	t.Helper()
	value := bytes.Repeat([]byte{1}, valueThreshold-100)
	for n := uint64(0); n < uint64(tables)*memTableBytes/uint64(len(value)) && s.failure.get() == nil; {
		err := s.submit(t.Context(), &job{ops: 1000, apply: func(b *batch) error {
			for range 1000 {
				b.set(binary.BigEndian.AppendUint64([]byte{highPrefix}, n), value)
				n++
			}
			return nil
		}})
		if err != nil && s.failure.get() == nil {
			t.Fatal(err)
		}
	}
}

// Nobody else compacts, and nothing may wait for it.
func TestCompact_KeepsLevelZeroSmall(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	s, blobs := flushed(t, cfg)
	fillLevelZero(t, s, 2*levelZeroMax)
	if err := s.Commit(t.Context(), []fs.BlobID{blobs[0].ID}); err != nil { // the writer has been round once more
		t.Fatal(err)
	}
	// One more may come from each of the memtables meanwhile.
	if l := s.db.Levels(); l[0].NumTables > levelZeroMax+2 {
		t.Errorf("%d tables in level 0", l[0].NumTables)
	}
	checkAll(t, s, blobs, 2000, all)
}

func TestSweep_DeletesNothingWhenTheIndexLacksARecord(t *testing.T) {
	s := openStore(t, testConfig(t, t.TempDir()))
	blobs := fill(t, s, 1, 3, 5000)
	lost := keyOf(indexPrefix, blobs[1].ID)
	err := s.submit(t.Context(), &job{alone: func() error {
		return s.db.Update(func(txn *badger.Txn) error { return txn.Delete(lost) })
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.sweep(t.Context()); !errors.Is(err, fs.ErrCorrupt) {
		t.Errorf("sweep: %v", err)
	}
	if left, err := s.strays(t.Context()); err != nil || len(left) != 1 {
		t.Errorf("values without a record: %v, %v; the one must be kept", left, err)
	}
	if err := s.Commit(t.Context(), []fs.BlobID{blobs[0].ID}); !errors.Is(err, fs.ErrUnavailable) {
		t.Errorf("commit: %v", err)
	}
}

// What the message of a store that refuses to open says must lead back to a store that works.
func TestRemovedDirectory_BeginsEmpty(t *testing.T) {
	cfg := testConfig(t, filepath.Join(t.TempDir(), "blobs"))
	s, _ := flushed(t, cfg)
	closeStore(t, s)
	flipIndex(t, cfg.Dir)
	if _, err := Open(t.Context(), cfg); !errors.Is(err, fs.ErrCorrupt) {
		t.Fatalf("open: %v", err)
	}
	if err := os.RemoveAll(cfg.Dir); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, cfg)
	if list, err := s.List(t.Context(), fs.BlobID{}, 10); err != nil || len(list) != 0 {
		t.Errorf("list: %v, %v", list, err)
	}
	fill(t, s, 1, 3, 2000)
}
