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
	size := i.xattrBytes + uint64(len(o.Name)+len(o.Value))
	if old != nil {
		size -= uint64(len(o.Name) + len(old.value))
	}
	if size > fs.XattrsMax {
		return about{}, refuse(fs.ErrXattrTooBig)
	}
	i.xattrBytes = size
	c.changed(i, o.Time)
	return about{inode: i}, c.kv.Set(xattrKey(i.Ino, o.Name), encode(&xattr{o.Value}))
}

// removexattr removes an extended attribute.
func (c *change) removexattr(o *fs.Removexattr) (about, error) {
	i, old, err := c.findXattr(o.Ino, o.Name)
	if err != nil {
		return about{}, err
	}
	if old == nil {
		return about{}, refuse(fs.ErrNoXattr)
	}
	i.xattrBytes -= uint64(len(o.Name) + len(old.value))
	c.changed(i, o.Time)
	return about{inode: i}, c.kv.Delete(xattrKey(i.Ino, o.Name))
}

func (c *change) findXattr(ino fs.Ino, name string) (*inode, *xattr, error) {
	if err := checkXattrName(name); err != nil {
		return nil, nil, err
	}
	i, err := c.existing(ino)
	if err != nil {
		return nil, nil, err
	}
	x := &xattr{}
	ok, err := get(c.kv, xattrKey(ino, name), x)
	if err != nil || !ok {
		return i, nil, err
	}
	return i, x, nil
}
