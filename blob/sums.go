package blob

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"dfs/fs"
)

// ChunkSize is the run of bytes that one checksum covers; the last chunk of a blob may be shorter.
const ChunkSize = 64 << 10

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Sums are the CRC32C of a blob's chunks, in order. The writer computes them; they travel and lie beside the bytes; the
// reader checks them, and their Root against the metadata.
type Sums []uint32

// SumsOf computes the checksums of a blob.
func SumsOf(data []byte) Sums {
	s := make(Sums, 0, (len(data)+ChunkSize-1)/ChunkSize)
	for len(data) > 0 {
		n := min(len(data), ChunkSize)
		s = append(s, crc32.Checksum(data[:n], castagnoli))
		data = data[n:]
	}
	return s
}

// Root is the checksum of the checksums: what the metadata keeps.
func (s Sums) Root() uint32 {
	var b [4]byte
	var crc uint32
	for _, v := range s {
		binary.LittleEndian.PutUint32(b[:], v)
		crc = crc32.Update(crc, castagnoli, b[:])
	}
	return crc
}

// Range is an answer to Get: whole chunks of a blob, with all of the blob's checksums.
type Range struct {
	Off  uint32 // of Data in the blob; a multiple of ChunkSize
	Data []byte // the caller owns it
	Sums Sums
}

// Cover is the chunk-aligned range that covers [off, off+n) of a blob of the given length.
func Cover(length, off, n uint32) (from, to uint32) {
	from = off / ChunkSize * ChunkSize
	to = min((off+n+ChunkSize-1)/ChunkSize*ChunkSize, length)
	return from, to
}

// Verify checks r against what the metadata knows of the blob and returns the bytes [off, off+n), a slice of r.Data.
// ErrCorrupt when anything is missing or does not match.
func (r *Range) Verify(info *fs.BlobInfo, off, n uint32) ([]byte, error) {
	from, to := Cover(info.Length, off, n)
	if r.Off != from || uint32(len(r.Data)) != to-from {
		return nil, fmt.Errorf("blob %s: got bytes %d+%d, want %d+%d: %w", info.ID, r.Off, len(r.Data), from, to-from, fs.ErrCorrupt)
	}
	if want := (int(info.Length) + ChunkSize - 1) / ChunkSize; len(r.Sums) != want {
		return nil, fmt.Errorf("blob %s: got %d checksums, want %d: %w", info.ID, len(r.Sums), want, fs.ErrCorrupt)
	}
	if root := r.Sums.Root(); root != info.Sum {
		return nil, fmt.Errorf("blob %s: root checksum is %08x, want %08x: %w", info.ID, root, info.Sum, fs.ErrCorrupt)
	}
	for i, sum := range SumsOf(r.Data) {
		if chunk := int(from/ChunkSize) + i; sum != r.Sums[chunk] {
			return nil, fmt.Errorf("blob %s: chunk %d is %08x, want %08x: %w", info.ID, chunk, sum, r.Sums[chunk], fs.ErrCorrupt)
		}
	}
	return r.Data[off-from : off-from+n], nil
}
