package state

import (
	"slices"

	"dfs/fs"
	"dfs/raftmeta/command"
)

// replicasMax bounds how many replicas a blob may be wanted to have or claim.
const replicasMax = 64

// blob is a blob record at work: what becomes of it is settled once, at the end of the command.
type blob struct {
	BlobRecord
	fresh  bool // registered by this command
	spent  bool // garbage since an earlier command
	dirty  bool
	forget bool
}

// blob is the shared copy of a blob's record, nil if it is not in the table.
func (c *change) blob(id fs.BlobID) (*blob, error) {
	if b, ok := c.blobs[id]; ok {
		return b, nil
	}
	b := &blob{}
	ok, err := get(c.kv, blobKey(keyBlob, id), &b.BlobRecord)
	if err != nil || !ok {
		return nil, err
	}
	b.spent = b.LiveBytes == 0
	c.blobs[id] = b
	c.named = append(c.named, b)
	return b, nil
}

// register puts a transaction's new blob into the table.
func (c *change) register(tx *fs.Tx, info *fs.BlobInfo) error {
	if info.ID.Session != tx.ID.Session || info.ID.Counter == 0 || info.Length == 0 || info.Length > fs.BlobMax ||
		tx.Replicas < 1 || tx.Replicas > replicasMax || len(info.Replicas) > replicasMax {
		return refuse(fs.ErrInvalid)
	}
	if b, err := c.blob(info.ID); err != nil {
		return err
	} else if b != nil {
		return refuse(fs.ErrInvalid)
	}
	b := &blob{fresh: true, dirty: true}
	b.BlobInfo, b.Wanted, b.Seq, b.Index = *info, tx.Replicas, tx.ID.Seq, c.index
	if b.Replicas = distinct(info.Replicas); len(b.Replicas) == 0 {
		return refuse(fs.ErrInvalid)
	}
	if count, err := c.counted(b); err != nil {
		return err
	} else if count < c.minReplicas() {
		return refuse(fs.ErrConflict) // since the votes were given a node was removed, or one came and more are needed
	}
	c.blobs[info.ID] = b
	c.named = append(c.named, b)
	return nil
}

// counted is how many of a blob's replicas lie on nodes that have not been removed. With others left, removed ones go off
// the list; when none is left the list stays, because the bytes may still be had from there.
func (c *change) counted(b *blob) (int, error) {
	var count []fs.NodeID
	for _, id := range b.Replicas {
		removed, err := c.isRemoved(id)
		if err != nil {
			return 0, err
		}
		if !removed {
			count = append(count, id)
		}
	}
	if len(count) > 0 {
		b.Replicas = count
	}
	return len(count), nil
}

// distinct copies ids without repetitions, in order; nil if one is no valid id or there are none.
func distinct(ids []fs.NodeID) []fs.NodeID {
	var out []fs.NodeID
	for _, id := range ids {
		if id == "" || len(id) > nodeIDMax {
			return nil
		}
		if !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out
}

// mapped checks a new reference to a blob that a Write makes.
func (c *change) mapped(e *fs.Extent) error {
	b, err := c.blob(e.Blob)
	if err != nil {
		return err
	}
	if b == nil || b.spent {
		return refuse(fs.ErrStale)
	}
	if length := uint64(b.Length); e.BlobOff > length || e.Len > length-e.BlobOff {
		return refuse(fs.ErrInvalid)
	}
	return nil
}

// refer and unrefer count an extent that came or went.
func (c *change) refer(e *fs.Extent) error {
	if e.Inline() {
		return nil
	}
	b, err := c.blob(e.Blob)
	if err != nil {
		return err
	}
	if b == nil || b.spent {
		return corrupt("an extent refers to blob %v, which is not live", e.Blob)
	}
	b.LiveBytes += e.Len
	c.n.stats.LiveBytes += e.Len
	b.dirty = true
	return nil
}

func (c *change) unrefer(e *fs.Extent) error {
	if e.Inline() {
		return nil
	}
	b, err := c.blob(e.Blob)
	if err != nil {
		return err
	}
	if b == nil || b.LiveBytes < e.Len {
		return corrupt("more is mapped of blob %v than is accounted for", e.Blob)
	}
	b.LiveBytes -= e.Len
	c.n.stats.LiveBytes -= e.Len
	b.dirty = true
	return nil
}

// settle decides at the end of a command what has become of the blobs that it changed: live or garbage, in debt or not.
func (c *change) settle() error {
	for _, b := range c.named {
		if !b.dirty {
			continue
		}
		if err := c.settleBlob(b); err != nil {
			return err
		}
	}
	return nil
}

func (c *change) settleBlob(b *blob) error {
	s := &c.n.stats
	if b.fresh {
		s.Blobs++
		s.BlobBytes += uint64(b.Length)
	}
	if b.forget {
		s.Blobs--
		s.BlobBytes -= uint64(b.Length)
		s.Garbage--
		if err := c.kv.Delete(blobKey(keyGarbage, b.ID)); err != nil {
			return err
		}
		return c.kv.Delete(blobKey(keyBlob, b.ID))
	}
	if b.LiveBytes == 0 && !b.spent {
		s.Garbage++
		if err := c.kv.Set(blobKey(keyGarbage, b.ID), encode(&garbage{since: c.index})); err != nil {
			return err
		}
	}
	if err := c.settleDebt(b); err != nil {
		return err
	}
	return c.kv.Set(blobKey(keyBlob, b.ID), encode(&b.BlobRecord))
}

// settleDebt keeps the debt key: a live blob has one while fewer replicas count than are wanted. Garbage is owed nothing.
func (c *change) settleDebt(b *blob) error {
	count, err := c.counted(b)
	if err != nil {
		return err
	}
	debt := b.LiveBytes > 0 && count < b.Wanted
	if debt == b.debt {
		return nil
	}
	b.debt = debt
	if debt {
		c.n.stats.UnderReplicated++
		return c.kv.Set(blobKey(keyDebt, b.ID), encode(&mark{}))
	}
	c.n.stats.UnderReplicated--
	return c.kv.Delete(blobKey(keyDebt, b.ID))
}

// forget removes garbage from the table; blobs that are live or unknown are left alone.
func (c *change) forget(m *command.Forget) error {
	for _, id := range m.Blobs {
		b, err := c.blob(id)
		if err != nil {
			return err
		}
		if b != nil && b.spent {
			b.forget, b.dirty = true, true
		}
	}
	return nil
}

// setReplicas changes where a blob lies. It refuses with ErrInvalid to leave no replica that counts, and with ErrConflict
// to add a node that was removed.
func (c *change) setReplicas(m *command.SetReplicas) error {
	b, err := c.blob(m.Blob)
	if err != nil {
		return err
	}
	if b == nil {
		return refuse(fs.ErrNotExist)
	}
	for _, id := range m.Add {
		removed, err := c.isRemoved(id)
		if err != nil {
			return err
		}
		if removed {
			return refuse(fs.ErrConflict)
		}
	}
	list := distinct(slices.Concat(b.Replicas, m.Add))
	list = slices.DeleteFunc(list, func(id fs.NodeID) bool { return slices.Contains(m.Remove, id) })
	b.Replicas, b.dirty = list, true
	if count, err := c.counted(b); err != nil {
		return err
	} else if count == 0 || count > replicasMax {
		return refuse(fs.ErrInvalid)
	}
	return nil
}
