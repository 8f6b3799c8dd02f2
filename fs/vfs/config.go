package vfs

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sys/unix"

	"dfs/blob"
	"dfs/fs"
	"dfs/fs/spans"
)

// Blobs is what vfs needs of a blob.Store: replica.Set in production.
type Blobs interface {
	Stage(ctx context.Context, tx blob.Tx, b *blob.Blob) ([]fs.NodeID, error)
	Get(ctx context.Context, info *fs.BlobInfo, off, n uint32) (*blob.Range, error)
}

// Config is how a mount behaves. Zero fields take the defaults.
type Config struct {
	Mount      fs.Mount         // tells operators who this is
	DirtyMax   int64            // bytes of dirty and flying data, 64 MiB
	FlushAge   time.Duration    // dirty data is flushed when this old, 1 s
	BlobSize   int              // bytes in one blob, fs.BlobMax; at most that
	InlineMax  int              // files up to this size, bytes, live in the metadata, fs.InlineMax; negative: none
	ReadAhead  int              // bytes read ahead of a sequential reader, 8 MiB; negative: none
	CacheSize  int              // bytes of blobs kept in memory for reading, 64 MiB
	OpTimeout  time.Duration    // no call waits longer for the cluster, 30 s
	ReadOnly   bool             // every change is refused with fs.ErrReadOnly
	NoAtime    bool             // reads are not recorded; else they are by the rule of relatime (mount(8))
	NoDirAtime bool             // nor are listings
	Now        func() time.Time // time.Now
	// Boottime is a clock from any start that goes on while the machine sleeps; CLOCK_BOOTTIME.
	Boottime  func() time.Duration
	LeasesMax int // leases held at most, 64 Ki, more or less; at most fs.LeasesMax/2
	// Activity is what the mount has done so far, told to the leader with every beat; nothing. It must not block.
	Activity func() fs.Activity
	Tracer   spans.Tracer // of flushes that no request waits for; nil: none
	Faults   fs.Faults
	Logger   *slog.Logger // none
}

func (c *Config) setDefaults() {
	if c.DirtyMax == 0 {
		c.DirtyMax = 64 << 20
	}
	if c.FlushAge == 0 {
		c.FlushAge = time.Second
	}
	if c.BlobSize == 0 {
		c.BlobSize = fs.BlobMax
	}
	if c.InlineMax == 0 {
		c.InlineMax = fs.InlineMax
	}
	if c.ReadAhead == 0 {
		c.ReadAhead = 8 << 20
	}
	if c.CacheSize == 0 {
		c.CacheSize = 64 << 20
	}
	if c.OpTimeout == 0 {
		c.OpTimeout = 30 * time.Second
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Boottime == nil {
		c.Boottime = boottime
	}
	if c.LeasesMax == 0 {
		c.LeasesMax = 64 << 10
	}
	if c.Activity == nil {
		c.Activity = func() fs.Activity { return fs.Activity{} }
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

// inlineBound is where inline data in one transaction stops; the rest goes into its blob.
const inlineBound = 1 << 20

// Validate reports what cannot work.
func (c *Config) Validate() error {
	switch {
	case c.BlobSize < 0 || c.BlobSize > fs.BlobMax:
		return fmt.Errorf("blob size %d is not 1 … %d: %w", c.BlobSize, fs.BlobMax, fs.ErrInvalid)
	case c.DirtyMax < 0 || c.CacheSize < 0:
		return fmt.Errorf("a negative size: %w", fs.ErrInvalid)
	case c.LeasesMax < 0 || c.LeasesMax > fs.LeasesMax/2:
		return fmt.Errorf("%d leases are not 1 … %d: %w", c.LeasesMax, fs.LeasesMax/2, fs.ErrInvalid)
	case c.FlushAge < 0 || c.OpTimeout < 0:
		return fmt.Errorf("a negative duration: %w", fs.ErrInvalid)
	case c.InlineMax > inlineBound:
		return fmt.Errorf("inline bound %d is above %d: %w", c.InlineMax, inlineBound, fs.ErrInvalid)
	}
	return nil
}

// boottime reads CLOCK_BOOTTIME, which no system that runs this lacks.
func boottime() time.Duration {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		panic(err)
	}
	return time.Duration(now.Nano())
}
