package raftmeta

import (
	"encoding/binary"
	"fmt"

	"dfs/fs"
)

func be64(v uint64) []byte { return binary.BigEndian.AppendUint64(nil, v) }

func parseBE64(b []byte) (uint64, error) {
	if len(b) != 8 {
		return 0, fmt.Errorf("a number of %d bytes: %w", len(b), fs.ErrCorrupt)
	}
	return binary.BigEndian.Uint64(b), nil
}
