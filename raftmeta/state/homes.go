package state

import (
	"dfs/fs"
	"dfs/fs/wire"
)

// Where an inode lies is told upwards by its *homes*, the directories that hold its names: a directory's Parent, the home of
// what has one name, a key for each directory of what has more. An orphan has the home of its last name.

// homeCount is how many names of an inode a directory holds.
type homeCount struct{ n uint64 }

func (r *homeCount) wire(c *wire.Coder) { c.Uint64(&r.n) }

// housed records that an inode got a name in dir. Its Nlink counts the name already.
func (c *change) housed(i, dir *inode) error {
	switch {
	case i.IsDir():
		return nil
	case i.Nlink == 1:
		i.home = dir.Ino
		return nil
	case i.Nlink == 2:
		if err := c.countHome(i, i.home, 1); err != nil {
			return err
		}
		i.home = 0
	}
	return c.countHome(i, dir.Ino, 1)
}

// rehoused records that a name of an inode has moved to another directory.
func (c *change) rehoused(i, from, to *inode) error {
	switch {
	case i.IsDir() || from == to:
		return nil
	case i.Nlink == 1:
		i.home = to.Ino
		return nil
	}
	if err := c.countHome(i, from.Ino, -1); err != nil {
		return err
	}
	return c.countHome(i, to.Ino, 1)
}

// unhoused records that an inode has lost a name in dir and has others left. Its Nlink does not count the name any more.
func (c *change) unhoused(i, dir *inode) error {
	if err := c.countHome(i, dir.Ino, -1); err != nil || i.Nlink > 1 {
		return err
	}
	homes, err := readHomes(c.kv, i.Ino, 2)
	if err != nil {
		return err
	}
	if len(homes) != 1 {
		return corrupt("inode %d has one name, in the directories %v", i.Ino, homes)
	}
	i.home = homes[0]
	return c.kv.Delete(homeKey(i.Ino, i.home))
}

func (c *change) countHome(i *inode, dir fs.Ino, by int) error {
	key, r := homeKey(i.Ino, dir), homeCount{}
	if _, err := get(c.kv, key, &r); err != nil {
		return err
	}
	if by < 0 && r.n == 0 {
		return corrupt("inode %d has no name in directory %d to lose", i.Ino, dir)
	}
	if r.n += uint64(by); r.n == 0 {
		return c.kv.Delete(key)
	}
	return c.kv.Set(key, encode(&r))
}

// readHomes reads at most limit of the directories in which an inode of several names has one.
func readHomes(r Reader, ino fs.Ino, limit int) ([]fs.Ino, error) {
	var list []fs.Ino
	prefix := key1(keyHome, uint64(ino))
	err := scan(r, prefix, prefixEnd(prefix), func(key, _ []byte) (bool, error) {
		dir, err := keyNumber(key, 9)
		list = append(list, fs.Ino(dir))
		return len(list) < limit, err
	})
	return list, err
}

// ward leaves an orphan with dir, which stays as long as it does.
func (c *change) ward(i, dir *inode) {
	i.home = dir.Ino
	dir.wards++
	i.dirty, dir.dirty = true, true
}

// release is the end of an orphan, or of its being one.
func (c *change) release(i *inode) error {
	if i.home == 0 {
		return nil
	}
	dir, err := c.referred(i.home)
	if err != nil {
		return err
	}
	if dir.wards == 0 {
		return corrupt("directory %d has no orphan to release", dir.Ino)
	}
	dir.wards--
	i.home = 0
	i.dirty, dir.dirty = true, true
	return nil
}

// climbMax bounds how many inodes are looked at to find out where one lies. What lies deeper, or has names in more
// directories, is not found.
const climbMax = 16 << 10

// climbsMax bounds the same for all operations of a transaction together: 4096 of them, each 128 directories deep.
const climbsMax = 64 * climbMax

// tree is what is climbed: a state as a change or a View sees it.
type tree struct {
	r     Reader
	inode func(fs.Ino) (*inode, error) // nil: there is none
	left  *int                         // how many more inodes and names may be looked at; nil: any number
}

func (c *change) tree() tree { return tree{c.kv, c.inode, &c.climbsLeft} }

func (v View) tree() tree {
	return tree{v.r, func(ino fs.Ino) (*inode, error) { return readInode(v.r, ino) }, nil}
}

// spend counts n looks.
func (t tree) spend(n int) error {
	if t.left == nil {
		return nil
	}
	if *t.left -= n; *t.left < 0 {
		return refuse(fs.ErrTooManyExtents)
	}
	return nil
}

// homes are the directories above an inode; none for the root, nor for what was made without a name outside of any.
func (t tree) homes(i *inode) ([]fs.Ino, error) {
	switch {
	case i.Ino == fs.RootIno:
		return nil, nil
	case i.IsDir() && i.Nlink > 0:
		return []fs.Ino{i.Parent}, nil
	case i.home != 0:
		return []fs.Ino{i.home}, nil
	case i.Nlink == 0:
		return nil, nil
	}
	return readHomes(t.r, i.Ino, climbMax)
}

// within reports whether an inode is top or lies beneath it by any of its names. What does not exist lies nowhere.
func (t tree) within(ino, top fs.Ino) (bool, error) {
	todo := []fs.Ino{ino}
	var seen map[fs.Ino]bool // from the first inode of several names on: their ways meet
	for n := 0; n < len(todo) && n < climbMax; n++ {
		if todo[n] == top {
			return true, nil
		}
		i, err := t.inode(todo[n])
		if err != nil {
			return false, err
		}
		if i == nil {
			if n == 0 {
				return false, nil
			}
			return false, corrupt("directory %d, above inode %d, is absent", todo[n], ino)
		}
		homes, err := t.homes(i)
		if err == nil {
			err = t.spend(1 + len(homes))
		}
		if err != nil {
			return false, err
		}
		if len(homes) > 1 && seen == nil {
			seen = make(map[fs.Ino]bool)
		}
		for _, dir := range homes {
			if seen == nil || !seen[dir] {
				todo = append(todo, dir)
			}
			if seen != nil {
				seen[dir] = true
			}
		}
	}
	return false, nil
}
