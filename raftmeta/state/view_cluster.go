package state

import (
	"fmt"

	"dfs/fs"
)

// Config returns what Init fixed, false before it.
func (v View) Config() (Config, bool, error) {
	var config Config
	ok, err := get(v.r, []byte(keyConfig), &config)
	return config, ok, err
}

// Stats returns the counts that the state keeps; zero before Init.
func (v View) Stats() (Stats, error) {
	var n counters
	_, err := get(v.r, []byte(keyCounters), &n)
	return n.stats, err
}

// MinReplicas is how many replicas a blob must have to be committed now: Config.MinReplicas, but no more than there are
// nodes that store.
func (v View) MinReplicas() (int, error) {
	config, n, err := v.formed()
	return minReplicas(&config, &n), err
}

// formed reads what a session is completed with.
func (v View) formed() (config Config, n counters, err error) {
	if config, _, err = v.Config(); err == nil {
		_, err = get(v.r, []byte(keyCounters), &n)
	}
	return config, n, err
}

// Session returns a live session.
func (v View) Session(id fs.SessionID) (SessionRecord, bool, error) {
	s, err := readSession(v.r, id)
	if err != nil || s == nil {
		return SessionRecord{}, false, err
	}
	config, n, err := v.formed()
	if err != nil {
		return SessionRecord{}, false, err
	}
	s.complete(&config, &n)
	return *s, true, nil
}

// Sessions returns the live sessions by id.
func (v View) Sessions() ([]SessionRecord, error) {
	config, n, err := v.formed()
	if err != nil {
		return nil, err
	}
	var list []SessionRecord
	err = v.each(keySession, nil, func(_, value []byte) (bool, error) {
		var s SessionRecord
		err := decode(value, &s)
		s.complete(&config, &n)
		list = append(list, s)
		return true, err
	})
	return list, err
}

// NodeRecord is a node that was not removed; of its NodeInfo there are ID, Addr and Zone.
type NodeRecord struct {
	fs.NodeInfo
	Storing bool // it counts for MinReplicas
}

// NodeRecords returns the nodes by id.
func (v View) NodeRecords() ([]NodeRecord, error) {
	var list []NodeRecord
	err := v.each(keyNode, nil, func(key, value []byte) (bool, error) {
		var n node
		err := decode(value, &n)
		if !n.removed {
			list = append(list, NodeRecord{fs.NodeInfo{ID: fs.NodeID(key[1:]), Addr: n.addr, Zone: n.zone}, n.storing})
		}
		return true, err
	})
	return list, err
}

// Nodes returns the nodes by id, with ID, Addr and Zone.
func (v View) Nodes() ([]fs.NodeInfo, error) {
	records, err := v.NodeRecords()
	var list []fs.NodeInfo
	for i := range records {
		list = append(list, records[i].NodeInfo)
	}
	return list, err
}

// Removed reports whether a node was a member and has been removed.
func (v View) Removed(id fs.NodeID) (bool, error) {
	var n node
	_, err := get(v.r, nodeKey(id), &n)
	return n.removed, err
}

// Orphans returns inodes without a name above past, at most limit.
func (v View) Orphans(past fs.Ino, limit int) ([]fs.Ino, error) {
	var list []fs.Ino
	if limit < 1 {
		return nil, fmt.Errorf("list %d orphans: %w", limit, fs.ErrInvalid)
	}
	err := v.each(keyOrphan, orphanKey(past), func(key, _ []byte) (bool, error) {
		ino, err := keyNumber(key, 1)
		list = append(list, fs.Ino(ino))
		return len(list) < limit, err
	})
	return list, err
}

// Reapable reports whether an inode is an orphan that no other orphan has as its home: such a one a Reap frees.
func (v View) Reapable(ino fs.Ino) (bool, error) {
	i, err := readInode(v.r, ino)
	return i != nil && i.Nlink == 0 && i.wards == 0, err
}

// Blob returns a blob in the table, live or garbage.
func (v View) Blob(id fs.BlobID) (fs.BlobInfo, bool, error) {
	b, ok, err := v.BlobRecord(id)
	return b.BlobInfo, ok, err
}

// BlobRecord is Blob with all that the table knows of it.
func (v View) BlobRecord(id fs.BlobID) (b BlobRecord, ok bool, err error) {
	ok, err = get(v.r, blobKey(keyBlob, id), &b)
	return b, ok, err
}

// Blobs returns the blob table above past, at most limit entries.
func (v View) Blobs(past fs.BlobID, limit int) ([]BlobRecord, error) {
	var list []BlobRecord
	if limit < 1 {
		return nil, fmt.Errorf("list %d blobs: %w", limit, fs.ErrInvalid)
	}
	err := v.each(keyBlob, blobKey(keyBlob, past), func(_, value []byte) (bool, error) {
		var b BlobRecord
		err := decode(value, &b)
		list = append(list, b)
		return len(list) < limit, err
	})
	return list, err
}

// GarbageRecord is a blob that nothing maps any more.
type GarbageRecord struct {
	fs.BlobInfo
	Index uint64 // the Raft index since which it is garbage
}

// Garbage returns garbage blobs above past, at most limit.
func (v View) Garbage(past fs.BlobID, limit int) ([]GarbageRecord, error) {
	var list []GarbageRecord
	err := v.marked(keyGarbage, past, limit, func(info fs.BlobInfo, value []byte) error {
		var g garbage
		err := decode(value, &g)
		list = append(list, GarbageRecord{info, g.since})
		return err
	})
	return list, err
}

// Debt returns live blobs above past with fewer replicas than wanted, at most limit.
func (v View) Debt(past fs.BlobID, limit int) ([]fs.BlobInfo, error) {
	var list []fs.BlobInfo
	err := v.marked(keyDebt, past, limit, func(info fs.BlobInfo, _ []byte) error {
		list = append(list, info)
		return nil
	})
	return list, err
}

// marked lists the blobs that a kind of key names.
func (v View) marked(kind byte, past fs.BlobID, limit int, fn func(info fs.BlobInfo, value []byte) error) error {
	if limit < 1 {
		return fmt.Errorf("list %d blobs: %w", limit, fs.ErrInvalid)
	}
	return v.each(kind, blobKey(kind, past), func(key, value []byte) (bool, error) {
		id, err := keyBlobID(key)
		if err != nil {
			return false, err
		}
		info, ok, err := v.Blob(id)
		if err == nil && !ok {
			err = corrupt("key %c names blob %v, which is not in the table", kind, id)
		}
		if err != nil {
			return false, err
		}
		limit--
		return limit > 0, fn(info, value)
	})
}

// each scans one kind of key, from behind past on if that is not nil.
func (v View) each(kind byte, past []byte, fn func(key, value []byte) (bool, error)) error {
	from := []byte{kind}
	to := prefixEnd(from)
	if past != nil {
		from = after(past)
	}
	return scan(v.r, from, to, fn)
}
