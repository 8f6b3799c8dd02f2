package state

import (
	"fmt"

	"dfs/fs"
)

// change is one command at work. It reads through to the store and buffers what it writes; inodes, blobs and counters
// are decoded once and kept here until commit, so that a transaction of many operations in one directory stores that
// directory once.
type change struct {
	kv     *Overlay
	index  uint64
	config Config
	formed bool // Init has been here
	n      counters

	extentsLeft int    // that the command may still touch
	inlineLeft  uint64 // bytes of inline data that it may still clone
	climbsLeft  int    // inodes and names that it may still look at to find out where something lies

	inodes  map[fs.Ino]*inode
	loaded  []*inode // the same, in the order of loading
	touched []*inode // by the operation at hand, in that order

	blobs   map[fs.BlobID]*blob
	named   []*blob // the same, in the order of loading
	removed map[fs.NodeID]bool

	ledger ledger
}

func newChange(kv Reader, index uint64) (*change, error) {
	c := &change{
		kv:    NewOverlay(kv),
		index: index,

		extentsLeft: fs.TxExtentsMax,
		inlineLeft:  fs.TxBytesMax,
		climbsLeft:  climbsMax,

		inodes:  make(map[fs.Ino]*inode),
		blobs:   make(map[fs.BlobID]*blob),
		removed: make(map[fs.NodeID]bool),
	}
	var err error
	if c.formed, err = get(kv, []byte(keyConfig), &c.config); err != nil || !c.formed {
		return c, err
	}
	ok, err := get(kv, []byte(keyCounters), &c.n)
	if err == nil && !ok {
		err = corrupt("there is a configuration but there are no counters")
	}
	if err == nil {
		c.ledger.on, err = get(kv, []byte(keyAccounting), &c.ledger.accounting)
	}
	return c, err
}

// seal ends an operation: every inode that it touched gets a fresh Version.
func (c *change) seal() {
	for _, i := range c.touched {
		i.touched = false
		c.n.version++
		i.Version = c.n.version
	}
	c.touched = c.touched[:0]
}

// commit moves the change into the store, unless the command failed.
func (c *change) commit(kv KV, failed error) error {
	if failed != nil {
		return failed
	}
	if err := c.bill(); err != nil {
		return err
	}
	c.seal()
	if err := c.settle(); err != nil {
		return err
	}
	for _, i := range c.loaded {
		if err := c.store(i); err != nil {
			return fmt.Errorf("store inode %d: %w", i.Ino, err)
		}
	}
	if err := c.closeBooks(); err != nil {
		return err
	}
	if c.formed {
		if err := c.kv.Set([]byte(keyCounters), encode(&c.n)); err != nil {
			return err
		}
	}
	return c.kv.Flush(kv)
}

func (c *change) store(i *inode) error {
	switch {
	case i.gone:
		return c.kv.Delete(inodeKey(i.Ino))
	case i.dirty:
		return c.kv.Set(inodeKey(i.Ino), encode(i))
	}
	return nil
}
