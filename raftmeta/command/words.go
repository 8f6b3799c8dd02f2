package command

import (
	"fmt"

	"dfs/fs"
	"dfs/fs/wire"
)

// The codecs of the words that commands, stored records and RPC share.

// WireAttr codes an Attr; the zero Ino stands for the zero Attr and takes one byte.
func WireAttr(c *wire.Coder, a *fs.Attr) {
	wire.Uint(c, &a.Ino)
	if a.Ino == 0 {
		return
	}
	wire.Uint(c, &a.Type)
	wire.Uint(c, &a.Mode)
	wire.Uint(c, &a.Nlink)
	wire.Uint(c, &a.UID)
	wire.Uint(c, &a.GID)
	wire.Uint(c, &a.Rdev)
	c.Uint64(&a.Size)
	c.Uint64(&a.Used)
	wire.Int(c, &a.Atime)
	wire.Int(c, &a.Mtime)
	wire.Int(c, &a.Ctime)
	wire.Int(c, &a.Btime)
	c.Uint64(&a.Version)
	wire.Uint(c, &a.Parent)
}

// WireBlobID codes a BlobID.
func WireBlobID(c *wire.Coder, b *fs.BlobID) {
	wire.Uint(c, &b.Session)
	c.Uint64(&b.Counter)
}

// WireNodeID codes a NodeID.
func WireNodeID(c *wire.Coder, n *fs.NodeID) {
	s := string(*n)
	c.String(&s)
	*n = fs.NodeID(s)
}

// WireBlobInfo codes a BlobInfo.
func WireBlobInfo(c *wire.Coder, b *fs.BlobInfo) {
	WireBlobID(c, &b.ID)
	wire.Uint(c, &b.Length)
	c.Fixed32(&b.Sum)
	wire.Slice(c, &b.Replicas, WireNodeID)
}

// WireExtent codes an Extent.
func WireExtent(c *wire.Coder, e *fs.Extent) {
	c.Uint64(&e.Off)
	c.Uint64(&e.Len)
	WireBlobID(c, &e.Blob)
	if e.Inline() {
		c.Blob(&e.Data)
		return
	}
	c.Uint64(&e.BlobOff)
}

// WireTokenHash codes a TokenHash.
func WireTokenHash(c *wire.Coder, h *fs.TokenHash) {
	b := h[:]
	c.Blob(&b)
	if c.Decoding() && c.Err() == nil && len(b) != len(h) {
		c.Fail(fmt.Errorf("a hash of %d bytes: %w", len(b), wire.ErrMalformed))
		return
	}
	copy(h[:], b)
}

// WireMount codes a Mount.
func WireMount(c *wire.Coder, m *fs.Mount) {
	c.String(&m.Host)
	wire.Int(c, &m.PID)
	c.String(&m.Path)
	c.String(&m.Version)
	wire.Int(c, &m.Opened)
	c.String(&m.Subtree)
	c.Bool(&m.ReadOnly)
}

// WireOwner codes an Owner.
func WireOwner(c *wire.Coder, o *fs.Owner) {
	c.String(&o.Name)
	c.String(&o.Role)
	c.String(&o.Scope.Subtree)
	c.Bool(&o.Scope.ReadOnly)
}

// WireInoRange codes an InoRange.
func WireInoRange(c *wire.Coder, r *fs.InoRange) {
	wire.Uint(c, &r.From)
	wire.Int(c, &r.N)
}

func wireTxID(c *wire.Coder, t *fs.TxID) {
	wire.Uint(c, &t.Session)
	c.Uint64(&t.Seq)
}
