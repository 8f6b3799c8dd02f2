package badgerstore

import "sync/atomic"

// counts is the inventory in numbers, kept by the writer and read by anybody.
type counts struct {
	blobs, staged atomic.Int64
	bytes         atomic.Int64 // of all blobs
	freed         atomic.Int64 // deleted and not reclaimed yet
}

func (c *counts) apply(t tally) {
	c.blobs.Add(t.blobs)
	c.staged.Add(t.staged)
	c.bytes.Add(t.bytes)
	c.freed.Add(t.freed)
}
