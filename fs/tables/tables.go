package tables

import (
	"errors"
	"fmt"
	iofs "io/fs"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/dgraph-io/badger/v4/table"
	"github.com/dgraph-io/ristretto/v2/z"

	"dfs/fs"
)

// Check verifies every table of the closed database in dir. One that does not exist yet is sound. ErrCorrupt: a table is
// damaged or missing, or the manifest is.
//
// Badger's own check at open is no substitute: it runs in goroutines of Badger's and panics there on most kinds of damage.
// The database should be opened with options.OnBlockRead, so that nothing is read that has been damaged since.
func Check(dir string) error {
	manifest, err := os.Open(filepath.Join(dir, badger.ManifestFilename))
	if errors.Is(err, iofs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("check tables: %w", err)
	}
	defer func() { _ = manifest.Close() }() // it was only read
	m, _, err := badger.ReplayManifestFile(manifest, 0, badger.DefaultOptions(dir))
	if err != nil {
		return fmt.Errorf("check tables: %w: %w", err, fs.ErrCorrupt)
	}
	for id := range m.Tables {
		if err := checkTable(table.NewFilename(id, dir)); err != nil {
			return err
		}
	}
	return nil
}

// checkTable opens a table, which verifies its index, verifies its blocks, and unmaps it again. The table's reference is
// not given up, since Badger deletes the file of a table that has none; and Badger is not told to verify while it opens
// the table, since it would unmap one that is bad, and so would we.
func checkTable(path string) error {
	file, err := z.OpenMmapFile(path, os.O_RDONLY, 0)
	if errors.Is(err, iofs.ErrNotExist) {
		return fmt.Errorf("a table is missing (%s): %w", path, fs.ErrCorrupt)
	}
	if err != nil {
		return fmt.Errorf("check tables: %w", err)
	}
	defer func() { _ = file.Close(-1) }() // it was only read
	return guarded(path, func() error {
		t, err := table.OpenTable(file, table.Options{ReadOnly: true, ChkMode: options.NoVerification, Compression: options.None})
		if err != nil {
			return err
		}
		return t.VerifyChecksum()
	})
}

// Verify verifies every table of an open database, which goes on meanwhile. ErrCorrupt: a table is damaged; nothing that is
// then read from the database can be relied on, least of all what it does not find.
func Verify(db *badger.DB) error { return guarded(db.Opts().Dir, db.VerifyChecksum) }

// guarded runs check on the tables at path. Badger panics on damaged lengths, on a block that it has refused to read (it
// looks for the offset of the block that it has not got), and on a disk that cannot be read: a fault on mapped memory.
func guarded(path string, check func() error) (err error) {
	old := debug.SetPanicOnFault(true)
	defer debug.SetPanicOnFault(old)
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
		if err != nil {
			err = fmt.Errorf("a table is damaged (%s): %w: %w", path, err, fs.ErrCorrupt)
		}
	}()
	return check()
}
