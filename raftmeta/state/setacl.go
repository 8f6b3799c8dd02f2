package state

import "dfs/fs"

// setACL is what is to be stored for an ACL that is set, nil for nothing. An access ACL sets the mode's permissions.
func setACL(i *inode, o *fs.Setxattr) ([]byte, error) {
	a, ok := parseACL(o.Value)
	switch {
	case len(o.Value) > aclMax:
		return nil, refuse(fs.ErrXattrTooBig)
	case !ok:
		return nil, refuse(fs.ErrInvalid)
	case i.Type == fs.TypeSymlink:
		return nil, refuse(fs.ErrNotSupported)
	case o.Name == fs.XattrACLDefault && !i.IsDir():
		return nil, refuse(fs.ErrAccess)
	case len(a) == 0:
		return nil, nil
	case o.Name == fs.XattrACLDefault:
		return o.Value, nil
	}
	i.Mode = i.Mode&^fs.ModePerm | a.mode()
	if o.KillSetgid {
		i.Mode &^= fs.ModeSetgid
	}
	if a.minimal() {
		return nil, nil
	}
	return o.Value, nil
}

// storedACL reads an ACL, nil if there is none.
func (c *change) storedACL(i *inode, name string) (acl, error) {
	x, err := c.xattr(i, name)
	if err != nil || x == nil {
		return nil, err
	}
	a, ok := parseACL(x.value)
	if !ok || len(a) == 0 {
		return nil, corrupt("inode %d has %q %x", i.Ino, name, x.value)
	}
	return a, nil
}

// chmodACL keeps the access ACL, if there is one, in step with a mode that was set.
func (c *change) chmodACL(i *inode) error {
	a, err := c.storedACL(i, fs.XattrACLAccess)
	if err != nil || a == nil {
		return err
	}
	a.chmod(i.Mode)
	return c.kv.Set(xattrKey(i.Ino, fs.XattrACLAccess), encode(&xattr{a.encode()}))
}
