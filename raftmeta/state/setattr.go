package state

import (
	"math"

	"dfs/fs"
)

const setAll = fs.SetMode | fs.SetUID | fs.SetGID | fs.SetSize | fs.SetAtime | fs.SetMtime

// groupExec is the permission that makes the set-gid bit of a file mean set-gid.
const groupExec = 0o010

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
	chown(i, o)
	if o.Set&fs.SetMode != 0 {
		i.Mode = o.Mode & fs.ModeMask
	}
	if o.Set&fs.SetAtime != 0 {
		i.Atime = o.Atime
	}
	if o.Set&fs.SetMtime != 0 {
		i.Mtime = o.Mtime
	}
	c.changed(i, o.Time)
	return about{inode: i}, nil
}

// chown sets the owners. Those of a program that runs under its owner's rights lose it that right: the set-uid bit
// always, the set-gid bit unless it only means mandatory locking (chown(2)).
func chown(i *inode, o *fs.Setattr) {
	if o.Set&(fs.SetUID|fs.SetGID) == 0 {
		return
	}
	if o.Set&fs.SetUID != 0 {
		i.UID = o.UID
	}
	if o.Set&fs.SetGID != 0 {
		i.GID = o.GID
	}
	if i.IsDir() {
		return
	}
	i.Mode &^= fs.ModeSetuid
	if i.Mode&groupExec != 0 {
		i.Mode &^= fs.ModeSetgid
	}
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
