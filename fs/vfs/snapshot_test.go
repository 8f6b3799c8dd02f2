package vfs

import (
	"bytes"
	"errors"
	"testing"

	"dfs/fs"
	"dfs/raftmeta/localmeta"
)

func TestSnapshot_ShowsOneVersion(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m, other := w.mount(t, Config{ReadAhead: -1}), w.mount(t, Config{})
	old := pattern(1, 6<<20)
	f := m.create("f")
	f.mustWrite(t, old, 0) // and not flushed
	s, err := m.Snapshot(ctxT(t), f.Ino())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Release()
	read := func(size int) ([]byte, error) {
		p := make([]byte, size)
		n, err := s.Read(ctxT(t), p, 0)
		return p[:n], err
	}
	if p, err := read(100); err != nil || !bytes.Equal(p, old[:100]) {
		t.Fatalf("%d bytes, %v", len(p), err)
	}
	h := other.nameless(pattern(2, 7<<20))
	if _, err := h.Replace(ctxT(t), other.now("f")); err != nil {
		t.Fatal(err)
	}
	if p, err := read(8 << 20); err != nil || !bytes.Equal(p, old) {
		t.Fatalf("%d bytes, %v", len(p), err)
	}
	// When the old blobs are collected it says so.
	s.layout, s.f.chunks = layout{}, newChunks(0, m.fetch)
	if _, err := read(100); !errors.Is(err, fs.ErrConflict) {
		t.Errorf("of a layout that is no more: %v", err)
	}
	d, err := m.Mkdir(ctxT(t), Caller{}, fs.RootIno, "d", 0o755)
	if err != nil {
		t.Fatal(err)
	}
	_, err = m.Snapshot(ctxT(t), d.Ino)
	mustBeErr(t, err, fs.ErrIsDir)
}
