package badgerstore

import (
	"encoding/binary"
	"fmt"

	"dfs/fs"
)

// Keys. The index record of a blob decides whether the store has it; a value without one is garbage.
const (
	indexPrefix = 'i' // i<id> → record; stays in Badger's tree
	valuePrefix = 'b' // b<id> → header and bytes; in the value log, except when tiny
	// The first and the last keys of all: written and dropped again to make Badger flush and compact; see flush.
	lowPrefix  = '\x00'
	highPrefix = '~'
)

const keyLen = 1 + 8 + 8

// keyOf sorts as ids do: by session, then counter.
func keyOf(prefix byte, id fs.BlobID) []byte {
	k := make([]byte, 0, keyLen)
	k = append(k, prefix)
	k = binary.BigEndian.AppendUint64(k, uint64(id.Session))
	return binary.BigEndian.AppendUint64(k, id.Counter)
}

func idOf(key []byte) (fs.BlobID, error) {
	if len(key) != keyLen {
		return fs.BlobID{}, fmt.Errorf("key %x is not a blob's: %w", key, fs.ErrCorrupt)
	}
	return fs.BlobID{
		Session: fs.SessionID(binary.BigEndian.Uint64(key[1:])),
		Counter: binary.BigEndian.Uint64(key[9:]),
	}, nil
}
