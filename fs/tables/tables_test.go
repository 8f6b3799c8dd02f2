package tables

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"dfs/fs"
)

func open(t *testing.T, dir string) *badger.DB {
	t.Helper()
	db, err := badger.Open(badger.DefaultOptions(dir).WithLogger(nil).WithCompression(options.None).
		WithBlockCacheSize(0).WithChecksumVerificationMode(options.OnBlockRead))
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// filled is a closed database with one table of many blocks.
func filled(t *testing.T) (dir, path string, content []byte) {
	t.Helper()
	dir = t.TempDir()
	db := open(t, dir)
	err := db.Update(func(txn *badger.Txn) error {
		for i := range 500 {
			if err := txn.Set(fmt.Appendf(nil, "key-%04d", i), bytes.Repeat([]byte{byte(i)}, 60)); err != nil {
				return err
			}
		}
		return nil
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	list, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil || len(list) != 1 {
		t.Fatalf("tables %v, %v", list, err)
	}
	content, err = os.ReadFile(list[0])
	if err != nil {
		t.Fatal(err)
	}
	return dir, list[0], content
}

func flip(t *testing.T, path string, at int, old byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt([]byte{old ^ 4}, int64(at))
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestCheck_FindsAFlippedBitAnywhereInATable(t *testing.T) {
	dir, path, content := filled(t)
	if err := Check(dir); err != nil {
		t.Fatalf("a sound database: %v", err)
	}
	for at := range content {
		if at%37 != 0 && at < len(content)-200 {
			continue
		}
		flip(t, path, at, content[at])
		if err := Check(dir); !errors.Is(err, fs.ErrCorrupt) {
			t.Errorf("byte %d of %d flipped: %v", at, len(content), err)
		}
		flip(t, path, at, content[at]^4)
	}
	if err := Check(dir); err != nil {
		t.Fatalf("mended: %v", err)
	}
}

func TestCheck_FindsAMissingTableAndPassesOverOneThatDoesNotCount(t *testing.T) {
	dir, path, content := filled(t)
	stranger := filepath.Join(dir, "000099.sst") // as a compaction that was cut off leaves it
	if err := os.WriteFile(stranger, content[:100], 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Check(dir); err != nil {
		t.Errorf("a table that is not in the manifest: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := Check(dir); !errors.Is(err, fs.ErrCorrupt) {
		t.Errorf("without its table: %v", err)
	}
	if err := Check(t.TempDir()); err != nil {
		t.Errorf("no database: %v", err)
	}
}

// The database is open and mapped when the bit flips; Badger itself says nothing.
func TestVerify_FindsAFlippedBitInAnOpenDatabase(t *testing.T) {
	dir, path, content := filled(t)
	for _, i := range []byte{3, 100} { // in the first block, and further on
		at := bytes.Index(content, bytes.Repeat([]byte{i}, 60))
		if at < 0 {
			t.Fatalf("the value %d is not in the table", i)
		}
		db := open(t, dir)
		if err := Verify(db); err != nil {
			t.Fatalf("a sound database: %v", err)
		}
		flip(t, path, at, content[at])
		if err := Verify(db); !errors.Is(err, fs.ErrCorrupt) {
			t.Errorf("verify: %v", err)
		}
		flip(t, path, at, content[at]^4)
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
