package state

import (
	"errors"
	"fmt"

	"dfs/fs"
	"dfs/fs/wire"
	"dfs/raftmeta/command"
)

// recordVersion leads every stored value, but those of records that say of themselves which version they need.
const recordVersion = 1

// versioned is a record of which there are several versions; its wire reads all of them.
type versioned interface{ version() byte }

// newest is the newest version of a record that this build knows.
func newest(r record) byte {
	if _, several := r.(versioned); several {
		return 2
	}
	return recordVersion
}

// ErrFormat says that a stored record is of a version that this build does not know: the node must stop and be upgraded.
var ErrFormat = errors.New("stored record of an unknown format; upgrade this node")

// ErrBroken says that the stored state contradicts itself: the node must stop and be rebuilt from the others.
var ErrBroken = errors.New("the stored metadata is broken")

func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrBroken, fmt.Sprintf(format, args...))
}

// record is a stored value: one function for both directions.
type record interface{ wire(c *wire.Coder) }

func encode(r record) []byte {
	version := byte(recordVersion)
	if v, ok := r.(versioned); ok {
		version = v.version()
	}
	c := wire.Encoder(append(make([]byte, 0, 96), version))
	r.wire(c)
	return c.Bytes()
}

func decode(data []byte, r record) error {
	if len(data) == 0 || data[0] < recordVersion || data[0] > newest(r) {
		return fmt.Errorf("%T: %w", r, ErrFormat)
	}
	c := wire.Decoder(data[1:])
	r.wire(c)
	if v, ok := r.(versioned); ok && c.Err() == nil && v.version() != data[0] {
		return fmt.Errorf("%w: %T of version %d is one of %d", ErrBroken, r, data[0], v.version())
	}
	if err := c.End(); err != nil {
		return fmt.Errorf("%w: %T: %w", ErrBroken, r, err)
	}
	return nil
}

// get fills r from key and reports whether there was anything.
func get(kv Reader, key []byte, r record) (bool, error) {
	data, err := kv.Get(key)
	if err != nil {
		return false, fmt.Errorf("read key %x: %w", key, err)
	}
	if data == nil {
		return false, nil
	}
	if err := decode(data, r); err != nil {
		return false, fmt.Errorf("key %x: %w", key, err)
	}
	return true, nil
}

// has reports whether a key exists.
func has(kv Reader, key []byte) (bool, error) {
	data, err := kv.Get(key)
	if err != nil {
		return false, fmt.Errorf("read key %x: %w", key, err)
	}
	return data != nil, nil
}

// Config is what Init fixed for the life of the cluster.
type Config struct {
	Cluster        string
	Replicas       int
	MinReplicas    int   // wanted; see View.MinReplicas for what is asked now
	InlineMax      int   // bytes
	SessionTimeout int64 // milliseconds
	Created        fs.Time
}

func (r *Config) wire(c *wire.Coder) {
	c.String(&r.Cluster)
	wire.Int(c, &r.Replicas)
	wire.Int(c, &r.MinReplicas)
	wire.Int(c, &r.InlineMax)
	c.Int64(&r.SessionTimeout)
	wire.Int(c, &r.Created)
}

// Stats are counts that the state keeps, so that asking for them costs one read.
type Stats struct {
	Inodes          uint64 // the root and orphans included
	Orphans         uint64
	Blobs           uint64 // in the blob table, garbage included
	BlobBytes       uint64 // their lengths, one replica each
	LiveBytes       uint64 // mapped by extents; bytes mapped twice count twice
	UnderReplicated uint64
	Garbage         uint64
}

// counters are the numbers that only rise, how many nodes count, and Stats.
type counters struct {
	version     uint64 // the last fs.Attr.Version given
	nextIno     fs.Ino
	nextSession fs.SessionID
	storing     uint64 // nodes that store and were not removed
	stats       Stats
}

func (r *counters) wire(c *wire.Coder) {
	c.Uint64(&r.version)
	wire.Uint(c, &r.nextIno)
	wire.Uint(c, &r.nextSession)
	c.Uint64(&r.storing)
	s := &r.stats
	for _, n := range []*uint64{&s.Inodes, &s.Orphans, &s.Blobs, &s.BlobBytes, &s.LiveBytes, &s.UnderReplicated, &s.Garbage} {
		c.Uint64(n)
	}
}

// dentry is the value under a name; entry the one under a cookie.
type dentry struct {
	ino    fs.Ino
	typ    fs.FileType
	cookie fs.Cookie
}

func (r *dentry) wire(c *wire.Coder) {
	wire.Uint(c, &r.ino)
	wire.Uint(c, &r.typ)
	wire.Uint(c, &r.cookie)
}

type entry struct {
	name string
	ino  fs.Ino
	typ  fs.FileType
}

func (r *entry) wire(c *wire.Coder) {
	c.String(&r.name)
	wire.Uint(c, &r.ino)
	wire.Uint(c, &r.typ)
}

// extent wraps fs.Extent; its end is in the key and checked against it.
type extent struct{ fs.Extent }

func (r *extent) wire(c *wire.Coder) { command.WireExtent(c, &r.Extent) }

type xattr struct{ value []byte }

func (r *xattr) wire(c *wire.Coder) { c.Blob(&r.value) }

// SessionRecord is a live session.
type SessionRecord struct {
	fs.Session
	Owner fs.Owner
	Mount fs.Mount
	Done  uint64        // the session asks about no Seq below it any more; at first 1
	Inos  []fs.InoRange // of a session that is bound to a subtree: allotted last, at most ownInosMax
}

func (r *SessionRecord) wire(c *wire.Coder) {
	wire.Uint(c, &r.ID)
	wire.Uint(c, &r.Epoch)
	c.Uint64(&r.Done)
	command.WireMount(c, &r.Mount)
	command.WireOwner(c, &r.Owner)
	wire.Uint(c, &r.Root)
	wire.Slice(c, &r.Inos, command.WireInoRange)
}

// answer is a remembered TxResult.
type answer struct{ result []byte }

func (r *answer) wire(c *wire.Coder) { c.Blob(&r.result) }

// node is a member, or the tombstone of one that was removed.
type node struct {
	addr, zone string
	storing    bool // it has taken blobs, and counts for MinReplicas
	removed    bool
}

func (r *node) wire(c *wire.Coder) {
	c.String(&r.addr)
	c.String(&r.zone)
	c.Bool(&r.storing)
	c.Bool(&r.removed)
}

// BlobRecord is a blob in the blob table.
type BlobRecord struct {
	fs.BlobInfo
	Wanted    int    // replicas that it should have
	LiveBytes uint64 // mapped by extents, every reference counted; 0: garbage
	Seq       uint64 // of the transaction that registered it; its session is the blob's
	Index     uint64 // Raft index of that transaction's decision

	debt bool // it has a debt key
}

func (r *BlobRecord) wire(c *wire.Coder) {
	command.WireBlobInfo(c, &r.BlobInfo)
	wire.Int(c, &r.Wanted)
	c.Uint64(&r.LiveBytes)
	c.Uint64(&r.Seq)
	c.Uint64(&r.Index)
	c.Bool(&r.debt)
}

// garbage says since which Raft index a blob has been garbage.
type garbage struct{ since uint64 }

func (r *garbage) wire(c *wire.Coder) { c.Uint64(&r.since) }

// mark is the value of keys that say all by existing.
type mark struct{}

func (*mark) wire(*wire.Coder) {}
