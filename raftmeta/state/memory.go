package state

import (
	"bytes"

	"github.com/google/btree"
)

// item is a key and its value; gone marks a deletion that an Overlay has buffered.
type item struct {
	key, value []byte
	gone       bool
}

func newTree() *btree.BTreeG[item] {
	return btree.NewG(32, func(a, b item) bool { return bytes.Compare(a.key, b.key) < 0 })
}

// Memory is a [KV] in memory, for tests, fuzzing and simulation. Not for concurrent use.
type Memory struct{ tree *btree.BTreeG[item] }

// NewMemory returns an empty Memory.
func NewMemory() *Memory { return &Memory{tree: newTree()} }

// Clone returns an independent copy, in constant time.
func (m *Memory) Clone() *Memory { return &Memory{tree: m.tree.Clone()} }

// Len is the number of keys.
func (m *Memory) Len() int { return m.tree.Len() }

// Get implements [Reader].
func (m *Memory) Get(key []byte) ([]byte, error) {
	it, _ := m.tree.Get(item{key: key})
	return it.value, nil
}

// Scan implements [Reader].
func (m *Memory) Scan(from, to []byte, fn func(key, value []byte) bool) error {
	m.tree.AscendRange(item{key: from}, item{key: to}, func(it item) bool { return fn(it.key, it.value) })
	return nil
}

// Set implements [KV].
func (m *Memory) Set(key, value []byte) error {
	m.tree.ReplaceOrInsert(item{key: key, value: value})
	return nil
}

// Delete implements [KV].
func (m *Memory) Delete(key []byte) error {
	m.tree.Delete(item{key: key})
	return nil
}
