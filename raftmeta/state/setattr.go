package state

import (
	"math"

	"dfs/fs"
)

const setAll = fs.SetMode | fs.SetUID | fs.SetGID | fs.SetSize | fs.SetAtime | fs.SetMtime

// setattr changes attributes; see fs.Setattr. Without any field it still sets Ctime, as chown(2) to -1, -1 does.
func (c *change) setattr(o *fs.Setattr) (about, error) {
	if o.Set&^setAll != 0 {
		return about{}, refuse(fs.ErrInvalid)
	}
	i, err := c.existing(o.Ino)
	if err != nil {
		return about{}, err
	}
	if o.Set&fs.SetSize != 0 {
		if err := c.truncate(i, o.Size); err != nil {
			return about{}, err
		}
		i.Mtime = o.Time
	}
	if o.Set&fs.SetMode != 0 && i.Type == fs.TypeSymlink {
		return about{}, refuse(fs.ErrNotSupported)
	}
	o.Apply(&i.Attr)
	c.touch(i)
	if o.Set&fs.SetMode != 0 {
		return about{inode: i}, c.chmodACL(i)
	}
	return about{inode: i}, nil
}

// truncate sets the size of a regular file. What lies behind it is cut off, so that a later extension reads zeros.
func (c *change) truncate(i *inode, size uint64) error {
	if err := onlyRegular(i); err != nil {
		return err
	}
	if size > fs.SizeMax {
		return refuse(fs.ErrFileTooBig)
	}
	if size < i.Size {
		if err := c.cut(i, size, math.MaxUint64, c.newBudget()); err != nil {
			return err
		}
	}
	i.Size = size
	return nil
}
