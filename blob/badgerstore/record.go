package badgerstore

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"dfs/blob"
	"dfs/fs"
)

// record is the index's line about a blob: what List answers, without touching the value log.
type record struct {
	length uint32
	sum    uint32 // root checksum
	staged bool
	tx     blob.Tx // zero when live
}

const (
	recordVersion = 1
	recordLen     = 1 + 1 + 4 + 4 + 8 + 8 + 8 + 4
)

func (r *record) encode() []byte {
	b := make([]byte, 0, recordLen)
	state := byte(0)
	if r.staged {
		state = 1
	}
	b = append(b, recordVersion, state)
	b = binary.LittleEndian.AppendUint32(b, r.length)
	b = binary.LittleEndian.AppendUint32(b, r.sum)
	b = binary.LittleEndian.AppendUint64(b, uint64(r.tx.ID.Session))
	b = binary.LittleEndian.AppendUint64(b, r.tx.ID.Seq)
	b = binary.LittleEndian.AppendUint64(b, uint64(r.tx.Epoch))
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli()))
}

func decodeRecord(b []byte) (record, error) {
	if len(b) != recordLen || b[0] != recordVersion || b[1] > 1 {
		return record{}, fmt.Errorf("index record of %d bytes is not one of ours: %w", len(b), fs.ErrCorrupt)
	}
	body, sum := b[:recordLen-4], binary.LittleEndian.Uint32(b[recordLen-4:])
	if crc32.Checksum(body, castagnoli()) != sum {
		return record{}, fmt.Errorf("index record does not match its checksum: %w", fs.ErrCorrupt)
	}
	u64 := func(at int) uint64 { return binary.LittleEndian.Uint64(b[at:]) }
	return record{
		length: binary.LittleEndian.Uint32(b[2:]),
		sum:    binary.LittleEndian.Uint32(b[6:]),
		staged: b[1] == 1,
		tx:     blob.Tx{ID: fs.TxID{Session: fs.SessionID(u64(10)), Seq: u64(18)}, Epoch: fs.Epoch(u64(26))},
	}, nil
}

func (r *record) entry(id fs.BlobID) blob.Entry {
	return blob.Entry{ID: id, Length: r.length, Sum: r.sum, Staged: r.staged, Tx: r.tx}
}

// castagnoli is built once by the standard library and shared.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }
