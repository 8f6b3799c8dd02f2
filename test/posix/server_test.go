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
	StatusFiles        bool // one, "hello"
	Debug              bool
}

// command is what a test tells the server, one JSON object a line on its standard input; one reply answers each.
type command struct {
	Do    string // "fault", "clear", "stats", "unmount", "check"
	Mount int
	Step  string  // of a fault: the name of a call to the metadata
	Err   fs.Code // what the fault returns; CodeOK: it hangs until "clear"
	Wait  int     // of "unmount": milliseconds before it turns lazy
}

type reply struct {
	Err    string
	Stats  *fusefs.Stats
	Ops    map[string]uint64
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
	s := &server{cluster: cluster}
	level := slog.LevelInfo
	if opts.Debug {
		level = slog.LevelDebug
	}
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	store := memstore.New(memstore.Config{Node: "n1"})
	for _, dir := range opts.Dirs {
		if err := s.mount(opts, dir, store, logger); err != nil {
			return err
		}
	}
	answer(&reply{})
	return errors.Join(s.obey(os.Stdin), s.leave())
}

type server struct {
	cluster *localmeta.Cluster
	gates   []*gate
	engines []*vfs.FS
	mounts  []*fusefs.Server
}

func (s *server) mount(opts options, dir string, store *memstore.Store, logger *slog.Logger) error {
	gate := newGate(s.cluster.Mount(nil))
	engine, err := vfs.New(context.Background(), vfs.Config{
		Mount:     fs.Mount{Host: "test", PID: os.Getpid(), Path: dir},
		OpTimeout: time.Duration(opts.OpTimeoutMillis) * time.Millisecond,
		ReadOnly:  opts.ReadOnly,
		Logger:    logger,
	}, gate, store)
	if err != nil {
		return err
	}
	var files map[string]func() string
	if opts.StatusFiles {
		files = map[string]func() string{"hello": func() string { return "hello, world\n" }}
	}
	m, err := fusefs.Mount(fusefs.Config{
		Dir: dir, FS: engine, ReadOnly: opts.ReadOnly, AllowOther: opts.AllowOther, Suid: opts.Suid, Debug: opts.Debug,
		NoPermissionChecks: opts.NoPermissionChecks, MaxWrite: opts.MaxWrite, StatusFiles: files, Logger: logger,
		CacheTimeout: time.Duration(opts.CacheMillis) * time.Millisecond,
	})
	if err != nil {
		return err
	}
	s.engines, s.mounts, s.gates = append(s.engines, engine), append(s.mounts, m), append(s.gates, gate)
	return nil
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
