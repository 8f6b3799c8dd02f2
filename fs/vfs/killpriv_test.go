package vfs

import (
	"context"
	"testing"

	"dfs/fs"
	"dfs/raftmeta/localmeta"
)

// killing is every change of a file's data by who may not keep its set-id bits.
func killing(m *mount, h *Handle) map[string]func(ctx context.Context) error {
	return map[string]func(ctx context.Context) error{
		"write": func(ctx context.Context) error { _, err := h.WriteKillPriv(ctx, []byte("x"), 0); return err },
		"truncate": func(ctx context.Context) error {
			_, err := m.Setattr(ctx, h.Ino(), fs.Setattr{Set: fs.SetSize, Size: 5, KillPriv: true})
			return err
		},
		"allocate": func(ctx context.Context) error {
			return h.Allocate(ctx, fs.Allocate{Len: 10, KeepSize: true, KillPriv: true})
		},
		"copy a little": func(ctx context.Context) error {
			_, err := h.CopyTo(ctx, h, fs.Clone{DstOff: 1000, Len: 10, KillPriv: true})
			return err
		},
		"clone": func(ctx context.Context) error {
			_, err := h.CopyTo(ctx, h, fs.Clone{DstOff: 10 * cloneMin, Len: cloneMin, KillPriv: true})
			return err
		},
	}
}

func TestUnprivilegedChange_TakesBitsThatAnotherMountHasJustSet(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m, other := w.mount(t, Config{}), w.mount(t, Config{})
	h := m.create("f")
	for name, change := range killing(m, h) {
		h.mustWrite(t, pattern(1, 2*cloneMin), 0)
		h.mustFlush(t)
		setattr(t, other, h.Ino(), fs.Setattr{Set: fs.SetMode, Mode: 0o6755}) // m is not told
		if err := change(ctxT(t)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if a := m.attr(h.Ino()); a.Mode != 0o755 {
			t.Errorf("%s: shown as %o", name, a.Mode)
		}
		h.mustFlush(t)
		if a := other.attr(h.Ino()); a.Mode != 0o755 {
			t.Errorf("%s: flushed as %o", name, a.Mode)
		}
	}
	w.audit(t)
}

func TestUnprivilegedWrite_TakesBitsInTheTransactionOfItsData(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m, other := w.mount(t, Config{}), w.mount(t, Config{})
	h := m.create("f")
	setattr(t, m, h.Ino(), fs.Setattr{Set: fs.SetMode, Mode: 0o4755})
	before := m.sw.count("commit")
	if _, err := h.WriteKillPriv(ctxT(t), []byte("data"), 0); err != nil {
		t.Fatal(err)
	}
	if a := m.attr(h.Ino()); a.Mode != 0o755 || a.Size != 4 || m.sw.count("commit") != before {
		t.Fatalf("mode %o, %d bytes before the flush", a.Mode, a.Size)
	}
	if a := other.attr(h.Ino()); a.Mode != 0o755 || a.Size != 4 {
		t.Fatalf("mode %o, %d bytes seen by the other mount", a.Mode, a.Size)
	}
	if n := m.sw.count("commit") - before; n != 1 {
		t.Fatalf("%d transactions", n)
	}
}

func TestTruncation_TakesTheBitsOfTheWriteThatItCutsOff(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m, other := w.mount(t, Config{}), w.mount(t, Config{})
	h := m.create("f")
	setattr(t, m, h.Ino(), fs.Setattr{Set: fs.SetMode, Mode: 0o4755})
	if _, err := h.WriteKillPriv(ctxT(t), []byte("data"), 0); err != nil {
		t.Fatal(err)
	}
	truncate(t, m, h, 0)
	if a := other.attr(h.Ino()); a.Mode != 0o755 {
		t.Fatalf("mode %o", a.Mode)
	}
}

func TestPrivilegedWrite_KeepsBitsThatWereSetAfterAnUnprivilegedOne(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m, other := w.mount(t, Config{}), w.mount(t, Config{})
	h := m.create("f")
	for name, end := range map[string]func(){
		"flush":    func() { h.mustFlush(t) },
		"truncate": func() { truncate(t, m, h, 0) },
		"expire": func() {
			m.fenced(expire(t, w, m))
			mustBeErr(t, h.Fsync(ctxT(t), false), fs.ErrFenced)
		},
	} {
		if _, err := h.WriteKillPriv(ctxT(t), []byte("data"), 0); err != nil {
			t.Fatal(err)
		}
		end()
		setattr(t, other, h.Ino(), fs.Setattr{Set: fs.SetMode, Mode: 0o4755}) // m is not told
		h.mustWrite(t, []byte("root"), 0)
		h.mustFlush(t)
		if a := other.attr(h.Ino()); a.Mode != 0o4755 {
			t.Errorf("%s: mode %o after a privileged write", name, a.Mode)
		}
	}
}
