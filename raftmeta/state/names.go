package state

import (
	"strings"

	"dfs/fs"
)

// checkName refuses what no entry can be called.
func checkName(name string) error {
	switch {
	case name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00"):
		return refuse(fs.ErrInvalid)
	case len(name) > fs.NameMax:
		return refuse(fs.ErrNameTooLong)
	}
	return nil
}

// place is where a name stands, or could.
type place struct {
	dir  *inode
	name string
	dentry
}

func (p *place) taken() bool { return p.ino != 0 }

// place finds a name in a directory that can hold names.
func (c *change) place(dir fs.Ino, name string) (*place, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	d, err := c.dir(dir)
	if err != nil {
		return nil, err
	}
	p := &place{dir: d, name: name}
	_, err = get(c.kv, nameKey(dir, name), &p.dentry)
	return p, err
}

// free is place, refusing with ErrExist a name that is taken.
func (c *change) free(dir fs.Ino, name string) (*place, error) {
	p, err := c.place(dir, name)
	if err == nil && p.taken() {
		return nil, refuse(fs.ErrExist)
	}
	return p, err
}

// taken is place together with what stands there, refusing with ErrNotExist a name that is free.
func (c *change) taken(dir fs.Ino, name string) (*place, *inode, error) {
	p, err := c.place(dir, name)
	if err != nil {
		return nil, nil, err
	}
	if !p.taken() {
		return nil, nil, refuse(fs.ErrNotExist)
	}
	i, err := c.referred(p.ino)
	return p, i, err
}

// enter puts an inode at a free place, under a cookie that the directory never used before.
func (c *change) enter(p *place, i *inode) error {
	p.dir.nextCookie++
	return c.enterAt(p, i, p.dir.nextCookie-1)
}

// enterAt is enter under a cookie that is free in the directory.
func (c *change) enterAt(p *place, i *inode, cookie fs.Cookie) error {
	p.dentry = dentry{ino: i.Ino, typ: i.Type, cookie: cookie}
	p.dir.entries++
	if err := c.kv.Set(nameKey(p.dir.Ino, p.name), encode(&p.dentry)); err != nil {
		return err
	}
	return c.kv.Set(cookieKey(p.dir.Ino, p.cookie), encode(&entry{name: p.name, ino: i.Ino, typ: i.Type}))
}

// leave frees a taken place.
func (c *change) leave(p *place) error {
	p.dir.entries--
	if err := c.kv.Delete(cookieKey(p.dir.Ino, p.cookie)); err != nil {
		return err
	}
	p.dentry = dentry{}
	return c.kv.Delete(nameKey(p.dir.Ino, p.name))
}

// attach and detach are the bookkeeping of a subdirectory that came to a directory or went from it.
func attach(dir, i *inode) error {
	if !i.IsDir() {
		return nil
	}
	if dir.Nlink >= fs.LinkMax {
		return refuse(fs.ErrTooManyLinks)
	}
	dir.Nlink++
	i.Parent = dir.Ino
	return nil
}

func detach(dir, i *inode) {
	if i.IsDir() {
		dir.Nlink--
	}
}

// lose takes one name from an inode, whose entry in dir is gone already, at t. Without a name it becomes an orphan; a
// directory, which has one name only, does so at once.
func (c *change) lose(i, dir *inode, t fs.Time) error {
	if i.IsDir() {
		i.Nlink, i.Parent = 0, 0
	} else {
		i.Nlink--
	}
	c.changed(i, t)
	if i.Nlink > 0 {
		return c.unhoused(i, dir)
	}
	c.ward(i, dir)
	return c.orphan(i)
}

// create makes an inode; see fs.Create.
func (c *change) create(s *SessionRecord, o *fs.Create) (about, error) {
	if err := checkCreate(o); err != nil {
		return about{}, err
	}
	if err := c.unused(o.Ino); err != nil {
		return about{}, err
	}
	i := newInode(o)
	if o.Parent == 0 {
		return c.createNameless(s, o, i)
	}
	p, err := c.free(o.Parent, o.Name)
	if err != nil {
		return about{}, err
	}
	if err := attach(p.dir, i); err != nil {
		return about{}, err
	}
	i.tree = p.dir.tree
	if err := c.inherit(i, p.dir, o.Umask); err != nil {
		return about{}, err
	}
	c.born(i)
	c.modified(p.dir, o.Time)
	if err := c.housed(i, p.dir); err != nil {
		return about{}, err
	}
	return about{inode: i, parent: p.dir}, c.enter(p, i)
}

// createNameless makes what open(2) makes with O_TMPFILE. A bound session must find it again: it lies in its root.
func (c *change) createNameless(s *SessionRecord, o *fs.Create, i *inode) (about, error) {
	if o.Name != "" || i.IsDir() {
		return about{}, refuse(fs.ErrInvalid)
	}
	if err := c.inheritNear(i, o); err != nil {
		return about{}, err
	}
	i.Nlink, i.nameless = 0, true
	if s.bound() {
		root, err := c.existing(s.Root) // it may have been removed
		if err != nil {
			return about{}, err
		}
		c.ward(i, root)
		i.tree = root.tree
	}
	c.born(i)
	return about{inode: i}, c.orphan(i)
}

func checkCreate(o *fs.Create) error {
	if !o.Type.Valid() || o.Parent != 0 && o.Near != 0 {
		return refuse(fs.ErrInvalid)
	}
	if o.Type != fs.TypeSymlink {
		if o.Target != "" {
			return refuse(fs.ErrInvalid)
		}
		return nil
	}
	if o.Target == "" || strings.Contains(o.Target, "\x00") {
		return refuse(fs.ErrInvalid)
	}
	if len(o.Target) > fs.PathMax {
		return refuse(fs.ErrNameTooLong)
	}
	return nil
}

// unused refuses an inode number that was not allotted or is taken.
func (c *change) unused(ino fs.Ino) error {
	if ino == 0 || ino >= c.n.nextIno {
		return refuse(fs.ErrInvalid)
	}
	i, err := c.inode(ino)
	if err == nil && i != nil {
		return refuse(fs.ErrInvalid)
	}
	return err
}

func newInode(o *fs.Create) *inode {
	i := &inode{Attr: fs.Attr{Ino: o.Ino, Type: o.Type, Mode: o.Mode & fs.ModeMask, Nlink: 1, UID: o.UID, GID: o.GID,
		Atime: o.Time, Mtime: o.Time, Ctime: o.Time, Btime: o.Time}}
	switch o.Type {
	case fs.TypeDir:
		i.Nlink, i.Size, i.nextCookie = 2, dirSize, fs.FirstCookie
	case fs.TypeSymlink:
		i.Mode, i.Size, i.target = 0o777, uint64(len(o.Target)), o.Target
	case fs.TypeChar, fs.TypeBlock:
		i.Rdev = o.Rdev
	}
	return i
}

// link gives an inode one more name; see fs.Link.
func (c *change) link(o *fs.Link) (about, error) {
	i, err := c.existing(o.Ino)
	if err != nil {
		return about{}, err
	}
	if i.IsDir() {
		return about{}, refuse(fs.ErrPermission)
	}
	p, err := c.free(o.Parent, o.Name)
	if err != nil {
		return about{}, err
	}
	if i.Nlink == 0 && !i.nameless {
		return about{}, refuse(fs.ErrNotExist)
	}
	if i.Nlink >= fs.LinkMax {
		return about{}, refuse(fs.ErrTooManyLinks)
	}
	if err := c.enrol(i, p.dir); err != nil {
		return about{}, err
	}
	if i.nameless {
		if err := c.adopt(i); err != nil {
			return about{}, err
		}
	}
	i.Nlink++
	if err := c.housed(i, p.dir); err != nil {
		return about{}, err
	}
	c.changed(i, o.Time)
	c.modified(p.dir, o.Time)
	return about{inode: i, parent: p.dir}, c.enter(p, i)
}

// unlink removes a name that is not a directory's.
func (c *change) unlink(o *fs.Unlink) (about, error) {
	p, i, err := c.taken(o.Parent, o.Name)
	if err != nil {
		return about{}, err
	}
	if i.IsDir() {
		return about{}, refuse(fs.ErrIsDir)
	}
	return c.remove(p, i, o.Time)
}

// rmdir removes an empty directory.
func (c *change) rmdir(o *fs.Rmdir) (about, error) {
	p, i, err := c.taken(o.Parent, o.Name)
	if err != nil {
		return about{}, err
	}
	if !i.IsDir() {
		return about{}, refuse(fs.ErrNotDir)
	}
	if i.entries > 0 {
		return about{}, refuse(fs.ErrNotEmpty)
	}
	return c.remove(p, i, o.Time)
}

func (c *change) remove(p *place, i *inode, t fs.Time) (about, error) {
	if err := c.leave(p); err != nil {
		return about{}, err
	}
	detach(p.dir, i)
	c.modified(p.dir, t)
	return about{inode: i, parent: p.dir}, c.lose(i, p.dir, t)
}
