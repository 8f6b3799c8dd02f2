package vfs

import (
	"container/list"
	"sync"

	"dfs/fs"
)

// idleMax is how many inodes without users are remembered, for their layouts and for keepCache.
const idleMax = 4096

// table holds the inodes that this mount works with. One that has users (handles, calls under way, unflushed data)
// stays; the others go, least recently used first.
type table struct {
	mu     sync.Mutex
	inodes map[fs.Ino]*inode
	idle   *list.List // of *inode, the longest idle in front
}

func newTable() *table { return &table{inodes: make(map[fs.Ino]*inode), idle: list.New()} }

// get finds or makes an inode. Each get and each peek that finds something is followed by a release.
func (t *table) get(ino fs.Ino) *inode {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.inodes[ino]
	if n == nil {
		n = newInode(ino)
		t.inodes[ino] = n
	}
	t.use(n)
	return n
}

// peek is get for an inode that is here already, nil if it is not.
func (t *table) peek(ino fs.Ino) *inode {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.inodes[ino]
	if n != nil {
		t.use(n)
	}
	return n
}

// again counts one user more of an inode that has one.
func (t *table) again(n *inode) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.use(n)
}

func (t *table) use(n *inode) {
	n.users++
	if n.idle != nil {
		t.idle.Remove(n.idle)
		n.idle = nil
	}
}

func (t *table) release(n *inode) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n.users--
	if n.users > 0 {
		return
	}
	n.idle = t.idle.PushBack(n)
	if t.idle.Len() > idleMax {
		old := t.idle.Remove(t.idle.Front()).(*inode)
		delete(t.inodes, old.ino)
	}
}

// dirtySet is the inodes with unflushed data.
type dirtySet struct {
	mu     sync.Mutex
	inodes map[*inode]struct{}
}

func newDirtySet() *dirtySet { return &dirtySet{inodes: make(map[*inode]struct{})} }

func (d *dirtySet) add(n *inode) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.inodes[n] = struct{}{}
}

func (d *dirtySet) remove(n *inode) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.inodes, n)
}

func (d *dirtySet) len() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.inodes)
}

// all lists them in no order.
func (d *dirtySet) all() []*inode {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := make([]*inode, 0, len(d.inodes))
	for n := range d.inodes {
		list = append(list, n)
	}
	return list
}
