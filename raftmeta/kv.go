package raftmeta

import (
	"bytes"
	"errors"

	badger "github.com/dgraph-io/badger/v4"

	"dfs/fs"
	"dfs/raftmeta/state"
)

// prefixState stands before the keys of the state machine, so that keyApplied is none of them.
const prefixState = 's'

// keyApplied holds what the database has reached (see standing), in one transaction with what it stands for.
const keyApplied = "!applied"

// position is a place in the log.
type position struct {
	index uint64
	term  uint64 // of the entry at index
}

func (p *position) encode() []byte { return append(be64(p.index), be64(p.term)...) }

func stateKey(key []byte) []byte { return append([]byte{prefixState}, key...) }

// txnReader is the state as a Badger transaction sees it. Values are sealed (see sealValue): what does not match its
// checksum is ErrCorrupt, and bad is told of it. Not for concurrent use.
type txnReader struct {
	txn  *badger.Txn
	bad  func(error)
	seen *tally // if set, of what Scan has found
}

var _ state.Reader = txnReader{}

// Get implements state.Reader.
func (r txnReader) Get(key []byte) ([]byte, error) {
	value, err := getSealed(r.txn, stateKey(key))
	if errors.Is(err, fs.ErrCorrupt) {
		r.bad(err)
	}
	return value, err
}

// getSealed returns a copy of the value of a Badger key, nil if there is none.
func getSealed(txn *badger.Txn, key []byte) ([]byte, error) {
	item, err := txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	sealed, err := item.ValueCopy(nil)
	if err != nil {
		return nil, err
	}
	return unsealValue(key, sealed)
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
		err := item.Value(func(sealed []byte) error {
			value, err := unsealValue(item.Key(), sealed)
			if err != nil {
				r.bad(err)
				return err
			}
			if r.seen != nil {
				r.seen.add(sealOf(sealed))
			}
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

// batchWriter writes changes at one commit timestamp, each key once, and keeps the tally. What fits goes into one
// transaction; what does not is split, and split is called before the first piece is committed: until the last piece is,
// the database is torn.
type batchWriter struct {
	db    *badger.DB
	old   *badger.Txn // sees the state before the changes
	to    standing
	txn   *badger.Txn
	split func() error
	torn  bool
}

func newBatchWriter(db *badger.DB, from standing, to position, split func() error) *batchWriter {
	return &batchWriter{db: db, old: db.NewTransactionAt(from.index, false), to: standing{to, from.tally},
		txn: db.NewTransactionAt(to.index, true), split: split}
}

// Set writes a key of the state.
func (w *batchWriter) Set(key, value []byte) error {
	k := stateKey(key)
	if err := w.forget(k); err != nil {
		return err
	}
	sealed := sealValue(k, value)
	w.to.add(sealOf(sealed))
	return w.do(func() error { return w.txn.Set(k, sealed) })
}

// Delete removes a key of the state.
func (w *batchWriter) Delete(key []byte) error {
	k := stateKey(key)
	if err := w.forget(k); err != nil {
		return err
	}
	return w.do(func() error { return w.txn.Delete(k) })
}

// forget takes what a key has had so far out of the tally.
func (w *batchWriter) forget(key []byte) error {
	item, err := w.old.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return item.Value(func(sealed []byte) error {
		_, err := unsealValue(key, sealed)
		if err == nil {
			w.to.remove(sealOf(sealed))
		}
		return err
	})
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
	if err := w.txn.CommitAt(w.to.index, nil); err != nil {
		return err
	}
	w.txn = w.db.NewTransactionAt(w.to.index, true)
	return op()
}

// commit writes the last piece, with what has been reached in it.
func (w *batchWriter) commit() error {
	applied := sealValue([]byte(keyApplied), w.to.encode())
	if err := w.do(func() error { return w.txn.Set([]byte(keyApplied), applied) }); err != nil {
		return err
	}
	return w.txn.CommitAt(w.to.index, nil)
}

// discard gives up; nothing more is written. It may follow commit.
func (w *batchWriter) discard() {
	w.txn.Discard()
	w.old.Discard()
}

// Get and Scan are there so that a batchWriter is a state.KV; overlays flush into it and never read from it.
func (w *batchWriter) Get([]byte) ([]byte, error) { return nil, errors.ErrUnsupported }

// Scan is unsupported.
func (w *batchWriter) Scan(_, _ []byte, _ func(key, value []byte) bool) error {
	return errors.ErrUnsupported
}

var _ state.KV = (*batchWriter)(nil)
