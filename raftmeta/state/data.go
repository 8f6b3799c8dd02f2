package state

import "dfs/fs"

// write maps extents; see fs.Write.
func (c *change) write(o *fs.Write) (about, error) {
	i, err := c.regular(o.Ino)
	if err != nil {
		return about{}, err
	}
	if err := c.checkExtents(o.Extents); err != nil {
		return about{}, err
	}
	b, end := c.newBudget(), i.Size
	for _, e := range o.Extents {
		if err := c.put(i, e, b); err != nil {
			return about{}, err
		}
		end = max(end, e.End())
	}
	i.Size = end
	c.written(i, o.Time, o.KillPriv)
	return about{inode: i}, nil
}

// checkExtents refuses extents that are malformed, out of order or refer to what is not there.
func (c *change) checkExtents(extents []fs.Extent) error {
	end := uint64(0)
	for n := range extents {
		e := &extents[n]
		if e.Len == 0 || e.Off < end {
			return refuse(fs.ErrInvalid)
		}
		if err := checkRange(e.Off, e.Len); err != nil {
			return err
		}
		end = e.End()
		if err := c.checkSource(e); err != nil {
			return err
		}
	}
	return nil
}

func (c *change) checkSource(e *fs.Extent) error {
	if !e.Inline() {
		return c.mapped(e)
	}
	if uint64(len(e.Data)) != e.Len || e.Len > fs.TxBytesMax {
		return refuse(fs.ErrInvalid)
	}
	return nil
}

// checkRange refuses a range that reaches beyond SizeMax.
func checkRange(off, length uint64) error {
	if length > fs.SizeMax || off > fs.SizeMax-length {
		return refuse(fs.ErrFileTooBig)
	}
	return nil
}

// allocate is fallocate(2); see fs.Allocate.
func (c *change) allocate(o *fs.Allocate) (about, error) {
	i, err := c.regular(o.Ino)
	if err != nil {
		return about{}, err
	}
	if o.Len == 0 || o.Mode > fs.AllocateZero {
		return about{}, refuse(fs.ErrInvalid)
	}
	if err := checkRange(o.Off, o.Len); err != nil {
		return about{}, err
	}
	end := o.Off + o.Len
	if o.Mode != fs.AllocatePlain {
		if err := c.cut(i, o.Off, end, c.newBudget()); err != nil {
			return about{}, err
		}
	}
	if o.Mode != fs.AllocatePunch && !o.KeepSize {
		i.Size = max(i.Size, end)
	}
	c.written(i, o.Time, o.KillPriv)
	return about{inode: i}, nil
}

// clone shares a range of one file with another, or with another range of itself; see fs.Clone.
func (c *change) clone(o *fs.Clone) (about, error) {
	src, err := c.regular(o.Src)
	if err != nil {
		return about{}, err
	}
	dst, err := c.regular(o.Dst)
	if err != nil {
		return about{}, err
	}
	n := uint64(0)
	if o.SrcOff < src.Size {
		n = min(o.Len, src.Size-o.SrcOff)
	}
	if n == 0 {
		return about{inode: dst}, nil
	}
	if err := checkRange(o.DstOff, n); err != nil {
		return about{}, err
	}
	if src == dst && o.SrcOff < o.DstOff+n && o.DstOff < o.SrcOff+n {
		return about{}, refuse(fs.ErrInvalid)
	}
	if err := c.share(src, o.SrcOff, dst, o.DstOff, n); err != nil {
		return about{}, err
	}
	dst.Size = max(dst.Size, o.DstOff+n)
	c.written(dst, o.Time, o.KillPriv)
	return about{inode: dst, n: n}, nil
}

// share maps what lies in n bytes of src at n bytes of dst, holes included.
func (c *change) share(src *inode, srcOff uint64, dst *inode, dstOff, n uint64) error {
	b := c.newBudget()
	shared, err := c.overlapping(src, srcOff, srcOff+n, b)
	if err != nil {
		return err
	}
	inline := uint64(0)
	for k, e := range shared {
		shared[k] = e.Slice(srcOff, srcOff+n)
		if e.Inline() {
			inline += shared[k].Len
		}
	}
	if c.inlineLeft < inline { // inline data is copied, which must stay as small as writing it would have been
		return refuse(fs.ErrTooManyExtents)
	}
	c.inlineLeft -= inline
	if err := c.cut(dst, dstOff, dstOff+n, b); err != nil {
		return err
	}
	if err := b.spend(len(shared)); err != nil {
		return err
	}
	for k, e := range shared {
		e.Off = e.Off - srcOff + dstOff
		if err := c.fill(dst, e, k == len(shared)-1); err != nil {
			return err
		}
	}
	return nil
}
