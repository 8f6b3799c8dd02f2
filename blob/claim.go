package blob

import (
	"context"
	"fmt"
	"slices"

	"dfs/fs"
)

// Claim says under which session bytes of a blob are read, and as part of which file: the byte that Get is asked for first
// is the one at Off in the file. A node that gives a session only the bytes of some files looks it up; the answer is a cut.
type Claim struct {
	Session fs.SessionID
	Epoch   fs.Epoch
	Ino     fs.Ino
	Off     uint64
	Index   uint64 // of a state in which it is so; see fs.Layout
}

type claimKey struct{}

// WithClaim returns the context of a Get that makes a claim, and is answered with a cut.
func WithClaim(ctx context.Context, c Claim) context.Context {
	return context.WithValue(ctx, claimKey{}, c)
}

// ClaimOf is the claim that WithClaim gave.
func ClaimOf(ctx context.Context) (c Claim, ok bool) {
	c, ok = ctx.Value(claimKey{}).(Claim)
	return c, ok
}

// Cut leaves of r, which must have been verified, the bytes [off, off+n) and nothing that tells of others: its checksums are
// those of these bytes alone.
func (r *Range) Cut(off, n uint32) *Range {
	data := slices.Clone(r.Data[off-r.Off : off-r.Off+n])
	return &Range{Off: off, Data: data, Sums: SumsOf(data)}
}

// VerifyCut checks a cut and returns its bytes. It finds what was damaged on the way. That the blob was whole is the word of
// the node that cut it.
func (r *Range) VerifyCut(id fs.BlobID, off, n uint32) ([]byte, error) {
	if r.Off != off || uint32(len(r.Data)) != n {
		return nil, fmt.Errorf("blob %s: got bytes %d+%d, want %d+%d: %w", id, r.Off, len(r.Data), off, n, fs.ErrCorrupt)
	}
	if !slices.Equal(SumsOf(r.Data), r.Sums) {
		return nil, fmt.Errorf("blob %s: bytes %d+%d do not match their checksums: %w", id, off, n, fs.ErrCorrupt)
	}
	return r.Data, nil
}

// VerifyFor checks what a Get with a context was answered: a cut if it made a claim.
func (r *Range) VerifyFor(ctx context.Context, info *fs.BlobInfo, off, n uint32) ([]byte, error) {
	if _, claimed := ClaimOf(ctx); claimed {
		return r.VerifyCut(info.ID, off, n)
	}
	return r.Verify(info, off, n)
}
