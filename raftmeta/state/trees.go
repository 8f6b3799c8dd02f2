package state

import "dfs/fs"

// Which tree an inode is charged to; see DESIGN.md, "Quotas".

// homesMax bounds in how many directories a file may have names and still be counted for a tree that they all lie in.
const homesMax = 64

// around is the tree that an inode lies in: of the root of a tree that is the one outside of it.
func (c *change) around(i *inode) (fs.Ino, error) {
	if i.tree != i.Ino {
		return i.tree, nil
	}
	a, err := c.treeAccount(i.Ino)
	if err != nil {
		return 0, err
	}
	return a.outer, nil
}

// transfer charges an inode to another tree or, if it is the root of one, all of that. What comes to a tree in this way was
// there before: no limit speaks against it.
func (c *change) transfer(i *inode, to fs.Ino) error {
	if err := c.rebill(i, booking{free: true}); err != nil {
		return err
	}
	if i.tree != i.Ino {
		i.tree, i.dirty = to, true
		return c.rebill(i, booking{free: true})
	}
	a, err := c.treeAccount(i.Ino)
	if err != nil {
		return err
	}
	if err := c.chargeTrees(a.outer, a.used, booking{refund: true, free: true}); err != nil {
		return err
	}
	a.outer, a.dirty = to, true
	return c.chargeTrees(to, a.used, booking{free: true})
}

// takeIn makes sure that what has a name in dir is charged to dir's tree. It is not yet, or no longer, while a walk is under way that
// has reached dir only. A file that has names in other trees too stays with the one around all of them.
func (c *change) takeIn(i, dir *inode) error {
	if !c.ledger.on {
		return nil
	}
	around, err := c.around(i)
	if err != nil || around == dir.tree {
		return err
	}
	to := dir.tree
	if !i.IsDir() && i.Nlink > 1 {
		if to, err = c.common(i, around, to); err != nil || to == around {
			return err
		}
	}
	root := i.tree == i.Ino
	if err := c.transfer(i, to); err != nil {
		return err
	}
	if i.IsDir() && !root && i.entries > 0 {
		return c.enqueue(i.Ino)
	}
	return nil
}

// common is the tree that a file of several names belongs to, one of them in a certain tree: that one if it holds all of
// them, else the tree that it is in already or, if that is being left, the one around it.
func (c *change) common(i *inode, around, tree fs.Ino) (fs.Ino, error) {
	all, err := c.allIn(i, tree)
	if err != nil || all {
		return tree, err
	}
	if around == 0 || around != c.ledger.walking {
		return around, nil
	}
	a, err := c.treeAccount(around)
	if err != nil || a.phase != treeLeaving {
		return around, err
	}
	return a.outer, nil
}

// allIn reports whether all names of a file of several names are in directories of one tree.
func (c *change) allIn(i *inode, tree fs.Ino) (bool, error) {
	homes, err := readHomes(c.kv, i.Ino, homesMax+1)
	if err != nil || len(homes) > homesMax {
		return false, err
	}
	for _, home := range homes {
		dir, err := c.referred(home)
		if err != nil || dir.tree != tree {
			return false, err
		}
	}
	return true, nil
}

// enrol is called before an inode gets one more name, in dir. It may get it in the tree only that it is charged to, but for
// its first.
func (c *change) enrol(i, dir *inode) error {
	if !c.ledger.on {
		return nil
	}
	if i.Nlink == 0 {
		i.tree = dir.tree
		return nil
	}
	if i.Nlink == 1 {
		home, err := c.referred(i.home)
		if err != nil {
			return err
		}
		if err := c.takeIn(i, home); err != nil {
			return err
		}
	}
	if i.tree != dir.tree {
		return refuse(fs.ErrCrossDevice)
	}
	return nil
}

// cross is called before a name moves from one directory to another. A file takes its usage along; a directory, or a file that
// keeps other names where it was, cannot leave its tree, as on XFS: moving it would be to count what may be any number of inodes.
func (c *change) cross(i, from, to *inode) error {
	if !c.ledger.on {
		return nil
	}
	if err := c.takeIn(i, from); err != nil {
		return err
	}
	if from.tree == to.tree {
		return nil
	}
	if i.IsDir() || i.Nlink > 1 {
		return refuse(fs.ErrCrossDevice)
	}
	i.tree = to.tree
	return nil
}
