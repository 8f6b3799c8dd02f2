package state

import (
	"strings"

	"dfs/fs"
)

func checkXattrName(name string) error {
	switch {
	case name == "" || strings.Contains(name, "\x00"):
		return refuse(fs.ErrInvalid)
	case len(name) > fs.NameMax:
		return refuse(fs.ErrNameTooLong)
	}
	return nil
}

// setxattr sets an extended attribute; see fs.Setxattr.
func (c *change) setxattr(o *fs.Setxattr) (about, error) {
	if o.Flags != 0 && o.Flags != fs.XattrCreate && o.Flags != fs.XattrReplace {
		return about{}, refuse(fs.ErrInvalid)
	}
	if len(o.Value) > fs.XattrMax {
		return about{}, refuse(fs.ErrXattrTooBig)
	}
	i, old, err := c.findXattr(o.Ino, o.Name)
	if err != nil {
		return about{}, err
	}
	if old != nil && o.Flags == fs.XattrCreate {
		return about{}, refuse(fs.ErrExist)
	}
	if old == nil && o.Flags == fs.XattrReplace {
		return about{}, refuse(fs.ErrNoXattr)
	}
	value := o.Value
	if fs.IsACL(o.Name) {
		if value, err = setACL(i, o); err != nil {
			return about{}, err
		}
	}
	c.changed(i, o.Time)
	if value == nil && fs.IsACL(o.Name) {
		return about{inode: i}, c.dropXattr(i, o.Name, old)
	}
	return about{inode: i}, c.putXattr(i, o.Name, old, value)
}

// putXattr stores an extended attribute in place of old, nil for none.
func (c *change) putXattr(i *inode, name string, old *xattr, value []byte) error {
	size := i.xattrBytes + uint64(len(name)+len(value))
	if old != nil {
		size -= uint64(len(name) + len(old.value))
	}
	if size > fs.XattrsMax {
		return refuse(fs.ErrXattrTooBig)
	}
	i.xattrBytes = size
	return c.kv.Set(xattrKey(i.Ino, name), encode(&xattr{value}))
}

// dropXattr removes an extended attribute, nil for none.
func (c *change) dropXattr(i *inode, name string, old *xattr) error {
	if old == nil {
		return nil
	}
	i.xattrBytes -= uint64(len(name) + len(old.value))
	return c.kv.Delete(xattrKey(i.Ino, name))
}

// removexattr removes an extended attribute. An inode without an ACL has one that says nothing: to remove it is no error.
func (c *change) removexattr(o *fs.Removexattr) (about, error) {
	i, old, err := c.findXattr(o.Ino, o.Name)
	if err != nil {
		return about{}, err
	}
	if old == nil && fs.IsACL(o.Name) {
		return about{inode: i}, nil
	}
	if old == nil {
		return about{}, refuse(fs.ErrNoXattr)
	}
	c.changed(i, o.Time)
	return about{inode: i}, c.dropXattr(i, o.Name, old)
}

func (c *change) findXattr(ino fs.Ino, name string) (*inode, *xattr, error) {
	if err := checkXattrName(name); err != nil {
		return nil, nil, err
	}
	i, err := c.existing(ino)
	if err != nil {
		return nil, nil, err
	}
	x, err := c.xattr(i, name)
	return i, x, err
}

// xattr reads an extended attribute, nil if there is none.
func (c *change) xattr(i *inode, name string) (*xattr, error) {
	if i.xattrBytes == 0 {
		return nil, nil
	}
	x := &xattr{}
	ok, err := get(c.kv, xattrKey(i.Ino, name), x)
	if err != nil || !ok {
		return nil, err
	}
	return x, nil
}
