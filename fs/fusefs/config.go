package fusefs

import (
	"fmt"
	"log/slog"
	"strings"
	"time"

	"dfs/fs"
	"dfs/fs/spans"
	"dfs/fs/vfs"
)

// Config says what to mount where, and how. Zero fields take the defaults.
type Config struct {
	Dir string  // the mount point, an existing directory
	FS  *vfs.FS // what to show; the caller closes it, after the mount has ended

	ReadOnly   bool // the kernel refuses every change
	AllowOther bool // users other than the one who mounts may use it; for a non-root user /etc/fuse.conf must allow it
	// NoPermissionChecks leaves out default_permissions: every user may do everything.
	NoPermissionChecks bool
	// Suid honours set-id bits and file capabilities, Dev opens device nodes, NoExec runs no programs. The defaults are
	// nosuid, nodev and exec.
	Suid, Dev, NoExec bool
	// NoAtime and NoDirAtime are said of the mount in /proc/mounts; it is FS that records reads, or does not.
	NoAtime, NoDirAtime bool

	FsName  string // the first column of df(1), "dfs"
	Subtype string // the type is fuse.Subtype, "dfs"

	MaxBackground int // read-ahead requests in flight, 128
	MaxWrite      int // bytes in one read or write request, 1 MiB; at least a page
	ReadAhead     int // bytes that the kernel reads ahead, 4 MiB; negative: its own default. Only root can set it.

	// CacheTimeout is how long the kernel may believe names and attributes although no lease lets it. With anything but 0, the
	// default, a call may not see what other mounts have done before it.
	CacheTimeout time.Duration

	// StatusFiles are shown, read-only, in the directory fs.StatusDir of the root, by name; "stats" comes on its own. Each is
	// made anew whenever it is opened, by any goroutine: its function must not wait for the cluster. Nil: no such directory.
	StatusFiles map[string]func() string

	// Echo tells programs that watch files by inotify(7) what other mounts change. Nil: it does not.
	Echo *EchoConfig

	Tracer spans.Tracer // of requests; nil: none
	Debug  bool         // log every request
	Logger *slog.Logger
}

const (
	defaultBackground = 128
	defaultMaxWrite   = 1 << 20
	defaultReadAhead  = 4 << 20
	minWrite          = 4096
	maxBackground     = 1<<16 - 1 // the protocol has 16 bits
)

// withDefaults is c made complete, or what is wrong with it.
func (c Config) withDefaults() (Config, error) {
	if c.FsName == "" {
		c.FsName = "dfs"
	}
	if c.Subtype == "" {
		c.Subtype = "dfs"
	}
	if c.MaxBackground == 0 {
		c.MaxBackground = defaultBackground
	}
	if c.MaxWrite == 0 {
		c.MaxWrite = defaultMaxWrite
	}
	if c.ReadAhead == 0 {
		c.ReadAhead = defaultReadAhead
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, c.validate()
}

func (c *Config) validate() error {
	switch {
	case c.Dir == "":
		return fmt.Errorf("no mount point: %w", fs.ErrInvalid)
	case c.FS == nil:
		return fmt.Errorf("nothing to mount: %w", fs.ErrInvalid)
	case c.CacheTimeout < 0:
		return fmt.Errorf("cache timeout %v: %w", c.CacheTimeout, fs.ErrInvalid)
	case c.MaxBackground < 1 || c.MaxBackground > maxBackground:
		return fmt.Errorf("max background %d is not in 1 … %d: %w", c.MaxBackground, maxBackground, fs.ErrInvalid)
	case c.MaxWrite < minWrite:
		return fmt.Errorf("max write %d is below %d: %w", c.MaxWrite, minWrite, fs.ErrInvalid)
	case strings.ContainsAny(c.Subtype, ", \t\n/"):
		return fmt.Errorf("subtype %q: %w", c.Subtype, fs.ErrInvalid)
	}
	return nil
}
