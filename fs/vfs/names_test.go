package vfs

import (
	"context"
	"syscall"
	"testing"

	"dfs/fs"
	"dfs/raftmeta/localmeta"
)

func TestCreate_OpensWhatIsThereUnlessExclusive(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m := w.mount(t, Config{})
	h := m.create("f")
	h.mustWrite(t, []byte("old"), 0)
	a, h2, err := m.Create(ctxT(t), Caller{}, fs.RootIno, "f", 0o600, rw)
	if err != nil || a.Ino != h.Ino() || a.Size != 3 {
		t.Fatal(a, err)
	}
	defer h2.Release()
	_, _, err = m.Create(ctxT(t), Caller{}, fs.RootIno, "f", 0o600, rw|syscall.O_EXCL)
	mustBeErr(t, err, fs.ErrExist)
	a, h3, err := m.Create(ctxT(t), Caller{}, fs.RootIno, "f", 0o600, rw|syscall.O_TRUNC)
	if err != nil || a.Size != 0 {
		t.Fatal(a, err)
	}
	defer h3.Release()
	h.mustBe(t, nil)
	if _, err := m.Mkdir(ctxT(t), Caller{}, fs.RootIno, "d", 0o755); err != nil {
		t.Fatal(err)
	}
	_, _, err = m.Create(ctxT(t), Caller{}, fs.RootIno, "d", 0o600, rw)
	mustBeErr(t, err, fs.ErrIsDir)
}

// racingPin removes an inode before it can be pinned.
type racingPin struct {
	fs.Meta
	before     func()
	unattached bool
}

func (r *racingPin) Attach(ctx context.Context, s fs.Session, held fs.Held) (fs.Stream, error) {
	if r.unattached {
		return nil, fs.ErrUnavailable
	}
	return r.Meta.Attach(ctx, s, held)
}

func (r *racingPin) Pin(ctx context.Context, s fs.Session, ino fs.Ino) (fs.Attr, error) {
	if before := r.before; before != nil {
		r.before = nil
		before()
	}
	return r.Meta.Pin(ctx, s, ino)
}

func TestCreate_OfAFileThatIsRemovedBeforeItIsPinnedMakesItAnew(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	other := w.mount(t, Config{})
	race := &racingPin{}
	w.wrap = func(m fs.Meta) fs.Meta { race.Meta = m; return race }
	race.unattached = true // without leases, so that opening pins; and Attach would pin what is about to be pinned
	m := w.mount(t, Config{})
	old, err := other.Mknod(ctxT(t), Caller{}, fs.RootIno, "f", fs.TypeRegular, 0o644, 0)
	if err != nil {
		t.Fatal(err)
	}
	race.before = func() {
		if err := other.Unlink(ctxT(t), fs.RootIno, "f"); err != nil {
			t.Error(err)
		}
	}
	h := m.create("f")
	if a, err := m.Lookup(ctxT(t), fs.RootIno, "f"); err != nil || a.Ino != h.Ino() || a.Ino == old.Ino {
		t.Fatal(a, err)
	}
}

func TestNamesAndAttributes_GoThrough(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m := w.mount(t, Config{})
	ctx := ctxT(t)
	d, err := m.Mkdir(ctx, Caller{UID: 3, GID: 4}, fs.RootIno, "d", 0o750)
	if err != nil || d.UID != 3 || d.GID != 4 || d.Mode != 0o750 || !d.IsDir() {
		t.Fatal(d, err)
	}
	l, err := m.Symlink(ctx, Caller{}, d.Ino, "l", "target")
	if err != nil || l.Type != fs.TypeSymlink {
		t.Fatal(l, err)
	}
	if s, err := m.Readlink(ctx, l.Ino); err != nil || s != "target" {
		t.Fatal(s, err)
	}
	if a, err := m.Link(ctx, l.Ino, fs.RootIno, "l2"); err != nil || a.Nlink != 2 {
		t.Fatal(a, err)
	}
	mustBeErr(t, m.Rmdir(ctx, fs.RootIno, "d"), fs.ErrNotEmpty)
	if err := m.Rename(ctx, d.Ino, "l", fs.RootIno, "l3", fs.RenameNoReplace); err != nil {
		t.Fatal(err)
	}
	if err := m.Rmdir(ctx, fs.RootIno, "d"); err != nil {
		t.Fatal(err)
	}
	if err := m.Setxattr(ctx, l.Ino, "user.a", []byte("v"), fs.XattrCreate); err != nil {
		t.Fatal(err)
	}
	mustBeErr(t, m.Setxattr(ctx, l.Ino, "user.a", nil, fs.XattrCreate), fs.ErrExist)
	if v, err := m.Getxattr(ctx, l.Ino, "user.a"); err != nil || string(v) != "v" {
		t.Fatal(v, err)
	}
	if names, err := m.Listxattr(ctx, l.Ino); err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	if err := m.Removexattr(ctx, l.Ino, "user.a"); err != nil {
		t.Fatal(err)
	}
	_, err = m.Getxattr(ctx, l.Ino, "user.a")
	mustBeErr(t, err, fs.ErrNoXattr)
	if s, err := m.Statfs(ctx, fs.RootIno); err != nil || s.Inodes != 2 {
		t.Fatal(s, err)
	}
	_, err = m.OpenDir(ctx, l.Ino)
	mustBeErr(t, err, fs.ErrNotDir)
	_, _, _, err = m.FS.Open(ctx, fs.RootIno, rw)
	mustBeErr(t, err, fs.ErrIsDir)
}

func TestRenameOverAnOpenFile_KeepsItReadable(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m := w.mount(t, Config{})
	old := m.create("f")
	old.mustWrite(t, pattern(1, 10_000), 0)
	m.create("g")
	if err := m.Rename(ctxT(t), fs.RootIno, "g", fs.RootIno, "f", 0); err != nil {
		t.Fatal(err)
	}
	old.mustBe(t, pattern(1, 10_000))
	old.mustFlush(t)
	old.mustBe(t, pattern(1, 10_000))
}

func TestUnlinkedUnopenedDirtyFile_IsDropped(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m := w.mount(t, Config{})
	_, h, err := m.Create(ctxT(t), Caller{}, fs.RootIno, "f", 0o600, rw)
	if err != nil {
		t.Fatal(err)
	}
	h.mustWrite(t, pattern(1, 10_000), 0)
	h.Release()
	if err := m.Unlink(ctxT(t), fs.RootIno, "f"); err != nil {
		t.Fatal(err)
	}
	if m.budget.inUse() != 0 || m.sw.count("stage") != 0 {
		t.Fatal("data that nobody can reach is kept, or flushed")
	}
}
