package vfs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"dfs/blob"
	"dfs/blob/memstore"
	"dfs/fs"
	"dfs/raftmeta/localmeta"
)

// world is a cluster of one node in memory.
type world struct {
	meta  *localmeta.Cluster
	store *memstore.Store
	wrap  func(fs.Meta) fs.Meta // if not nil, put before the next mounts' line to meta
}

func newWorld(t testing.TB, cfg localmeta.Config) *world {
	t.Helper()
	meta, err := localmeta.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &world{meta: meta, store: memstore.New(memstore.Config{Node: "n1"})}
}

// switchboard breaks steps and calls by name, for one mount.
type switchboard struct {
	mu     sync.Mutex
	broken map[string]error
	counts map[string]int
	hooks  map[string]func() error
}

func newSwitchboard() *switchboard {
	return &switchboard{broken: map[string]error{}, counts: map[string]int{}, hooks: map[string]func() error{}}
}

func (s *switchboard) at(step string) error {
	s.mu.Lock()
	s.counts[step]++
	err, hook := s.broken[step], s.hooks[step]
	if all := s.broken["*"]; err == nil {
		err = all
	}
	s.mu.Unlock()
	if err == nil && hook != nil {
		err = hook()
	}
	return err
}

func (s *switchboard) set(step string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		delete(s.broken, step)
		return
	}
	s.broken[step] = err
}

func (s *switchboard) hook(step string, fn func() error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hooks[step] = fn
}

func (s *switchboard) count(step string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts[step]
}

// faultyBlobs puts a mount's faults before and behind the store.
type faultyBlobs struct {
	store  *memstore.Store
	faults fs.Faults
}

func (b faultyBlobs) Stage(ctx context.Context, tx blob.Tx, bl *blob.Blob) ([]fs.NodeID, error) {
	if err := b.faults.At("stage"); err != nil {
		return nil, err
	}
	nodes, err := b.store.Stage(ctx, tx, bl)
	if err == nil {
		err = b.faults.At("stage.answer")
	}
	return nodes, err
}

func (b faultyBlobs) Get(ctx context.Context, info *fs.BlobInfo, off, n uint32) (*blob.Range, error) {
	if err := b.faults.At("get"); err != nil {
		return nil, err
	}
	r, err := b.store.Get(ctx, info, off, n)
	if err == nil && b.faults.At("get.corrupt") != nil {
		r.Data[0] ^= 1 // a store that does not check what it gives
	}
	return r, err
}

// mount is a vfs under test with its switchboard.
type mount struct {
	*FS
	t  testing.TB
	sw *switchboard
}

// mount starts a vfs. It flushes nothing by age unless cfg says so. Unless the test closes it, it is closed at the end
// and must then have nothing left.
func (w *world) mount(t testing.TB, cfg Config) *mount {
	t.Helper()
	m := w.start(t, cfg)
	t.Cleanup(func() {
		if err := m.Close(ctxT(t)); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return m
}

func (w *world) start(t testing.TB, cfg Config) *mount {
	t.Helper()
	if cfg.FlushAge == 0 {
		cfg.FlushAge = time.Hour
	}
	if cfg.OpTimeout == 0 {
		cfg.OpTimeout = 10 * time.Second
	}
	sw := newSwitchboard()
	cfg.Faults = sw.at
	var line fs.Meta = w.meta.Mount(sw.at)
	if w.wrap != nil {
		line = w.wrap(line)
	}
	f, err := New(ctxT(t), cfg, line, faultyBlobs{w.store, sw.at})
	if err != nil {
		t.Fatal(err)
	}
	return &mount{FS: f, t: t, sw: sw}
}

// abandon is the death of a mount: it reaches nobody any more, and is then cleaned up.
func (m *mount) abandon() {
	m.sw.set("*", fs.ErrUnavailable)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = m.Close(ctx) // what it could not flush is lost, as it should be
}

// ctxT bounds one call of a test. It is not cancelled at the test's end: cleanups use it too.
func ctxT(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(30*time.Second, cancel)
	return ctx
}

const rw = syscall.O_RDWR

func (m *mount) create(name string) *Handle {
	m.t.Helper()
	_, h, err := m.Create(ctxT(m.t), Caller{}, fs.RootIno, name, 0o644, rw)
	if err != nil {
		m.t.Fatalf("create %s: %v", name, err)
	}
	m.t.Cleanup(h.Release)
	return h
}

func (m *mount) open(name string, flags uint32) *Handle {
	m.t.Helper()
	a, err := m.Lookup(ctxT(m.t), fs.RootIno, name)
	if err != nil {
		m.t.Fatalf("look up %s: %v", name, err)
	}
	_, h, _, err := m.FS.Open(ctxT(m.t), a.Ino, flags)
	if err != nil {
		m.t.Fatalf("open %s: %v", name, err)
	}
	m.t.Cleanup(h.Release)
	return h
}

func (h *Handle) mustWrite(t testing.TB, p []byte, off uint64) {
	t.Helper()
	if n, err := h.Write(ctxT(t), p, off); n != len(p) || err != nil {
		t.Fatalf("write %d at %d: %d, %v", len(p), off, n, err)
	}
}

func (h *Handle) mustFlush(t testing.TB) {
	t.Helper()
	if err := h.Fsync(ctxT(t), false); err != nil {
		t.Fatalf("fsync: %v", err)
	}
}

// content reads the whole file by its own idea of the size.
func (h *Handle) content(t testing.TB) []byte {
	t.Helper()
	a, err := h.f.Getattr(ctxT(t), h.n.ino)
	if err != nil {
		t.Fatalf("getattr: %v", err)
	}
	p := make([]byte, a.Size+10)
	n, err := h.Read(ctxT(t), p, 0)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	if uint64(n) != a.Size {
		t.Fatalf("read %d bytes of a file of %d", n, a.Size)
	}
	return p[:n]
}

func (h *Handle) mustBe(t testing.TB, want []byte) {
	t.Helper()
	if got := h.content(t); !bytes.Equal(got, want) {
		t.Fatalf("content differs: %s", diff(got, want))
	}
}

func diff(got, want []byte) string {
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return fmt.Sprintf("at %d: %d, want %d (lengths %d, %d)", i, got[i], want[i], len(got), len(want))
		}
	}
	return fmt.Sprintf("lengths %d, want %d", len(got), len(want))
}

func mustBeErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error is %v, want %v", err, want)
	}
}

// pattern is n bytes that differ by place and by seed.
func pattern(seed, n int) []byte {
	p := make([]byte, n)
	x := uint32(seed)*2654435761 + 1
	for i := range p {
		x = x*1664525 + 1013904223
		p[i] = byte(x >> 24)
	}
	return p
}

// eventually polls for what happens in the background.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("never happened: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// audit checks the metadata's own invariants, and that every blob that it knows can be read.
func (w *world) audit(t testing.TB) {
	t.Helper()
	if err := w.meta.Check(); err != nil {
		t.Fatalf("the metadata is inconsistent: %v", err)
	}
}
