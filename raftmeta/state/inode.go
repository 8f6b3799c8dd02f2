package state

import (
	"dfs/fs"
	"dfs/fs/wire"
	"dfs/raftmeta/command"
)

// inode is an inode record, and in a change the one copy of it that all operations share.
type inode struct {
	fs.Attr
	entries    uint64    // of a directory
	nextCookie fs.Cookie // of a directory; only rises
	target     string    // of a symlink
	nameless   bool      // made without a name and never linked since: an orphan that may be linked
	xattrBytes uint64    // names and values
	home       fs.Ino    // of what has one name and is no directory, and of an orphan: see homes.go
	wards      uint64    // of a directory: orphans that have it as their home
	counted    bool      // it has been charged for, see accounts.go
	tree       fs.Ino    // the innermost quota'd directory that it is charged to, and with it those around it; 0: none

	billed  bill // what the accounts have of it or, if it was not counted, would have
	dirty   bool // differs from the store
	touched bool // changed by the operation at hand
	gone    bool // reaped
}

func (r *inode) wire(c *wire.Coder) {
	command.WireAttr(c, &r.Attr)
	c.Uint64(&r.entries)
	wire.Uint(c, &r.nextCookie)
	c.String(&r.target)
	c.Bool(&r.nameless)
	c.Uint64(&r.xattrBytes)
	wire.Uint(c, &r.home)
	c.Uint64(&r.wards)
	if r.counted = r.counted || c.Decoding() && c.Left() > 0; r.counted { // in records of version 2
		wire.Uint(c, &r.tree)
	}
}

// version of the record that i needs.
func (i *inode) version() byte {
	if i.counted {
		return 2
	}
	return recordVersion
}

func readInode(r Reader, ino fs.Ino) (*inode, error) {
	i := &inode{}
	ok, err := get(r, inodeKey(ino), i)
	if err != nil || !ok {
		return nil, err
	}
	if i.Ino != ino {
		return nil, corrupt("the record of inode %d says %d", ino, i.Ino)
	}
	i.billed = i.due()
	return i, nil
}

// inode is the shared copy of an inode, nil if there is none.
func (c *change) inode(ino fs.Ino) (*inode, error) {
	if i, ok := c.inodes[ino]; ok {
		if i.gone {
			return nil, nil
		}
		return i, nil
	}
	i, err := readInode(c.kv, ino)
	if err != nil || i == nil {
		return nil, err
	}
	c.keep(i)
	return i, nil
}

func (c *change) keep(i *inode) {
	c.inodes[i.Ino] = i
	c.loaded = append(c.loaded, i)
}

// existing is inode, refusing with ErrNotExist.
func (c *change) existing(ino fs.Ino) (*inode, error) {
	i, err := c.inode(ino)
	if err == nil && i == nil {
		return nil, refuse(fs.ErrNotExist)
	}
	return i, err
}

// referred is inode for an ino that a record names: its absence is a fault of the store.
func (c *change) referred(ino fs.Ino) (*inode, error) {
	i, err := c.inode(ino)
	if err == nil && i == nil {
		return nil, corrupt("inode %d is named but absent", ino)
	}
	return i, err
}

// dir is a directory that can hold names: one that was removed while open holds none any more.
func (c *change) dir(ino fs.Ino) (*inode, error) {
	i, err := c.existing(ino)
	if err != nil {
		return nil, err
	}
	if !i.IsDir() {
		return nil, refuse(fs.ErrNotDir)
	}
	if i.Nlink == 0 {
		return nil, refuse(fs.ErrNotExist)
	}
	return i, nil
}

// regular is a file that has data.
func (c *change) regular(ino fs.Ino) (*inode, error) {
	i, err := c.existing(ino)
	if err != nil {
		return nil, err
	}
	return i, onlyRegular(i)
}

func onlyRegular(i *inode) error {
	switch i.Type {
	case fs.TypeRegular:
		return nil
	case fs.TypeDir:
		return refuse(fs.ErrIsDir)
	}
	return refuse(fs.ErrInvalid)
}

// touch marks an inode as changed: it will be stored, with a new Version.
func (c *change) touch(i *inode) {
	i.dirty = true
	if !i.touched {
		i.touched = true
		c.touched = append(c.touched, i)
	}
}

// changed touches an inode whose attributes changed at t; modified one whose data or entries did.
func (c *change) changed(i *inode, t fs.Time) {
	i.Ctime = t
	c.touch(i)
}

func (c *change) modified(i *inode, t fs.Time) {
	i.Mtime = t
	c.changed(i, t)
}

// written is modified for the data of a file, which costs it its set-id bits if that says killPriv.
func (c *change) written(i *inode, t fs.Time, killPriv bool) {
	if killPriv {
		i.KillPriv()
	}
	c.modified(i, t)
}

// orphan records that an inode has lost its last name; adopt that a nameless one got its first.
func (c *change) orphan(i *inode) error {
	c.n.stats.Orphans++
	return c.kv.Set(orphanKey(i.Ino), encode(&mark{}))
}

func (c *change) adopt(i *inode) error {
	i.nameless = false
	c.n.stats.Orphans--
	if err := c.release(i); err != nil {
		return err
	}
	return c.kv.Delete(orphanKey(i.Ino))
}
