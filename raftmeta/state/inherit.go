package state

import "dfs/fs"

// inherit gives a new inode what its directory, nil for none, hands on: the group, if that is set-gid, and access by the
// default ACL, or else without the umask.
func (c *change) inherit(i, dir *inode, umask uint32) error {
	if dir != nil && dir.Mode&fs.ModeSetgid != 0 {
		i.GID = dir.GID
		if i.IsDir() {
			i.Mode |= fs.ModeSetgid
		}
	}
	if i.Type == fs.TypeSymlink {
		return nil
	}
	if dir != nil {
		a, err := c.storedACL(dir, fs.XattrACLDefault)
		if err != nil {
			return err
		}
		if a != nil {
			return c.inheritACL(i, a)
		}
	}
	i.Mode &^= umask & fs.ModePerm
	return nil
}

// inheritACL gives a new inode access by its directory's default ACL, which a new directory hands on.
func (c *change) inheritACL(i *inode, a acl) error {
	if i.IsDir() {
		if err := c.putXattr(i, fs.XattrACLDefault, nil, a.encode()); err != nil {
			return err
		}
	}
	a.restrict(i.Mode)
	i.Mode = i.Mode&^fs.ModePerm | a.mode()
	if a.minimal() {
		return nil
	}
	return c.putXattr(i, fs.XattrACLAccess, nil, a.encode())
}

// inheritNear is inherit for what is made without a name.
func (c *change) inheritNear(i *inode, o *fs.Create) error {
	if o.Near == 0 {
		return c.inherit(i, nil, o.Umask)
	}
	dir, err := c.existing(o.Near)
	if err != nil {
		return err
	}
	if !dir.IsDir() {
		return refuse(fs.ErrNotDir)
	}
	return c.inherit(i, dir, o.Umask)
}
