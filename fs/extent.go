package fs

// Extent maps a run of bytes of a file. Extents of one file never overlap; what none maps reads as zeros (a hole).
// Its bytes lie either in a blob or, for small pieces, in Data itself (an inline extent).
type Extent struct {
	Off     uint64 // in the file, bytes
	Len     uint64 // bytes, > 0
	Blob    BlobID // zero for an inline extent
	BlobOff uint64 // where in the blob the run starts, bytes
	Data    []byte // the bytes of an inline extent, Len of them; nil otherwise. Never changed once made.
}

// End is the first offset behind the extent.
func (e *Extent) End() uint64 { return e.Off + e.Len }

// Inline reports whether the extent carries its own bytes.
func (e *Extent) Inline() bool { return e.Blob.IsZero() }

// Slice is the part of e within [from, to), which must overlap e.
func (e *Extent) Slice(from, to uint64) Extent {
	from, to = max(from, e.Off), min(to, e.End())
	s := Extent{Off: from, Len: to - from, Blob: e.Blob}
	if e.Inline() {
		s.Data = e.Data[from-e.Off : to-e.Off]
	} else {
		s.BlobOff = e.BlobOff + (from - e.Off)
	}
	return s
}

// BlobInfo is what the metadata knows of a blob.
type BlobInfo struct {
	ID       BlobID
	Length   uint32   // bytes, 1 … BlobMax
	Sum      uint32   // root checksum; see blob.Sums
	Replicas []NodeID // nodes that voted yes, in no order
}

// Layout is where the bytes of a range of a file lie.
type Layout struct {
	Attr    Attr
	Extents []Extent   // by rising offset; may reach over the range's ends
	Blobs   []BlobInfo // one for each blob that Extents name
	// More is where to ask on when the answer was cut at LayoutMax extents; 0 when it is complete.
	More uint64
	// Index is the Raft index of the state in which it is so; see blob.Claim.
	Index uint64
}
