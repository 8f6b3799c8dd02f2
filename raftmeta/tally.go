package raftmeta

import (
	"encoding/binary"
	"fmt"

	"dfs/fs"
)

// tally is a fingerprint of a state that can be kept up to date change by change: the number of its keys, and the sum of
// the checksums of its pairs. It is kept with the applied position, and a scan that gives another one was not of the whole
// state, or not of this state: Badger leaves out what is in a damaged block, and shows what that block had replaced.
type tally struct {
	keys uint64
	sum  uint64 // modulo 2^64
}

func (t *tally) add(sum uint32) { t.keys, t.sum = t.keys+1, t.sum+uint64(sum) }

func (t *tally) remove(sum uint32) { t.keys, t.sum = t.keys-1, t.sum-uint64(sum) }

// standing is what a database has reached: a place in the log, and what the state is there.
type standing struct {
	position
	tally
}

func (s *standing) encode() []byte {
	return append(append(s.position.encode(), be64(s.keys)...), be64(s.sum)...)
}

func parseStanding(b []byte) (s standing, err error) {
	if len(b) != 32 {
		return s, fmt.Errorf("a standing of %d bytes: %w", len(b), fs.ErrCorrupt)
	}
	u64 := func(at int) uint64 { return binary.BigEndian.Uint64(b[at:]) }
	return standing{position{u64(0), u64(8)}, tally{u64(16), u64(24)}}, nil
}
