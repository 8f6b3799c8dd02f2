// Package blob is the interface of what keeps blobs, and their checksums.
//
// A blob is an immutable run of 1 … fs.BlobMax bytes with an id that is never reused. It is born staged, under the
// transaction that will decide about it, and becomes live when that transaction has committed. A [Store] may be one
// disk (badgerstore), memory (memstore), a node on the network (blobrpc) or the set of all replicas (replica): all of
// them pass the suite in blobtest.
//
// Caveat: a Store never decides anything. Whether a staged blob lives or dies, and when a live blob may be deleted, is
// known to the metadata alone; see DESIGN.md.
package blob

import (
	"context"

	"dfs/fs"
)

// Store keeps blobs. All methods may be called from any goroutine, and repeated.
type Store interface {
	// Stage keeps b under tx. When it returns nil the bytes have been synced to the disks of the nodes it returns:
	// each of them has voted yes, and can commit after a power cut. Staging the same blob again is a success; with a
	// different checksum it is ErrInvalid. Stage may read b.Data until it returns, not longer.
	// ErrNoSpace: no room (or read-only). ErrFenced: tx's epoch is known to be over. ErrUnavailable: too few votes.
	Stage(ctx context.Context, tx Tx, b *Blob) ([]fs.NodeID, error)
	// Commit makes staged blobs live. Ids that are live already, or unknown, are passed over.
	Commit(ctx context.Context, ids []fs.BlobID) error
	// Drop deletes staged blobs, each only if it is still staged under the named transaction.
	Drop(ctx context.Context, staged []Staged) error
	// Delete deletes blobs, staged or live. It works on a full disk. Unknown ids are passed over.
	Delete(ctx context.Context, ids []fs.BlobID) error
	// Get returns the chunks that cover [off, off+n) of a blob, staged or live. The range must lie within info.Length.
	// ErrNotExist: the store has no such blob. ErrCorrupt: what it has does not match its checksum. If ctx makes a claim
	// (WithClaim), a node that looks at claims returns a cut of just these bytes; ErrAccess: it does not hold.
	Get(ctx context.Context, info *fs.BlobInfo, off, n uint32) (*Range, error)
	// List lists what the store holds, by rising id above after, at most limit entries (1 … 4096); fewer mean the end.
	// An error means that the list is incomplete and nothing may be concluded from it.
	List(ctx context.Context, after fs.BlobID, limit int) ([]Entry, error)
	// Usage reports the space.
	Usage(ctx context.Context) (Usage, error)
}

// Tx is the transaction that a blob is staged under.
type Tx struct {
	ID    fs.TxID
	Epoch fs.Epoch
}

// Blob is a blob on its way to a Store.
type Blob struct {
	ID   fs.BlobID
	Data []byte
	Sums Sums // of Data
}

// New computes the checksums of data, which the Blob keeps and nobody may change any more.
func New(id fs.BlobID, data []byte) *Blob { return &Blob{ID: id, Data: data, Sums: SumsOf(data)} }

// Info is what the metadata will know of b.
func (b *Blob) Info(replicas []fs.NodeID) fs.BlobInfo {
	return fs.BlobInfo{ID: b.ID, Length: uint32(len(b.Data)), Sum: b.Sums.Root(), Replicas: replicas}
}

// Staged names a staged blob together with the transaction that it is staged under.
type Staged struct {
	ID fs.BlobID
	Tx fs.TxID
}

// Entry is one line of a store's inventory.
type Entry struct {
	ID     fs.BlobID
	Length uint32
	Sum    uint32 // root checksum that the store believes in
	Staged bool
	Tx     Tx // under which it was staged; zero when live
}

// Usage is a store's space in bytes.
type Usage struct {
	TotalBytes uint64 // of the disk
	FreeBytes  uint64 // what blobs may still take: the reserve is already off
	UsedBytes  uint64 // by this store's files
	Blobs      uint64
	Staged     uint64
	ReadOnly   bool // takes no new blobs
}
