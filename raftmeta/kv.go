package raftmeta

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	badger "github.com/dgraph-io/badger/v4"

	"dfs/fs"
	"dfs/raftmeta/state"
)

// prefixState stands before the keys of the state machine, so that keyApplied is none of them.
const prefixState = 's'

// keyApplied holds the position up to which the database has applied the log, in one transaction with what it stands for.
const keyApplied = "!applied"

// position is a place in the log.
type position struct {
	index uint64
	term  uint64 // of the entry at index
}

func (p *position) encode() []byte { return append(be64(p.index), be64(p.term)...) }

func parsePosition(b []byte) (p position, err error) {
	if len(b) != 16 {
		return p, fmt.Errorf("a position of %d bytes: %w", len(b), fs.ErrCorrupt)
	}
	return position{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}, nil
}

func stateKey(key []byte) []byte { return append([]byte{prefixState}, key...) }

// txnReader is the state as a Badger transaction sees it. Not for concurrent use.
type txnReader struct{ txn *badger.Txn }

var _ state.Reader = txnReader{}

// Get implements state.Reader.
func (r txnReader) Get(key []byte) ([]byte, error) {
	item, err := r.txn.Get(stateKey(key))
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return item.ValueCopy(nil)
}

// Scan implements state.Reader.
//
// It asks Badger for all versions and picks the newest of each key itself: an iterator over live keys alone looks for the
// next one beyond the end of the range, past every tombstone that is there, before it can be told to stop.
func (r txnReader) Scan(from, to []byte, fn func(key, value []byte) bool) error {
	o := badger.DefaultIteratorOptions
	o.PrefetchValues = false // values lie in the tree itself: there is nothing to fetch ahead
	o.AllVersions = true
	it := r.txn.NewIterator(o)
	defer it.Close()
	end := stateKey(to)
	var last []byte
	for it.Seek(stateKey(from)); it.Valid(); it.Next() {
		item := it.Item()
		if bytes.Compare(item.Key(), end) >= 0 {
			return nil
		}
		if last != nil && bytes.Equal(item.Key(), last) {
			continue // versions come newest first
		}
		last = append(last[:0], item.Key()...)
		if item.IsDeletedOrExpired() {
			continue
		}
		more := true
		err := item.Value(func(value []byte) error {
			more = fn(item.Key()[1:], value)
			return nil
		})
		if err != nil {
			return err
		}
		if !more {
			return nil
		}
	}
	return nil
}

// batchWriter writes changes at one commit timestamp. What fits goes into one transaction; what does not is split, and
// split is called before the first piece is committed: until the last piece is, the database is torn.
type batchWriter struct {
	db    *badger.DB
	ts    uint64
	txn   *badger.Txn
	split func() error
	torn  bool
}

func newBatchWriter(db *badger.DB, ts uint64, split func() error) *batchWriter {
	return &batchWriter{db: db, ts: ts, txn: db.NewTransactionAt(ts, true), split: split}
}

// Set writes a key of the state.
func (w *batchWriter) Set(key, value []byte) error {
	k := stateKey(key)
	return w.do(func() error { return w.txn.Set(k, value) })
}

// Delete removes a key of the state.
func (w *batchWriter) Delete(key []byte) error {
	k := stateKey(key)
	return w.do(func() error { return w.txn.Delete(k) })
}

func (w *batchWriter) do(op func() error) error {
	err := op()
	if !errors.Is(err, badger.ErrTxnTooBig) {
		return err
	}
	if !w.torn {
		if err := w.split(); err != nil {
			return err
		}
		w.torn = true
	}
	if err := w.txn.CommitAt(w.ts, nil); err != nil {
		return err
	}
	w.txn = w.db.NewTransactionAt(w.ts, true)
	return op()
}

// commit writes the last piece, with the applied position in it.
func (w *batchWriter) commit(applied position) error {
	err := w.do(func() error { return w.txn.Set([]byte(keyApplied), applied.encode()) })
	if err != nil {
		return err
	}
	return w.txn.CommitAt(w.ts, nil)
}

// discard gives up; nothing more is written. It may follow commit.
func (w *batchWriter) discard() { w.txn.Discard() }

// Get and Scan are there so that a batchWriter is a state.KV; overlays flush into it and never read from it.
func (w *batchWriter) Get([]byte) ([]byte, error) { return nil, errors.ErrUnsupported }

// Scan is unsupported.
func (w *batchWriter) Scan(_, _ []byte, _ func(key, value []byte) bool) error {
	return errors.ErrUnsupported
}

var _ state.KV = (*batchWriter)(nil)
