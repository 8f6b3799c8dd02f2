package state

import (
	"math"

	"dfs/fs"
	"dfs/raftmeta/command"
)

// reap frees orphans, at most m.Extents extents in all; one that still has extents, or that is the home of other orphans,
// stays an orphan, for a later command.
func (c *change) reap(m *command.Reap) error {
	left := min(m.Extents, fs.ExtentsMax)
	for _, ino := range m.Inos {
		lost, err := has(c.kv, orphanKey(ino))
		if err != nil {
			return err
		}
		if !lost {
			continue
		}
		i, err := c.referred(ino)
		if err != nil {
			return err
		}
		if i.wards > 0 { // what lay in it is to be found by way of it
			continue
		}
		if err := c.reapExtents(i, &left); err != nil {
			return err
		}
		if i.Used > 0 {
			continue
		}
		if err := c.bury(i); err != nil {
			return err
		}
	}
	return nil
}

// reapExtents frees extents while the command's bound allows it.
func (c *change) reapExtents(i *inode, left *int) error {
	if i.Used == 0 || *left <= 0 {
		return nil
	}
	var freed []fs.Extent
	err := scanExtents(c.kv, i.Ino, 0, math.MaxUint64, func(e fs.Extent) (bool, error) {
		freed = append(freed, e)
		*left--
		return *left > 0, nil
	})
	if err != nil {
		return err
	}
	for k := range freed {
		if err := c.unmap(i, &freed[k]); err != nil {
			return err
		}
	}
	c.touch(i)
	return nil
}

// bury removes an orphan that maps nothing.
func (c *change) bury(i *inode) error {
	prefix := key1(keyXattr, uint64(i.Ino))
	if err := c.deleteRange(prefix, prefixEnd(prefix)); err != nil {
		return err
	}
	i.gone = true
	c.n.stats.Inodes--
	if err := c.adopt(i); err != nil {
		return err
	}
	if !c.ledger.on {
		return nil
	}
	if err := c.rebill(i, booking{}); err != nil {
		return err
	}
	return c.buryTree(i)
}
