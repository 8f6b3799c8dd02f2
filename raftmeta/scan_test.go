package raftmeta

import (
	"fmt"
	"testing"

	badger "github.com/dgraph-io/badger/v4"
)

// scanned is what Scan yields.
func scanned(t *testing.T, r txnReader, from, to string) (keys []string) {
	t.Helper()
	err := r.Scan([]byte(from), []byte(to), func(key, value []byte) bool {
		keys = append(keys, string(key)+"="+string(value))
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestScan_SeesTheNewestVersionOfLiveKeysOnly(t *testing.T) {
	db, err := badger.OpenManaged(badger.DefaultOptions("").WithInMemory(true).WithLogger(nil))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	at := func(ts uint64, fn func(w *batchWriter) error) {
		t.Helper()
		w := newBatchWriter(db, standing{}, position{index: ts}, func() error { return nil })
		defer w.discard()
		if err := fn(w); err != nil {
			t.Fatal(err)
		}
		if err := w.commit(); err != nil {
			t.Fatal(err)
		}
	}
	for ts := uint64(1); ts <= 3; ts++ {
		at(ts, func(w *batchWriter) error {
			for _, k := range []string{"a", "b", "c", "d"} {
				if err := w.Set([]byte(k), fmt.Append(nil, ts)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	at(4, func(w *batchWriter) error { return w.Delete([]byte("b")) })
	at(5, func(w *batchWriter) error { return w.Set([]byte("c"), []byte("5")) })
	at(6, func(w *batchWriter) error { return w.Set([]byte("b"), []byte("6")) })
	for _, c := range []struct {
		ts       uint64
		from, to string
		want     string
	}{
		{2, "a", "z", "[a=2 b=2 c=2 d=2]"},
		{4, "a", "z", "[a=3 c=3 d=3]"},
		{5, "a", "d", "[a=3 c=5]"},
		{6, "b", "d", "[b=6 c=5]"},
		{6, "bb", "c", "[]"},
	} {
		txn := db.NewTransactionAt(c.ts, false)
		if got := fmt.Sprint(scanned(t, txnReader{txn: txn}, c.from, c.to)); got != c.want {
			t.Errorf("at %d, [%s, %s): got %s, want %s", c.ts, c.from, c.to, got, c.want)
		}
		txn.Discard()
	}
}

// BenchmarkScan_BeforeTombstones scans an empty range that many deleted keys follow.
func BenchmarkScan_BeforeTombstones(b *testing.B) {
	db, err := badger.OpenManaged(badger.DefaultOptions("").WithInMemory(true).WithLogger(nil))
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	for _, del := range []bool{false, true} {
		w := newBatchWriter(db, standing{}, position{index: 1}, func() error { return nil })
		for i := range 20000 {
			key := fmt.Appendf(nil, "r%08d", i)
			if del {
				err = w.Delete(key)
			} else {
				err = w.Set(key, []byte("x"))
			}
			if err != nil {
				b.Fatal(err)
			}
		}
		if err := w.commit(); err != nil {
			b.Fatal(err)
		}
	}
	txn := db.NewTransactionAt(2, false)
	defer txn.Discard()
	for b.Loop() {
		if err := (txnReader{txn: txn}).Scan([]byte("o"), []byte("p"), func(_, _ []byte) bool { return true }); err != nil {
			b.Fatal(err)
		}
	}
}
