package blob

import (
	"fmt"
	"slices"

	"dfs/fs"
)

// ListMax is the most entries that one List may be asked for.
const ListMax = 4096

// Check says whether b may be staged at all: ErrInvalid for an impossible id or length, ErrTooLarge above fs.BlobMax,
// ErrCorrupt when the bytes are not those that the checksums were made of. Every Store calls it before it votes.
func (b *Blob) Check() error {
	switch {
	case b.ID.IsZero():
		return fmt.Errorf("a blob needs an id: %w", fs.ErrInvalid)
	case len(b.Data) == 0:
		return fmt.Errorf("blob %s is empty: %w", b.ID, fs.ErrInvalid)
	case len(b.Data) > fs.BlobMax:
		return fmt.Errorf("blob %s has %d bytes, at most %d are allowed: %w", b.ID, len(b.Data), fs.BlobMax, fs.ErrTooLarge)
	case len(b.Sums) != Chunks(uint32(len(b.Data))):
		return fmt.Errorf("blob %s has %d checksums for %d bytes: %w", b.ID, len(b.Sums), len(b.Data), fs.ErrInvalid)
	case !slices.Equal(SumsOf(b.Data), b.Sums):
		return fmt.Errorf("blob %s does not match its own checksums: %w", b.ID, fs.ErrCorrupt)
	}
	return nil
}

// Chunks is how many chunks a blob of so many bytes has.
func Chunks(length uint32) int { return int((uint64(length) + ChunkSize - 1) / ChunkSize) }

// CheckRange says whether Get may be asked for [off, off+n) of a blob: ErrInvalid unless the blob is possible and the
// range is not empty and lies within it.
func CheckRange(info *fs.BlobInfo, off, n uint32) error {
	switch {
	case info.ID.IsZero():
		return fmt.Errorf("a blob needs an id: %w", fs.ErrInvalid)
	case info.Length == 0 || info.Length > fs.BlobMax:
		return fmt.Errorf("blob %s cannot have %d bytes: %w", info.ID, info.Length, fs.ErrInvalid)
	case n == 0 || uint64(off)+uint64(n) > uint64(info.Length):
		return fmt.Errorf("blob %s: bytes %d+%d are not within its %d: %w", info.ID, off, n, info.Length, fs.ErrInvalid)
	}
	return nil
}

// CheckLimit says whether List may be asked for so many entries.
func CheckLimit(limit int) error {
	if limit < 1 || limit > ListMax {
		return fmt.Errorf("a list of %d blobs (1 … %d are allowed): %w", limit, ListMax, fs.ErrInvalid)
	}
	return nil
}

// Succeeds reports whether a blob that lies staged under old, and is staged again under t, belongs to t from now on.
// Of one session the later transaction wins: a late copy of an earlier Stage must not take the blob back to a
// transaction that may have been aborted since, or a Drop of that transaction would delete what the later one counts on.
// Of two sessions the greater one wins: a writer's late Stage must not take back what a keeper (whose sessions are the
// greatest there are, see blob/replica) has staged since.
func (t Tx) Succeeds(old Tx) bool {
	if t.ID.Session != old.ID.Session {
		return t.ID.Session > old.ID.Session
	}
	return t.ID.Seq >= old.ID.Seq
}
