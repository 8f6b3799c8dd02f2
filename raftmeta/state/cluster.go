package state

import (
	"slices"

	"dfs/fs"
	"dfs/raftmeta/command"
)

// dirSize is what stat(2) tells of every directory, bytes.
const dirSize = 4096

// nodeIDMax bounds a node's name, bytes.
const nodeIDMax = 255

// form makes the root directory and fixes the configuration. A second Init changes nothing.
func (c *change) form(m *command.Init) error {
	if c.formed {
		return nil
	}
	if m.Cluster == "" || m.MinReplicas < 1 || m.Replicas < m.MinReplicas || m.Replicas > replicasMax ||
		m.InlineMax < 0 || m.SessionTimeout < 1 {
		return refuse(fs.ErrInvalid)
	}
	c.formed = true
	c.config = Config{Cluster: m.Cluster, Replicas: m.Replicas, MinReplicas: m.MinReplicas, InlineMax: m.InlineMax,
		SessionTimeout: m.SessionTimeout, Created: m.Time}
	c.n = counters{nextIno: fs.RootIno + 1, nextSession: 1}
	root := &inode{Attr: fs.Attr{Ino: fs.RootIno, Type: fs.TypeDir, Mode: 0o755, Nlink: 2, Size: dirSize,
		Atime: m.Time, Mtime: m.Time, Ctime: m.Time, Btime: m.Time, Parent: fs.RootIno}, nextCookie: fs.FirstCookie}
	c.born(root)
	return c.kv.Set([]byte(keyConfig), encode(&c.config))
}

// born adds a new inode.
func (c *change) born(i *inode) {
	c.keep(i)
	c.touch(i)
	c.n.stats.Inodes++
}

// putNode records a node. Replicas that were its own when it was removed count again, where they are still listed.
func (c *change) putNode(m *command.PutNode) error {
	id := m.Node.ID
	if id == "" || len(id) > nodeIDMax {
		return refuse(fs.ErrInvalid)
	}
	back, err := c.isRemoved(id)
	if err != nil {
		return err
	}
	if err := c.kv.Set(nodeKey(id), encode(&node{addr: m.Node.Addr, zone: m.Node.Zone})); err != nil {
		return err
	}
	c.removed[id] = false
	if !back {
		return nil
	}
	return c.resettle(keyDebt, id)
}

// removeNode leaves a tombstone, so that a transaction that was under way does not count the node as a replica, and
// takes the node off every blob's list (see counted). The scan of the whole blob table is the price of keeping no index
// by node: removals are rare.
func (c *change) removeNode(m *command.RemoveNode) error {
	known, err := has(c.kv, nodeKey(m.Node))
	if err != nil || !known {
		return err
	}
	if err := c.kv.Set(nodeKey(m.Node), encode(&node{removed: true})); err != nil {
		return err
	}
	c.removed[m.Node] = true
	return c.resettle(keyBlob, m.Node)
}

// resettle marks the blobs that a kind of key names, and that list a node, as changed.
func (c *change) resettle(kind byte, node fs.NodeID) error {
	var ids []fs.BlobID
	from := []byte{kind}
	err := scan(c.kv, from, prefixEnd(from), func(key, _ []byte) (bool, error) {
		id, err := keyBlobID(key)
		ids = append(ids, id)
		return true, err
	})
	if err != nil {
		return err
	}
	for _, id := range ids {
		b, err := c.blob(id)
		if err != nil {
			return err
		}
		if b == nil {
			return corrupt("key %c names blob %v, which is not in the table", kind, id)
		}
		b.dirty = b.dirty || slices.Contains(b.Replicas, node)
	}
	return nil
}

func (c *change) isRemoved(id fs.NodeID) (bool, error) {
	if removed, ok := c.removed[id]; ok {
		return removed, nil
	}
	var n node
	if _, err := get(c.kv, nodeKey(id), &n); err != nil {
		return false, err
	}
	c.removed[id] = n.removed
	return n.removed, nil
}
