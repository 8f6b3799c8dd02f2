package fusefs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"dfs/fs"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// Server is a mount and the goroutines that serve it.
type Server struct {
	cfg     Config
	dir     string // absolute, no symlinks
	id      string // major:minor of the mount, to know it from others at the same place
	mounter mounter
	front   *front
	dev     *device
	fuse    *fuse.Server
	echoes  *echoes       // nil: none
	leaving atomic.Bool   // Unmount has been called
	done    chan struct{} // closed when nothing is served any more
}

// Mount mounts cfg.FS at cfg.Dir and serves it until it is unmounted. When it returns, calls on the mount are answered.
// Nobody else's mount is touched, but a dead one of ours at the same place is detached.
func Mount(cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("mount: %w", err)
	}
	dir, err := resolve(cfg.Dir)
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, dir: dir, mounter: newMounter(), done: make(chan struct{})}
	if err := prepare(dir, &cfg, s.mounter); err != nil {
		return nil, err
	}
	fd, err := s.mounter.mount(dir, &cfg)
	if err != nil {
		return nil, err
	}
	if err := s.start(fd); err != nil {
		return nil, errors.Join(err, s.mounter.unmount(dir, true))
	}
	if s.echoes != nil {
		if err := s.echoes.start(s.dir); err != nil {
			return nil, errors.Join(err, s.mounter.unmount(dir, true))
		}
	}
	return s, nil
}

// start answers the kernel's first request and begins to serve. fd is go-fuse's afterwards.
func (s *Server) start(fd int) (err error) {
	if s.dev, err = newDevice(fd); err != nil {
		return err
	}
	s.front = newFront(&s.cfg, s.dev)
	raw := withStatus(s.front, s.statusFiles())
	if s.cfg.Echo != nil {
		s.echoes = newEchoes(*s.cfg.Echo, newEchoFront(s.front, raw), s.cfg.Logger)
		raw = s.echoes.front
	}
	if s.fuse, err = fuse.NewServer(raw, "/dev/fd/"+strconv.Itoa(fd), s.options()); err != nil {
		return errors.Join(fmt.Errorf("start serving %s: %w", s.dir, err), s.dev.close())
	}
	top, _, err := mountAt(s.dir)
	if err != nil {
		return errors.Join(err, s.dev.close())
	}
	s.id = top.device
	if err := s.dev.incEpoch(); err != nil {
		s.front.timeless = true
		s.cfg.Logger.Info("this kernel cannot take names back, and so asks for each one; Linux 6.16 can", "err", err)
	}
	s.cfg.FS.SetKernel(s.front)
	s.setReadAhead()
	go s.serve()
	return nil
}

// serve runs until the kernel says that the mount is gone.
func (s *Server) serve() {
	defer close(s.done)
	s.fuse.Serve()
	if s.echoes != nil {
		s.echoes.close()
	}
	if err := s.dev.close(); err != nil {
		s.cfg.Logger.Warn("close the FUSE device", "err", err)
	}
	s.front.close()
	s.removeAborted()
}

// removeAborted takes a mount away whose connection somebody aborted: it would only answer ENOTCONN.
func (s *Server) removeAborted() {
	if s.leaving.Load() || !s.mounted() {
		return
	}
	s.cfg.Logger.Error("the FUSE connection was aborted; unmounting", "dir", s.dir)
	if err := s.mounter.unmount(s.dir, true); err != nil {
		s.cfg.Logger.Error("unmount", "dir", s.dir, "err", err)
	}
}

// mounted reports whether what is at the mount point is this mount.
func (s *Server) mounted() bool {
	top, ok, err := mountAt(s.dir)
	return err == nil && ok && top.device == s.id
}

// Done is closed when the mount is gone, whoever unmounted it, and every call has been answered.
func (s *Server) Done() <-chan struct{} { return s.done }

// Stats counts what was asked so far.
func (s *Server) Stats() Stats {
	st := s.front.stats.snapshot()
	st.Files, st.Dirs = s.front.files.count(), s.front.dirs.count()
	return st
}

// statusFiles are the caller's, and ours.
func (s *Server) statusFiles() map[string]func() string {
	if s.cfg.StatusFiles == nil {
		return nil
	}
	files := maps.Clone(s.cfg.StatusFiles)
	files["stats"] = func() string {
		stats := s.Stats()
		return stats.String()
	}
	return files
}

// busyPoll is how often a busy mount is tried to be unmounted again.
const busyPoll = 100 * time.Millisecond

// Unmount makes everything durable, unmounts, and waits until all calls have been answered. A mount that is in use is
// tried again until ctx ends and then detached: it disappears from the tree, programs that have files open there go on
// as long as this process serves them. That, and data that could not be made durable, is reported; unmounted it is in
// any case but a failing umount.
func (s *Server) Unmount(ctx context.Context) error {
	s.leaving.Store(true)
	if s.echoes != nil {
		s.echoes.close() // a helper at work keeps the mount busy
	}
	flushed := s.cfg.FS.Sync(ctx)
	if flushed != nil {
		flushed = fmt.Errorf("flush before unmounting %s: %w", s.dir, flushed)
	}
	err := s.unmountOnce()
	for errors.Is(err, fs.ErrBusy) && ctx.Err() == nil {
		select {
		case <-time.After(busyPoll):
			err = s.unmountOnce()
		case <-ctx.Done():
		}
	}
	if errors.Is(err, fs.ErrBusy) {
		return errors.Join(flushed, s.detach())
	}
	if err != nil {
		return errors.Join(flushed, err)
	}
	select {
	case <-s.done:
	case <-ctx.Done():
		err = fmt.Errorf("calls on %s are still being answered: %w", s.dir, ctx.Err())
	}
	return errors.Join(flushed, err)
}

// unmountOnce tries once, if it is still there to be unmounted.
func (s *Server) unmountOnce() error {
	if !s.mounted() {
		return nil
	}
	return s.mounter.unmount(s.dir, false)
}

func (s *Server) detach() error {
	if err := s.mounter.unmount(s.dir, true); err != nil {
		return err
	}
	return fmt.Errorf("%s was in use and has been detached: %w", s.dir, fs.ErrBusy)
}

// options are go-fuse's. What is not set here is off: the write-back cache, which would hide the ends of files that
// others append to; explicit invalidation, for the kernel shall compare mtimes and sizes itself.
func (s *Server) options() *fuse.MountOptions {
	level := slog.LevelWarn
	if s.cfg.Debug {
		level = slog.LevelDebug
	}
	return &fuse.MountOptions{
		MaxBackground: s.cfg.MaxBackground,
		MaxWrite:      s.cfg.MaxWrite,
		FsName:        s.cfg.FsName,
		Name:          s.cfg.Subtype,
		// An answer of 1 MiB and its header do not fit into a pipe of 1 MiB, and our data is not in a file anyway.
		DisableSplice:        true,
		EnableSymlinkCaching: true,
		EnableLocks:          true,
		// The kernel takes the names of such a listing as new even if it was told to forget them since it asked.
		DisableReadDirPlus: true,
		EnableAcl:          s.front.acl, // which makes the kernel check permissions
		ExtraCapabilities:  extraCapabilities,
		PanicHandler:       s.front.panicked,
		Debug:              s.cfg.Debug,
		Logger:             slog.NewLogLogger(s.cfg.Logger.Handler(), level),
	}
}

// extraCapabilities are those beyond go-fuse's: O_TRUNC comes with OPEN instead of a SETATTR behind it; we clear set-id
// bits (privileges.go); direct I/O side by side; mmap on handles that can write, which bypass the page cache; the umask comes with
// what is made, since a default ACL takes its place; SETXATTR says who may not keep set-gid; and file handles outlive the mount
// (names.go).
const extraCapabilities = fuse.CAP_ATOMIC_O_TRUNC | fuse.CAP_HANDLE_KILLPRIV_V2 | fuse.CAP_ASYNC_DIO |
	fuse.CAP_DIRECT_IO_ALLOW_MMAP | fuse.CAP_DONT_MASK | fuse.CAP_SETXATTR_EXT | fuse.CAP_EXPORT_SUPPORT

// setReadAhead tells the kernel how far to read ahead; the FUSE handshake cannot go beyond 128 KiB. The knob belongs to
// root, and the mount works without.
func (s *Server) setReadAhead() {
	if s.cfg.ReadAhead < 0 || s.id == "" {
		return
	}
	knob := "/sys/class/bdi/" + s.id + "/read_ahead_kb"
	if err := os.WriteFile(knob, []byte(strconv.Itoa(s.cfg.ReadAhead>>10)), 0); err != nil {
		s.cfg.Logger.Info("cannot set the read-ahead", "err", err)
	}
}
