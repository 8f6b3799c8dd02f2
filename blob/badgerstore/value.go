package badgerstore

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"dfs/blob"
	"dfs/fs"
)

// A value is a header and the blob's bytes:
//
//	magic "dfsB" · version u16 · header length u16 · session u64 · counter u64 · length u32 · chunks u32 ·
//	chunk sums u32 each · CRC32C of all that u32 · bytes
//
// all little endian. The header names the blob, so that bytes found in the wrong place are not taken for it.
const (
	valueMagic   = "dfsB"
	valueVersion = 1
	headerFixed  = 4 + 2 + 2 + 8 + 8 + 4 + 4
	headerMax    = headerFixed + 4*(fs.BlobMax/blob.ChunkSize) + 4
	valueMax     = headerMax + fs.BlobMax
)

func headerLen(chunks int) int { return headerFixed + 4*chunks + 4 }

// appendValue appends b's value to buf.
func appendValue(buf []byte, b *blob.Blob) []byte {
	start := len(buf)
	buf = append(buf, valueMagic...)
	buf = binary.LittleEndian.AppendUint16(buf, valueVersion)
	buf = binary.LittleEndian.AppendUint16(buf, uint16(headerLen(len(b.Sums))))
	buf = binary.LittleEndian.AppendUint64(buf, uint64(b.ID.Session))
	buf = binary.LittleEndian.AppendUint64(buf, b.ID.Counter)
	buf = binary.LittleEndian.AppendUint32(buf, uint32(len(b.Data)))
	buf = binary.LittleEndian.AppendUint32(buf, uint32(len(b.Sums)))
	for _, s := range b.Sums {
		buf = binary.LittleEndian.AppendUint32(buf, s)
	}
	buf = binary.LittleEndian.AppendUint32(buf, crc32.Checksum(buf[start:], castagnoli()))
	return append(buf, b.Data...)
}

// parseValue checks the header of id's value and returns its checksums, a copy, and its bytes, a slice of v, unchecked.
// Anything amiss is ErrCorrupt: Badger answers a lost value with an empty one.
func parseValue(id fs.BlobID, v []byte) (blob.Sums, []byte, error) {
	bad := func(what string) (blob.Sums, []byte, error) {
		return nil, nil, fmt.Errorf("blob %s: value of %d bytes %s: %w", id, len(v), what, fs.ErrCorrupt)
	}
	if len(v) < headerLen(1) || string(v[:4]) != valueMagic {
		return bad("has no header")
	}
	if version := binary.LittleEndian.Uint16(v[4:]); version != valueVersion {
		return bad(fmt.Sprintf("has the unknown version %d", version))
	}
	length, chunks := binary.LittleEndian.Uint32(v[24:]), binary.LittleEndian.Uint32(v[28:])
	if length == 0 || length > fs.BlobMax || chunks != uint32(blob.Chunks(length)) {
		return bad("has an impossible length")
	}
	n := headerLen(int(chunks))
	if int(binary.LittleEndian.Uint16(v[6:])) != n || len(v) != n+int(length) {
		return bad("is not as long as its header says")
	}
	if crc32.Checksum(v[:n-4], castagnoli()) != binary.LittleEndian.Uint32(v[n-4:]) {
		return bad("has a header that does not match its checksum")
	}
	named := fs.BlobID{Session: fs.SessionID(binary.LittleEndian.Uint64(v[8:])), Counter: binary.LittleEndian.Uint64(v[16:])}
	if named != id {
		return bad("belongs to blob " + named.String())
	}
	sums := make(blob.Sums, chunks)
	for i := range sums {
		sums[i] = binary.LittleEndian.Uint32(v[headerFixed+4*i:])
	}
	return sums, v[n:], nil
}
