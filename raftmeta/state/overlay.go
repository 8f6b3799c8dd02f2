package state

import (
	"bytes"
	"fmt"

	"github.com/google/btree"
)

// Overlay is a [KV] that buffers changes in memory over a Reader that stays as it is, until they are flushed or
// discarded: what makes a command all or nothing. Overlays may be stacked. Not for concurrent use.
type Overlay struct {
	base Reader
	tree *btree.BTreeG[item]
}

// NewOverlay returns an Overlay without changes.
func NewOverlay(base Reader) *Overlay { return &Overlay{base: base, tree: newTree()} }

// Len is the number of keys that have buffered changes.
func (o *Overlay) Len() int { return o.tree.Len() }

// Get implements [Reader].
func (o *Overlay) Get(key []byte) ([]byte, error) {
	if it, ok := o.tree.Get(item{key: key}); ok {
		return it.value, nil
	}
	return o.base.Get(key)
}

// Set implements [KV].
func (o *Overlay) Set(key, value []byte) error {
	o.tree.ReplaceOrInsert(item{key: key, value: value})
	return nil
}

// Delete implements [KV].
func (o *Overlay) Delete(key []byte) error {
	o.tree.ReplaceOrInsert(item{key: key, gone: true})
	return nil
}

// Scan implements [Reader]: a merge of base and buffer, in which the buffer wins.
func (o *Overlay) Scan(from, to []byte, fn func(key, value []byte) bool) error {
	next, buffered := o.seek(from, to)
	more := true
	// emit passes on what is buffered before key, or all of it for a nil key, and reports whether key itself is hidden.
	emit := func(key []byte) (hidden bool) {
		for more && buffered {
			order := -1
			if key != nil {
				order = bytes.Compare(next.key, key)
			}
			if order > 0 {
				return false
			}
			if !next.gone {
				more = fn(next.key, next.value)
			}
			next, buffered = o.seek(append(bytes.Clone(next.key), 0), to)
			if order == 0 {
				return true
			}
		}
		return false
	}
	err := o.base.Scan(from, to, func(key, value []byte) bool {
		if !emit(key) && more {
			more = fn(key, value)
		}
		return more
	})
	if err != nil {
		return err
	}
	emit(nil)
	return nil
}

// seek finds the first buffered change in [from, to). Seeking anew for every step keeps a scan that stops early cheap.
func (o *Overlay) seek(from, to []byte) (found item, ok bool) {
	o.tree.AscendRange(item{key: from}, item{key: to}, func(it item) bool {
		found, ok = it, true
		return false
	})
	return found, ok
}

// Flush moves the changes to a KV, by rising key, and leaves the Overlay empty. After an error the KV may hold some of
// them.
func (o *Overlay) Flush(to KV) error {
	var err error
	o.tree.Ascend(func(it item) bool {
		if it.gone {
			err = to.Delete(it.key)
		} else {
			err = to.Set(it.key, it.value)
		}
		return err == nil
	})
	if err != nil {
		return fmt.Errorf("flush changes: %w", err)
	}
	o.Discard()
	return nil
}

// Discard forgets the changes.
func (o *Overlay) Discard() { o.tree.Clear(false) }
