package badgerstore

import (
	"fmt"
	"log/slog"
	"time"

	"dfs/fs"
)

const (
	memTableBytes     = 8 << 20 // Badger's; bounds its memory and the size of one transaction
	valueThreshold    = 1 << 10 // smaller values live in the tree
	valueLogFileMin   = 8 << 20
	valueLogFileMax   = 512 << 20
	reclaimEveryLeast = 10 * time.Millisecond
)

// Config is what a Store is opened with.
type Config struct {
	Dir    string    // of this store alone; made if it does not exist
	NodeID fs.NodeID // whose disk this is
	// ClusterID, if known already; else it is told later by SetCluster.
	ClusterID string

	// ReserveBytes stays free on the disk at all times, for Badger's own work. 0: 1 GiB or 5 % of the disk, whichever
	// is more, but never more than half of it.
	ReserveBytes uint64
	// MaxBytes bounds the store's files; 0: the disk does. For demonstrations and tests.
	MaxBytes uint64
	// ValueLogFileBytes is the size of one value-log file, the unit in which space comes back; 0: by the disk's size,
	// 16 to 256 MiB.
	ValueLogFileBytes int64

	// ReclaimEvery is how often the reclaimer looks whether there is something to do; 0: 10 s.
	ReclaimEvery time.Duration
	// ReclaimBytes is how much must have been deleted for it to start at the next look; 0: one value-log file. Less
	// than that is reclaimed once a minute.
	ReclaimBytes uint64

	// Fence reports whether a session's epoch is over, so that nothing may be staged under it; nil: none is. It is
	// called by the writer and must not block.
	Fence func(fs.Epoch, fs.SessionID) bool
	// Faults: "stage.before" in the caller; "batch.before" and "batch.synced" in the writer, around the sync; "get.found"
	// in a reader between the look-up of a value and its reading.
	Faults fs.Faults
	Logger *slog.Logger // nil: slog.Default()
}

// Validate reports the first thing that is wrong.
func (c *Config) Validate() error {
	switch {
	case c.Dir == "":
		return fmt.Errorf("blob store: no directory given: %w", fs.ErrInvalid)
	case c.NodeID == "":
		return fmt.Errorf("blob store: no node id given: %w", fs.ErrInvalid)
	case c.ValueLogFileBytes != 0 && (c.ValueLogFileBytes < valueLogFileMin || c.ValueLogFileBytes > valueLogFileMax):
		return fmt.Errorf("blob store: value-log files of %d bytes (%d … %d are allowed): %w",
			c.ValueLogFileBytes, valueLogFileMin, valueLogFileMax, fs.ErrInvalid)
	case c.ReclaimEvery != 0 && c.ReclaimEvery < reclaimEveryLeast:
		return fmt.Errorf("blob store: reclaiming every %v (at least %v): %w", c.ReclaimEvery, reclaimEveryLeast, fs.ErrInvalid)
	}
	return nil
}

// withDefaults fills in what was left open, knowing the disk's size.
func (c Config) withDefaults(diskBytes uint64) Config {
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.ValueLogFileBytes == 0 {
		c.ValueLogFileBytes = valueLogFileFor(diskBytes)
	}
	if c.ReserveBytes == 0 {
		c.ReserveBytes = min(max(1<<30, diskBytes/20), diskBytes/2)
	}
	if c.ReclaimEvery == 0 {
		c.ReclaimEvery = 10 * time.Second
	}
	if c.ReclaimBytes == 0 {
		c.ReclaimBytes = uint64(c.ValueLogFileBytes)
	}
	return c
}

// valueLogFileFor keeps the number of files (each is open and mapped) to some tens of thousands, and their size small
// beside the disk.
func valueLogFileFor(diskBytes uint64) int64 {
	switch {
	case diskBytes < 4<<30:
		return 16 << 20
	case diskBytes < 1<<40:
		return 64 << 20
	case diskBytes < 4<<40:
		return 128 << 20
	}
	return 256 << 20
}

// reserveLeast is what Badger may need at the worst moment: the rewritten half of a value-log file beside the next
// active one, the write-ahead logs of its memtables, and a compaction.
func (c *Config) reserveLeast() uint64 { return uint64(c.ValueLogFileBytes) + 3*memTableBytes }

// batchBytes bounds one transaction. Badger moves a value-log file in memory, under its readers' feet, when one
// transaction outgrows twice the file's size; half of it stays far away from that.
func (c *Config) batchBytes() int { return int(min(32<<20, c.ValueLogFileBytes/2)) }
