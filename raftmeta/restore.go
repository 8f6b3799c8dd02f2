package raftmeta

import (
	"errors"
	"io"
	"os"
	"path/filepath"

	badger "github.com/dgraph-io/badger/v4"

	"dfs/fs"
)

// restoreDump fills a new database from a dump and returns it. It counts for nothing until replace has named it in CURRENT:
// a crash or an error before leaves the old state as it is, and a directory that the next start removes.
func (s *stateDB) restoreDump(from io.Reader, faults fs.Faults) (*database, position, error) {
	next, err := s.createDB()
	if err != nil {
		return nil, position{}, err
	}
	at, err := next.fill(from, faults)
	if err == nil {
		err = faults.At("restore.filled")
	}
	if err != nil {
		return nil, position{}, errors.Join(err, next.db.Close(), os.RemoveAll(filepath.Join(s.dir, next.name)))
	}
	return next, at, nil
}

// fill writes a dump into an empty database, at the timestamp that is its Raft index.
func (d *database) fill(from io.Reader, faults fs.Faults) (at position, err error) {
	var batch *badger.WriteBatch
	begin := func(p position) {
		at = p
		batch = d.db.NewWriteBatchAt(max(p.index, 1))
	}
	var t tally
	err = readDump(from, begin, func(key, value []byte) error {
		if err := faults.At("restore.pair"); err != nil {
			return err
		}
		k := stateKey(key)
		sealed := sealValue(k, value)
		t.add(sealOf(sealed))
		return batch.Set(k, sealed)
	})
	if batch == nil {
		return position{}, err
	}
	if err == nil {
		reached := standing{at, t}
		err = batch.Set([]byte(keyApplied), sealValue([]byte(keyApplied), reached.encode()))
	}
	if err != nil {
		batch.Cancel()
		return position{}, err
	}
	return at, batch.Flush()
}
