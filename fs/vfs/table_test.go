package vfs

import (
	"testing"

	"dfs/fs"
	"dfs/raftmeta/localmeta"
)

func TestTable_ForgetsTheLongestIdleInode(t *testing.T) {
	tb := newTable()
	used := tb.get(1)
	for ino := fs.Ino(2); ino < idleMax+10; ino++ {
		tb.release(tb.get(ino))
		tb.release(tb.get(2)) // is asked for all the time
	}
	if len(tb.inodes) != idleMax+1 {
		t.Fatalf("%d inodes are remembered", len(tb.inodes))
	}
	if tb.peek(1) != used || tb.peek(2) == nil || tb.peek(3) != nil {
		t.Fatal("the wrong ones were forgotten")
	}
}

func TestRemovedDirectory_ReadsAsEmpty(t *testing.T) {
	w := newWorld(t, localmeta.Config{TimeoutMillis: 60})
	m := w.mount(t, Config{})
	a, err := m.Mkdir(ctxT(t), Caller{}, fs.RootIno, "d", 0o755)
	if err != nil {
		t.Fatal(err)
	}
	d, err := m.OpenDir(ctxT(t), a.Ino)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Rmdir(ctxT(t), fs.RootIno, "d"); err != nil {
		t.Fatal(err)
	}
	if err := d.Read(ctxT(t), 0, func(fs.Dirent) bool { t.Error("an entry"); return true }); err != nil {
		t.Fatal(err)
	}
	d.Release()
	mustBeErr(t, d.Read(ctxT(t), 0, nil), fs.ErrClosed)
	eventually(t, "the directory is reaped", func() bool {
		_, err := m.Getattr(ctxT(t), a.Ino)
		return fs.CodeOf(err) == fs.CodeNotExist
	})
}

func TestBudget_LetsOneLargeRequestPassAlone(t *testing.T) {
	b := newBudget(10)
	if err := b.take(ctxT(t), 100, func() {}); err != nil {
		t.Fatal(err)
	}
	pressed := make(chan struct{}, 1)
	taken := make(chan error, 1)
	go func() { taken <- b.take(ctxT(t), 1, func() { pressed <- struct{}{} }) }()
	<-pressed
	b.give(100)
	if err := <-taken; err != nil || b.inUse() != 1 {
		t.Fatal(err, b.inUse())
	}
}
