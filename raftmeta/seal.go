package raftmeta

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/hashicorp/raft"

	"dfs/fs"
)

// sealSize is the length of the checksum that is appended to what the log keeps, bytes.
const sealSize = 4

// castagnoli is the table of CRC-32C; hash/crc32 makes it once and hands out the same one.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// logSum is the CRC-32C of all of an entry that must not change.
func logSum(l *raft.Log, extensions []byte) uint32 {
	var head [25]byte
	binary.BigEndian.PutUint64(head[0:], l.Index)
	binary.BigEndian.PutUint64(head[8:], l.Term)
	head[16] = byte(l.Type)
	binary.BigEndian.PutUint64(head[17:], uint64(len(l.Data)))
	sum := crc32.Update(0, castagnoli(), head[:])
	sum = crc32.Update(sum, castagnoli(), l.Data)
	return crc32.Update(sum, castagnoli(), extensions)
}

// sealLog returns a copy of l as it is stored: the checksum stands behind Extensions, so that Data, which may be large,
// is not copied.
func sealLog(l *raft.Log) *raft.Log {
	s := *l
	s.Extensions = binary.BigEndian.AppendUint32(append([]byte(nil), l.Extensions...), logSum(l, l.Extensions))
	return &s
}

// unsealLog checks the entry read for index and takes the checksum off again.
func unsealLog(index uint64, l *raft.Log) error {
	n := len(l.Extensions) - sealSize
	if n < 0 || l.Index != index {
		return fmt.Errorf("log entry %d is not what was written there: %w", index, fs.ErrCorrupt)
	}
	sum := binary.BigEndian.Uint32(l.Extensions[n:])
	l.Extensions = l.Extensions[:n:n]
	if n == 0 {
		l.Extensions = nil
	}
	if logSum(l, l.Extensions) != sum {
		return fmt.Errorf("log entry %d: %w", index, fs.ErrCorrupt)
	}
	return nil
}

// sealValue is what the stable store and the state keep for a key: the value and a checksum of both.
func sealValue(key, value []byte) []byte {
	sealed := append(make([]byte, 0, len(value)+sealSize), value...)
	return binary.BigEndian.AppendUint32(sealed, valueSum(key, value))
}

// unsealValue checks what was read for key and returns the value in it, a slice of it.
func unsealValue(key, sealed []byte) ([]byte, error) {
	n := len(sealed) - sealSize
	if n < 0 || valueSum(key, sealed[:n]) != binary.BigEndian.Uint32(sealed[n:]) {
		return nil, fmt.Errorf("value of %q: %w", key, fs.ErrCorrupt)
	}
	return sealed[:n:n], nil
}

// sealOf is the checksum in what sealValue has made.
func sealOf(sealed []byte) uint32 { return binary.BigEndian.Uint32(sealed[len(sealed)-sealSize:]) }

func valueSum(key, value []byte) uint32 {
	var n [4]byte
	binary.BigEndian.PutUint32(n[:], uint32(len(key)))
	sum := crc32.Update(0, castagnoli(), n[:])
	sum = crc32.Update(sum, castagnoli(), key)
	return crc32.Update(sum, castagnoli(), value)
}
