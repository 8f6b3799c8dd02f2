package posix

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"time"

	"dfs/blob/memstore"
	"dfs/fs"
	"dfs/fs/fusefs"
	"dfs/fs/vfs"
	"dfs/raftmeta/localmeta"
)

// serverEnv holds the server's options, as JSON, and says that this process is the server.
const serverEnv = "DFS_POSIX_SERVER"

// options say what a server mounts.
type options struct {
	Dirs               []string // one mount of the same cluster on each
	ReadOnly           bool
	AllowOther         bool
	Suid               bool
	CacheMillis        int
	MaxWrite           int
	OpTimeoutMillis    int
	NoPermissionChecks bool
	NoAtime            bool
	StatusFiles        bool // one, "hello"
	Debug              bool
}

// command is what a test tells the server, one JSON object a line on its standard input; one reply answers each.
type command struct {
	Do    string // "fault", "clear", "stats", "unmount", "remount", "check", "locks", "expire", "failover"
	Mount int
	Step  string  // of a fault: the name of a call to the metadata
	Err   fs.Code // what the fault returns; CodeOK: it hangs until "clear"
	Wait  int     // of "unmount" and "remount": milliseconds before it turns lazy
}

type reply struct {
	Err           string
	Stats         *fusefs.Stats
	Ops           map[string]uint64
	Held, Waiting int // locks

	Hung   int // calls that hang at a fault
	Heap   uint64
	Gorout int
}

// serve is the main function of the server process.
func serve(opts options) error {
	cluster, err := localmeta.New(localmeta.Config{ReapDelay: 2 * time.Second})
	if err != nil {
		return err
	}
	s := &server{cluster: cluster, opts: opts}
	level := slog.LevelInfo
	if opts.Debug {
		level = slog.LevelDebug
	}
	s.logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	s.store = memstore.New(memstore.Config{Node: "n1"})
	n := len(opts.Dirs)
	s.gates, s.engines, s.mounts = make([]*gate, n), make([]*vfs.FS, n), make([]*fusefs.Server, n)
	for i := range opts.Dirs {
		if err := s.mount(i); err != nil {
			return err
		}
	}
	answer(&reply{})
	return errors.Join(s.obey(os.Stdin), s.leave())
}

type server struct {
	opts    options
	cluster *localmeta.Cluster
	store   *memstore.Store
	logger  *slog.Logger
	gates   []*gate
	engines []*vfs.FS
	mounts  []*fusefs.Server
}

// mount makes the mount on the i-th directory.
func (s *server) mount(i int) error {
	opts, dir, logger := s.opts, s.opts.Dirs[i], s.logger
	gate := newGate(s.cluster.Mount(nil))
	engine, err := vfs.New(context.Background(), vfs.Config{
		Mount:     fs.Mount{Host: "test", PID: os.Getpid(), Path: dir},
		OpTimeout: time.Duration(opts.OpTimeoutMillis) * time.Millisecond,
		ReadOnly:  opts.ReadOnly,
		NoAtime:   opts.NoAtime,
		Logger:    logger,
	}, gate, s.store)
	if err != nil {
		return err
	}
	var files map[string]func() string
	if opts.StatusFiles {
		files = map[string]func() string{"hello": func() string { return "hello, world\n" }}
	}
	m, err := fusefs.Mount(fusefs.Config{
		Dir: dir, FS: engine, ReadOnly: opts.ReadOnly, AllowOther: opts.AllowOther, Suid: opts.Suid, Debug: opts.Debug,
		NoPermissionChecks: opts.NoPermissionChecks, NoAtime: opts.NoAtime, MaxWrite: opts.MaxWrite, StatusFiles: files, Logger: logger,
		CacheTimeout: time.Duration(opts.CacheMillis) * time.Millisecond,
	})
	if err != nil {
		return err
	}
	s.engines[i], s.mounts[i], s.gates[i] = engine, m, gate
	return nil
}

// remount unmounts and mounts again, with another session.
func (s *server) remount(i int, wait time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	return errors.Join(s.mounts[i].Unmount(ctx), s.engines[i].Close(ctx), s.mount(i))
}

// obey carries out commands until the input ends.
func (s *server) obey(commands io.Reader) error {
	lines := json.NewDecoder(bufio.NewReader(commands))
	for {
		var c command
		if err := lines.Decode(&c); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		r := &reply{}
		if err := s.do(&c, r); err != nil {
			r.Err = err.Error()
		}
		answer(r)
	}
}

func (s *server) do(c *command, r *reply) error {
	switch c.Do {
	case "fault":
		s.gates[c.Mount].set(c.Step, c.Err)
	case "clear":
		s.gates[c.Mount].clear()
	case "stats":
		stats := s.mounts[c.Mount].Stats()
		r.Stats, r.Ops, r.Hung = &stats, make(map[string]uint64), s.gates[c.Mount].hung()
		for _, o := range stats.Ops {
			r.Ops[o.Op.String()] = o.Count
		}
		var mem runtime.MemStats
		runtime.ReadMemStats(&mem)
		r.Heap, r.Gorout = mem.HeapInuse, runtime.NumGoroutine()
	case "unmount":
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(c.Wait)*time.Millisecond)
		defer cancel()
		return s.mounts[c.Mount].Unmount(ctx)
	case "remount":
		return s.remount(c.Mount, time.Duration(c.Wait)*time.Millisecond)
	case "locks":
		for _, l := range s.cluster.Locks() {
			if l.Waiting {
				r.Waiting++
			} else {
				r.Held++
			}
		}
	case "expire":
		return s.cluster.ExpireAll()
	case "failover":
		return s.cluster.Failover()
	case "check":
		return s.cluster.Check()
	default:
		return fmt.Errorf("unknown command %q", c.Do)
	}
	return nil
}

func (s *server) leave() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var all error
	for i := range s.mounts {
		s.gates[i].clear()
		all = errors.Join(all, s.mounts[i].Unmount(ctx), s.engines[i].Close(ctx))
	}
	return all
}

func answer(r *reply) {
	if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
		fmt.Fprintln(os.Stderr, "the test is gone:", err)
	}
}
