package state_test

import (
	"slices"
	"testing"

	"dfs/fs"
	"dfs/raftmeta/command"
	"dfs/raftmeta/state"
)

func (c *cluster) homes(ino fs.Ino) []fs.Ino {
	c.t.Helper()
	list, err := c.view().Homes(ino)
	if err != nil {
		c.t.Fatal(err)
	}
	return list
}

func (c *cluster) within(ino, top fs.Ino) bool {
	c.t.Helper()
	in, err := c.view().Within(ino, top)
	if err != nil {
		c.t.Fatal(err)
	}
	return in
}

func (c *cluster) homeKeys() (n int) {
	c.t.Helper()
	if err := c.kv.Scan([]byte("p"), []byte("q"), func([]byte, []byte) bool { n++; return true }); err != nil {
		c.t.Fatal(err)
	}
	return n
}

func TestHomes_FollowEveryName(t *testing.T) {
	c := newCluster(t)
	c.dir(2, "a")
	c.dir(3, "b")
	c.make(fs.TypeRegular, 2, 10, "f")
	for n, step := range []struct {
		op    fs.Op
		homes []fs.Ino
		keys  int
	}{
		{&fs.Setattr{Ino: 10}, []fs.Ino{2}, 0},
		{&fs.Rename{Parent: 2, Name: "f", NewParent: 2, NewName: "g"}, []fs.Ino{2}, 0},
		{&fs.Rename{Parent: 2, Name: "g", NewParent: 3, NewName: "f"}, []fs.Ino{3}, 0},
		{&fs.Link{Ino: 10, Parent: 3, Name: "g"}, []fs.Ino{3}, 1},
		{&fs.Link{Ino: 10, Parent: 1, Name: "h"}, []fs.Ino{1, 3}, 2},
		{&fs.Rename{Parent: 3, Name: "g", NewParent: 2, NewName: "g"}, []fs.Ino{1, 2, 3}, 3},
		{&fs.Create{Parent: 2, Name: "x", Ino: 11, Type: fs.TypeFIFO}, []fs.Ino{1, 2, 3}, 3},
		{&fs.Rename{Parent: 3, Name: "f", NewParent: 2, NewName: "x", Flags: fs.RenameExchange}, []fs.Ino{1, 2}, 2},
		{&fs.Rename{Parent: 3, Name: "f", NewParent: 1, NewName: "h"}, []fs.Ino{2}, 1}, // 11 takes one of its names
		{&fs.Unlink{Parent: 2, Name: "x"}, []fs.Ino{2}, 0},
		{&fs.Unlink{Parent: 2, Name: "g"}, []fs.Ino{2}, 0}, // an orphan now
	} {
		c.ok(step.op)
		if got := c.homes(10); !slices.Equal(got, step.homes) || c.homeKeys() != step.keys {
			t.Errorf("step %d: homes %v and %d keys, want %v and %d", n, got, c.homeKeys(), step.homes, step.keys)
		}
		if err := state.Check(c.kv); err != nil {
			t.Fatalf("step %d: %v", n, err)
		}
	}
}

func TestWithin_AsksForAnyName(t *testing.T) {
	c := newCluster(t)
	c.dir(2, "a")
	c.make(fs.TypeDir, 2, 3, "sub")
	c.dir(4, "b")
	c.make(fs.TypeRegular, 3, 10, "deep")
	c.make(fs.TypeRegular, 4, 11, "elsewhere")
	c.ok(&fs.Link{Ino: 11, Parent: 1, Name: "l", Time: 5})
	for ino, want := range map[fs.Ino]bool{1: false, 2: true, 3: true, 4: false, 10: true, 11: false, 99: false} {
		if c.within(ino, 2) != want || !c.within(ino, 1) != (ino == 99) {
			t.Errorf("inode %d in 2: %v, in the root: %v", ino, c.within(ino, 2), c.within(ino, 1))
		}
	}
	c.ok(&fs.Link{Ino: 11, Parent: 3, Name: "l", Time: 5})
	if !c.within(11, 2) || !c.within(11, 4) {
		t.Error("a file is not where each of its names is")
	}
}

// An orphan lies where it was, also when the directory is gone as well: both are there as long as the orphan is.
func TestOrphan_LiesWhereItsLastNameWas(t *testing.T) {
	c := newCluster(t)
	c.dir(2, "a")
	c.make(fs.TypeDir, 2, 3, "sub")
	c.make(fs.TypeRegular, 3, 10, "f")
	c.ok(&fs.Unlink{Parent: 3, Name: "f", Time: 5}, &fs.Rmdir{Parent: 2, Name: "sub", Time: 5})
	c.do(&command.Reap{Inos: []fs.Ino{3}, Extents: 9})
	if !c.within(10, 2) || c.within(10, 99) {
		t.Error("an orphan whose directory was removed is not where it was")
	}
	if _, err := c.view().Getattr(3); err != nil {
		t.Errorf("the directory of an orphan was reaped: %v", err)
	}
	if ok, err := c.view().Reapable(3); ok || err != nil {
		t.Errorf("it may be reaped: %v, %v", ok, err)
	}
	version := c.attr(3).Version
	c.do(&command.Reap{Inos: []fs.Ino{10}, Extents: 9})
	if c.attr(3).Version != version {
		t.Error("a directory that an orphan has left looks changed")
	}
	if ok, err := c.view().Reapable(3); !ok || err != nil {
		t.Errorf("it may not be reaped: %v, %v", ok, err)
	}
	c.do(&command.Reap{Inos: []fs.Ino{3}, Extents: 9})
	if n := c.stats().Orphans; n != 0 {
		t.Errorf("%d orphans are left", n)
	}
}
