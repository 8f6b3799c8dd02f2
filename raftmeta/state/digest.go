package state

import (
	"crypto/sha256"
	"encoding/binary"
)

// Digest hashes all keys and values of the state, in order: two states are equal exactly if their digests are.
func Digest(r Reader) ([32]byte, error) {
	h := sha256.New()
	err := r.Scan([]byte(keysFrom), []byte(keysTo), func(key, value []byte) bool {
		var lengths [16]byte
		binary.BigEndian.PutUint64(lengths[:8], uint64(len(key)))
		binary.BigEndian.PutUint64(lengths[8:], uint64(len(value)))
		for _, part := range [][]byte{lengths[:], key, value} {
			h.Write(part) // a hash never fails
		}
		return true
	})
	return [32]byte(h.Sum(nil)), err
}
