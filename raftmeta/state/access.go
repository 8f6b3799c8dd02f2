package state

import "dfs/fs"

// access records a read; see fs.Access. It gives the inode no new Version: nobody has to read again what he has, and a mount
// keeps its pages when it has read.
func (c *change) access(s *SessionRecord, o *fs.Access) (about, error) {
	if s.bound() {
		in, err := c.tree().within(o.Ino, s.Root)
		if err != nil || !in {
			return about{}, err
		}
	}
	i, err := c.inode(o.Ino)
	if err != nil || i == nil {
		return about{}, err
	}
	if i.Atime == o.Seen {
		i.Atime = o.Time
		i.dirty = true
	}
	return about{inode: i}, nil
}
