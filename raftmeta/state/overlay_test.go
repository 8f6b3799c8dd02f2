package state_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"dfs/raftmeta/state"
)

type pair struct{ key, value string }

// contents lists a range, stopping after limit pairs.
func contents(t interface{ Fatal(...any) }, r state.Reader, from, to string, limit int) []pair {
	var list []pair
	err := r.Scan([]byte(from), []byte(to), func(key, value []byte) bool {
		list = append(list, pair{string(key), string(value)})
		return len(list) < limit
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestOverlay_ReadsAsTheStoreItWillFlushTo(t *testing.T) {
	key := rapid.StringOfN(rapid.RuneFrom([]rune("abc")), 1, 3, -1)
	rapid.Check(t, func(t *rapid.T) {
		base, plain := state.NewMemory(), state.NewMemory()
		for range rapid.IntRange(0, 10).Draw(t, "base") {
			k := []byte(key.Draw(t, "key"))
			_, _ = base.Set(k, []byte("old")), plain.Set(k, []byte("old"))
		}
		before := contents(t, base, "a", "d", 100)
		lower := state.NewOverlay(base)
		upper := state.NewOverlay(lower)
		for range rapid.IntRange(0, 12).Draw(t, "changes") {
			k, v := []byte(key.Draw(t, "key")), []byte(key.Draw(t, "value"))
			into := rapid.SampledFrom([]state.KV{lower, upper}).Draw(t, "into")
			if into == lower && upper.Len() > 0 { // what lies below an overlay does not change
				into = upper
			}
			if rapid.Bool().Draw(t, "delete") {
				_, _ = into.Delete(k), plain.Delete(k)
			} else {
				_, _ = into.Set(k, v), plain.Set(k, v)
			}
			from, to := key.Draw(t, "from"), key.Draw(t, "to")
			limit := rapid.IntRange(1, 5).Draw(t, "limit")
			if got, want := contents(t, upper, from, to, limit), contents(t, plain, from, to, limit); !slices.Equal(got, want) {
				t.Fatalf("[%s, %s) up to %d: %v, want %v", from, to, limit, got, want)
			}
			got, _ := upper.Get(k)
			if want, _ := plain.Get(k); !bytes.Equal(got, want) || (got == nil) != (want == nil) {
				t.Fatalf("get %s: %q, want %q", k, got, want)
			}
		}
		if got := contents(t, base, "a", "d", 100); !slices.Equal(got, before) {
			t.Fatalf("the base changed before the flush: %v, was %v", got, before)
		}
		if err := errors.Join(upper.Flush(lower), lower.Flush(base)); err != nil {
			t.Fatal(err)
		}
		if got, want := contents(t, base, "a", "d", 100), contents(t, plain, "a", "d", 100); !slices.Equal(got, want) {
			t.Fatalf("after the flush: %v, want %v", got, want)
		}
		if upper.Len()+lower.Len() > 0 {
			t.Fatal("changes are left after the flush")
		}
	})
}

func TestMemory_CloneIsIndependent(t *testing.T) {
	m := state.NewMemory()
	for i := range 100 {
		_ = m.Set(fmt.Appendf(nil, "k%02d", i), []byte("v"))
	}
	c := m.Clone()
	_, _, _ = m.Delete([]byte("k00")), m.Set([]byte("k01"), []byte("w")), c.Set([]byte("k99"), []byte("x"))
	if got, _ := c.Get([]byte("k01")); string(got) != "v" || c.Len() != 100 || m.Len() != 99 {
		t.Fatalf("the clone has %d keys, k01=%s; the original %d", c.Len(), got, m.Len())
	}
	if got, _ := m.Get([]byte("k99")); string(got) != "v" {
		t.Fatalf("a change of the clone shows: %s", got)
	}
}

// broken is a store that fails at its nth call.
type broken struct {
	*state.Memory
	left int
}

var errDisk = errors.New("input/output error")

func (b *broken) fails() bool {
	b.left--
	return b.left < 0
}

func (b *broken) Get(key []byte) ([]byte, error) {
	if b.fails() {
		return nil, errDisk
	}
	return b.Memory.Get(key)
}

func (b *broken) Scan(from, to []byte, fn func(key, value []byte) bool) error {
	if b.fails() {
		return errDisk
	}
	return b.Memory.Scan(from, to, fn)
}

func (b *broken) Set(key, value []byte) error {
	if b.fails() {
		return errDisk
	}
	return b.Memory.Set(key, value)
}

func (b *broken) Delete(key []byte) error {
	if b.fails() {
		return errDisk
	}
	return b.Memory.Delete(key)
}
