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

// form makes the root directory, fixes the configuration and records the founders. A second Init changes nothing.
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
	for _, founder := range m.Founders {
		if err := c.putNode(&command.PutNode{Node: founder, Storing: true}); err != nil {
			return err
		}
	}
	return c.kv.Set([]byte(keyConfig), encode(&c.config))
}

// minReplicas is how many votes a new blob needs now: as many as are wanted, but no more than there are nodes that count.
// So the first node of a cluster serves alone, and from the moment that a second one counts its votes do not suffice any
// more. Nothing but RemoveNode lowers it.
func (c *change) minReplicas() int { return minReplicas(&c.config, &c.n) }

func minReplicas(config *Config, n *counters) int {
	return int(max(1, min(uint64(config.MinReplicas), n.storing)))
}

// born adds a new inode.
func (c *change) born(i *inode) {
	c.keep(i)
	c.touch(i)
	c.n.stats.Inodes++
	i.counted = c.ledger.on
}

// putNode records a node, unless it was removed: its name is used up.
func (c *change) putNode(m *command.PutNode) error {
	id := m.Node.ID
	if id == "" || len(id) > nodeIDMax {
		return refuse(fs.ErrInvalid)
	}
	var n node
	if _, err := get(c.kv, nodeKey(id), &n); err != nil {
		return err
	}
	if n.removed {
		return refuse(fs.ErrRemoved)
	}
	if m.Storing && !n.storing {
		n.storing = true
		c.n.storing++
	}
	n.addr, n.zone = m.Node.Addr, m.Node.Zone
	return c.kv.Set(nodeKey(id), encode(&n))
}

// removeNode leaves a tombstone for ever: a transaction that was under way does not count the node as a replica, and
// nobody comes back under its name. It takes the node off every blob's list (see counted). The scan of the whole blob
// table is the price of keeping no index by node: removals are rare.
func (c *change) removeNode(m *command.RemoveNode) error {
	var n node
	if known, err := get(c.kv, nodeKey(m.Node), &n); err != nil || !known || n.removed {
		return err
	}
	if n.storing {
		c.n.storing--
	}
	if err := c.kv.Set(nodeKey(m.Node), encode(&node{removed: true})); err != nil {
		return err
	}
	c.removed[m.Node] = true
	return c.resettle(m.Node)
}

// resettle marks the blobs that list a node as changed.
func (c *change) resettle(node fs.NodeID) error {
	var listing []fs.BlobID
	from := []byte{keyBlob}
	err := scan(c.kv, from, prefixEnd(from), func(_, value []byte) (bool, error) {
		var b BlobRecord
		err := decode(value, &b)
		if slices.Contains(b.Replicas, node) {
			listing = append(listing, b.ID)
		}
		return true, err
	})
	if err != nil {
		return err
	}
	for _, id := range listing {
		b, err := c.blob(id)
		if err != nil {
			return err
		}
		b.dirty = true
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
