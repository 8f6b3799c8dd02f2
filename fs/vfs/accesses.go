package vfs

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"syscall"
	"time"

	"dfs/fs"
)

// Reads are noted here and told to the leader later, many together; see DESIGN.md, Access times.

const (
	accessesMax  = 8192 // inodes noted; further reads are not
	accessesSent = 1024 // in one transaction

	// lastTellMax bounds how long Close waits to tell the last reads: with the cluster gone they may as well be lost.
	lastTellMax = 2 * time.Second
)

// accesses is what has been read and not been told yet.
type accesses struct {
	mu     sync.Mutex
	noted  map[fs.Ino]access
	flying chan struct{} // closed when what is being told has been; nil: nothing is
	turn   chan struct{} // held by who tells
}

type access struct {
	seen, time fs.Time // see fs.Access
	flying     bool
}

func newAccesses() *accesses {
	return &accesses{noted: make(map[fs.Ino]access), turn: make(chan struct{}, 1)}
}

// show puts into a what has been noted, unless the atime has been set since.
func (s *accesses) show(a *fs.Attr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.apply(a)
}

func (s *accesses) apply(a *fs.Attr) {
	if e, ok := s.noted[a.Ino]; ok && a.Atime == e.seen {
		a.Atime = e.time
	}
}

// note records that the content of a was read at t, if that is to be recorded.
func (s *accesses) note(a fs.Attr, t fs.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := a.Atime
	s.apply(&a)
	e, ok := s.noted[a.Ino]
	if !a.StaleAtime(t) || e.flying || !ok && len(s.noted) >= accessesMax {
		return
	}
	s.noted[a.Ino] = access{seen: seen, time: t}
}

// list is what has been noted and is not being told.
func (s *accesses) list() map[fs.Ino]access {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make(map[fs.Ino]access, len(s.noted))
	for ino, e := range s.noted {
		if !e.flying {
			list[ino] = e
		}
	}
	return list
}

// take begins to tell what is in list and is still noted so. landed must follow, if there is any.
func (s *accesses) take(list map[fs.Ino]access) []fs.Op {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ops []fs.Op
	for _, ino := range slices.Sorted(maps.Keys(list)) {
		e := list[ino]
		if s.noted[ino] != e || len(ops) == accessesSent {
			continue
		}
		ops = append(ops, &fs.Access{Ino: ino, Seen: e.seen, Time: e.time})
		e.flying = true
		s.noted[ino] = e
	}
	if ops != nil {
		s.flying = make(chan struct{})
	}
	return ops
}

// landed forgets what take has given out: it is decided, or lost.
func (s *accesses) landed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ino, e := range s.noted {
		if e.flying {
			delete(s.noted, ino)
		}
	}
	close(s.flying)
	s.flying = nil
}

// forget drops what has been noted of an inode whose atime is about to be set, and waits for what is being told of it.
func (s *accesses) forget(ctx context.Context, ino fs.Ino) error {
	s.mu.Lock()
	e := s.noted[ino]
	flying := s.flying
	if !e.flying {
		delete(s.noted, ino)
	}
	s.mu.Unlock()
	if !e.flying {
		return nil
	}
	select {
	case <-flying:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("inode %d: its access time is being recorded: %w", ino, unavailable(ctx.Err()))
	}
}

// Accessed notes that something was read through the handle, and puts that into a, which the front is about to be told of the
// inode. Read does so itself; the kernel answers other reads from its pages.
func (h *Handle) Accessed(a *fs.Attr) {
	h.accessed()
	h.f.accesses.show(a)
}

func (h *Handle) accessed() {
	if h.flags&syscall.O_NOATIME != 0 || h.flags&syscall.O_ACCMODE == syscall.O_WRONLY {
		return
	}
	h.n.mu.Lock()
	a := h.n.view()
	h.n.mu.Unlock()
	h.f.accessed(a)
}

// accessed notes that the content of a, as this mount knows it, has just been read.
func (f *FS) accessed(a fs.Attr) {
	if f.cfg.NoAtime || f.cfg.NoDirAtime && a.IsDir() || f.ReadOnly() {
		return
	}
	f.accesses.note(a, f.now())
}

// accessLoop tells what has been noted, until ctx ends.
func (f *FS) accessLoop(ctx context.Context) {
	tick := time.NewTicker(max(f.cfg.FlushAge, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			f.tellAccesses(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// tellAccesses tells what has been noted of inodes of which nothing is unflushed. What cannot be told is lost: the next read
// notes it again.
func (f *FS) tellAccesses(ctx context.Context) {
	select {
	case f.accesses.turn <- struct{}{}:
	case <-ctx.Done():
		return
	}
	defer func() { <-f.accesses.turn }()
	list := f.accesses.list()
	for _, n := range f.dirty.all() { // only now: what has been read and is not among these is flushed
		delete(list, n.ino)
	}
	ops := f.accesses.take(list)
	if ops == nil {
		return
	}
	defer f.accesses.landed()
	results, err := f.do(ctx, ops...)
	if err != nil {
		f.log.Debug("access times are lost", "inodes", len(ops), "err", err)
	}
	for _, r := range results {
		f.merge(r.Attr)
	}
}

// tellLastAccesses is tellAccesses for Close.
func (f *FS) tellLastAccesses(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lastTellMax)
	defer cancel()
	f.tellAccesses(ctx)
}
