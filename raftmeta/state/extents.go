package state

import (
	"bytes"

	"dfs/fs"
)

// budget bounds how many extents one operation touches, and together with the others of its command.
type budget struct {
	left    int
	command *int
}

func (c *change) newBudget() *budget { return &budget{fs.ExtentsMax, &c.extentsLeft} }

func (b *budget) spend(n int) error {
	b.left -= n
	*b.command -= n
	if b.left < 0 || *b.command < 0 {
		return refuse(fs.ErrTooManyExtents)
	}
	return nil
}

// scanExtents calls fn for the extents of an inode that overlap [from, to), rising.
func scanExtents(r Reader, ino fs.Ino, from, to uint64, fn func(fs.Extent) (bool, error)) error {
	first := after(extentKey(ino, from))
	last := prefixEnd(key1(keyExtent, uint64(ino)))
	return scan(r, first, last, func(key, value []byte) (bool, error) {
		e, err := decodeExtent(key, value)
		if err != nil || e.Off >= to {
			return false, err
		}
		return fn(e)
	})
}

func decodeExtent(key, value []byte) (fs.Extent, error) {
	var r extent
	if err := decode(value, &r); err != nil {
		return fs.Extent{}, err
	}
	end, err := keyNumber(key, 9)
	if err == nil && (r.Len == 0 || r.Off >= end || end-r.Off != r.Len || r.Inline() && uint64(len(r.Data)) != r.Len) {
		err = corrupt("extent %x contradicts its key", key)
	}
	return r.Extent, err
}

// overlapping returns the extents that overlap [from, to), whole.
func (c *change) overlapping(i *inode, from, to uint64, b *budget) ([]fs.Extent, error) {
	if from >= i.Size || from >= to || i.Used == 0 { // the common append needs no scan
		return nil, nil
	}
	var found []fs.Extent
	err := scanExtents(c.kv, i.Ino, from, to, func(e fs.Extent) (bool, error) {
		found = append(found, e)
		return true, b.spend(1)
	})
	return found, err
}

// cut unmaps [from, to): extents inside go, those at its edges are trimmed, one that spans it becomes two.
func (c *change) cut(i *inode, from, to uint64, b *budget) error {
	old, err := c.overlapping(i, from, to, b)
	if err != nil {
		return err
	}
	for _, e := range old {
		if err := c.unmap(i, &e); err != nil {
			return err
		}
		if e.Off < from {
			if err := c.mapExtent(i, e.Slice(e.Off, from)); err != nil {
				return err
			}
		}
		if e.End() > to {
			if err := c.mapExtent(i, e.Slice(to, e.End())); err != nil {
				return err
			}
		}
	}
	return nil
}

// mapExtent stores an extent where nothing is mapped; unmap removes one. Both keep Used and the blobs' live bytes.
func (c *change) mapExtent(i *inode, e fs.Extent) error {
	i.Used += e.Len
	if err := c.refer(&e); err != nil {
		return err
	}
	return c.kv.Set(extentKey(i.Ino, e.End()), encode(&extent{e}))
}

func (c *change) unmap(i *inode, e *fs.Extent) error {
	if i.Used < e.Len {
		return corrupt("inode %d maps more than its Used says", i.Ino)
	}
	i.Used -= e.Len
	if err := c.unrefer(e); err != nil {
		return err
	}
	return c.kv.Delete(extentKey(i.Ino, e.End()))
}

// put maps e over whatever lay there, joined with its neighbours where they continue each other. The caller raises the
// size afterwards.
func (c *change) put(i *inode, e fs.Extent, b *budget) error {
	if err := b.spend(1); err != nil {
		return err
	}
	if err := c.cut(i, e.Off, e.End(), b); err != nil {
		return err
	}
	return c.fill(i, e, true)
}

// fill maps e where nothing is mapped, joined with its neighbours; beyond says that there may be one behind it. To look
// for that one takes a scan over all that was just cut there.
func (c *change) fill(i *inode, e fs.Extent, beyond bool) error {
	left, err := c.endingAt(i, e.Off)
	if err != nil {
		return err
	}
	if left != nil && c.joins(left, &e) {
		if err := c.unmap(i, left); err != nil {
			return err
		}
		e = join(left, &e)
	}
	if !beyond {
		return c.mapExtent(i, e)
	}
	right, err := c.startingAt(i, e.End())
	if err != nil {
		return err
	}
	if right != nil && c.joins(&e, right) {
		if err := c.unmap(i, right); err != nil {
			return err
		}
		e = join(&e, right)
	}
	return c.mapExtent(i, e)
}

func (c *change) endingAt(i *inode, off uint64) (*fs.Extent, error) {
	if off == 0 || i.Used == 0 {
		return nil, nil
	}
	key := extentKey(i.Ino, off)
	value, err := c.kv.Get(key)
	if err != nil || value == nil {
		return nil, err
	}
	e, err := decodeExtent(key, value)
	return &e, err
}

func (c *change) startingAt(i *inode, off uint64) (*fs.Extent, error) {
	if off >= i.Size || i.Used == 0 {
		return nil, nil
	}
	var found *fs.Extent
	err := scanExtents(c.kv, i.Ino, off, off+1, func(e fs.Extent) (bool, error) {
		found = &e
		return false, nil
	})
	return found, err
}

// joins reports whether b, which starts where a ends, continues it: in the same blob, or as inline data that stays
// small. A joined extent lies within its blob, so its length is bounded by the blob's.
func (c *change) joins(a, b *fs.Extent) bool {
	if a.Inline() || b.Inline() {
		return a.Inline() && b.Inline() && a.Len+b.Len <= uint64(c.config.InlineMax)
	}
	return a.Blob == b.Blob && a.BlobOff+a.Len == b.BlobOff
}

func join(a, b *fs.Extent) fs.Extent {
	e := *a
	e.Len += b.Len
	if a.Inline() {
		e.Data = bytes.Join([][]byte{a.Data, b.Data}, nil)
	}
	return e
}
