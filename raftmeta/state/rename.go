package state

import "dfs/fs"

// rename moves a name, or swaps two; see fs.Rename. A name that is there before and after keeps its cookie, whatever it
// names, and so does an entry that only gets another name: so a listing under way misses neither. The order of the checks is that of Linux: names, flags, loops, types.
func (c *change) rename(o *fs.Rename) (about, error) {
	if o.Flags != 0 && o.Flags != fs.RenameNoReplace && o.Flags != fs.RenameExchange {
		return about{}, refuse(fs.ErrInvalid)
	}
	from, moved, err := c.taken(o.Parent, o.Name)
	if err != nil {
		return about{}, err
	}
	to, err := c.place(o.NewParent, o.NewName)
	if err != nil {
		return about{}, err
	}
	if !to.taken() {
		return c.move(o, from, to, moved)
	}
	if o.Flags == fs.RenameNoReplace {
		return about{}, refuse(fs.ErrExist)
	}
	if from.ino == to.ino { // two names of one file: rename(2) does nothing
		return about{inode: moved, parent: to.dir}, nil
	}
	other, err := c.referred(to.ino)
	if err != nil {
		return about{}, err
	}
	if o.Flags == fs.RenameExchange {
		return c.exchange(o, from, to, moved, other)
	}
	return c.replace(o, from, to, moved, other)
}

// move renames to a name that is free.
func (c *change) move(o *fs.Rename, from, to *place, moved *inode) (about, error) {
	if o.Flags == fs.RenameExchange {
		return about{}, refuse(fs.ErrNotExist)
	}
	if err := c.acyclic(moved, from.dir, to.dir); err != nil {
		return about{}, err
	}
	if err := c.cross(moved, from.dir, to.dir); err != nil {
		return about{}, err
	}
	cookie := from.cookie
	if from.dir != to.dir {
		cookie = to.dir.nextCookie
		to.dir.nextCookie++
	}
	if err := c.leave(from); err != nil {
		return about{}, err
	}
	detach(from.dir, moved)
	return c.arrive(o, from, to, moved, cookie)
}

// replace renames to a name that is taken: what stood there loses it.
func (c *change) replace(o *fs.Rename, from, to *place, moved, victim *inode) (about, error) {
	if err := c.acyclic(moved, from.dir, to.dir); err != nil {
		return about{}, err
	}
	switch {
	case moved.IsDir() && !victim.IsDir():
		return about{}, refuse(fs.ErrNotDir)
	case !moved.IsDir() && victim.IsDir():
		return about{}, refuse(fs.ErrIsDir)
	case victim.IsDir() && victim.entries > 0:
		return about{}, refuse(fs.ErrNotEmpty)
	}
	if err := c.cross(moved, from.dir, to.dir); err != nil {
		return about{}, err
	}
	cookie := to.cookie
	for _, gone := range []struct {
		place *place
		inode *inode
	}{{from, moved}, {to, victim}} {
		if err := c.leave(gone.place); err != nil {
			return about{}, err
		}
		detach(gone.place.dir, gone.inode)
	}
	result, err := c.arrive(o, from, to, moved, cookie)
	if err != nil {
		return about{}, err
	}
	result.replaced = victim
	return result, c.lose(victim, to.dir, o.Time)
}

// arrive ends a move: both places are free, moved belongs to none, and cookie is for the new name.
func (c *change) arrive(o *fs.Rename, from, to *place, moved *inode, cookie fs.Cookie) (about, error) {
	if err := attach(to.dir, moved); err != nil {
		return about{}, err
	}
	if err := c.rehoused(moved, from.dir, to.dir); err != nil {
		return about{}, err
	}
	c.changed(moved, o.Time)
	c.modified(from.dir, o.Time)
	c.modified(to.dir, o.Time)
	return about{inode: moved, parent: to.dir}, c.enterAt(to, moved, cookie)
}

// exchange swaps two names, of any types.
func (c *change) exchange(o *fs.Rename, from, to *place, moved, other *inode) (about, error) {
	if err := c.acyclic(moved, from.dir, to.dir); err != nil {
		return about{}, err
	}
	if err := c.acyclic(other, to.dir, from.dir); err != nil {
		return about{}, err
	}
	if err := c.cross(moved, from.dir, to.dir); err != nil {
		return about{}, err
	}
	if err := c.cross(other, to.dir, from.dir); err != nil {
		return about{}, err
	}
	fromCookie, toCookie := from.cookie, to.cookie
	if err := c.leave(from); err != nil {
		return about{}, err
	}
	if err := c.leave(to); err != nil {
		return about{}, err
	}
	detach(from.dir, moved)
	detach(to.dir, other)
	result, err := c.arrive(o, from, to, moved, toCookie)
	if err != nil {
		return about{}, err
	}
	if err := attach(from.dir, other); err != nil {
		return about{}, err
	}
	if err := c.rehoused(other, to.dir, from.dir); err != nil {
		return about{}, err
	}
	c.changed(other, o.Time)
	result.replaced = other
	return result, c.enterAt(from, other, fromCookie)
}

// acyclic refuses with ErrLoop to move a directory to below itself. It walks up from the new parent; a file, or a
// directory that stays in its parent, needs no walk.
func (c *change) acyclic(moved, from, to *inode) error {
	if !moved.IsDir() || from == to {
		return nil
	}
	at := to
	for range c.n.stats.Inodes {
		if at == moved {
			return refuse(fs.ErrLoop)
		}
		if at.Ino == fs.RootIno {
			return nil
		}
		up, err := c.referred(at.Parent)
		if err != nil {
			return err
		}
		at = up
	}
	return corrupt("the parents of directory %d form a loop", to.Ino)
}
