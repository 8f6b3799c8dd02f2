package state_test

import (
	"testing"

	"dfs/fs"
)

func TestSetattr_ChangesWhatItsMaskNames(t *testing.T) {
	c := newCluster(t)
	c.file(2, "a")
	all := &fs.Setattr{Ino: 2, Mode: 0o104644, UID: 7, GID: 8, Size: 9, Atime: 10, Mtime: 11, Time: 12}
	for _, test := range []struct {
		set    fs.SetMask
		change func(*fs.Attr)
	}{
		{0, func(*fs.Attr) {}},
		{fs.SetMode, func(a *fs.Attr) { a.Mode = 0o4644 }},
		{fs.SetUID, func(a *fs.Attr) { a.UID = 7; a.Mode = 0o755 }},
		{fs.SetGID, func(a *fs.Attr) { a.GID = 8; a.Mode = 0o755 }},
		{fs.SetSize, func(a *fs.Attr) { a.Size, a.Mtime = 9, 12 }},
		{fs.SetSize | fs.SetMtime, func(a *fs.Attr) { a.Size, a.Mtime = 9, 11 }},
		{fs.SetAtime, func(a *fs.Attr) { a.Atime = 10 }},
		{fs.SetMtime, func(a *fs.Attr) { a.Mtime = 11 }},
	} {
		base := &fs.Setattr{Ino: 2, Set: setEverything, Mode: 0o6755, UID: 1, GID: 1, Size: 1, Atime: 2, Mtime: 2, Time: 2}
		want := c.ok(base).Attr
		test.change(&want)
		want.Ctime = 12
		o := *all
		o.Set = test.set
		got := c.ok(&o).Attr
		if got.Version <= want.Version {
			t.Errorf("mask %b: version %d after %d", test.set, got.Version, want.Version)
		}
		want.Version = got.Version
		if got != want {
			t.Errorf("mask %b:\n%+v, want\n%+v", test.set, got, want)
		}
	}
}

const setEverything = fs.SetMode | fs.SetUID | fs.SetGID | fs.SetSize | fs.SetAtime | fs.SetMtime

func TestChown_TakesTheRightsOfItsOwnerFromAProgram(t *testing.T) {
	c := newCluster(t)
	c.file(2, "a")
	c.dir(3, "d")
	for _, test := range []struct {
		ino        fs.Ino
		set        fs.SetMask
		mode, want uint32
	}{
		{2, fs.SetUID, 0o6755, 0o755},
		{2, fs.SetGID, 0o6755, 0o755},
		{2, fs.SetGID, 0o6745, 0o2745}, // without group execution set-gid means mandatory locking
		{2, fs.SetUID, 0o1755, 0o1755},
		{3, fs.SetUID | fs.SetGID, 0o6755, 0o6755},
		{2, fs.SetAtime, 0o6755, 0o6755},
	} {
		c.ok(&fs.Setattr{Ino: test.ino, Set: fs.SetMode, Mode: test.mode})
		if a := c.ok(&fs.Setattr{Ino: test.ino, Set: test.set, UID: 9, GID: 9}).Attr; a.Mode != test.want {
			t.Errorf("inode %d, mask %b: %o becomes %o, want %o", test.ino, test.set, test.mode, a.Mode, test.want)
		}
	}
	a := c.ok(&fs.Setattr{Ino: 2, Set: fs.SetUID | fs.SetMode, UID: 9, Mode: 0o6755}).Attr
	if a.Mode != 0o6755 {
		t.Errorf("mode set by the same operation becomes %o", a.Mode)
	}
}

func TestKillPriv_TakesSetIDBitsWithTheData(t *testing.T) {
	c := newCluster(t)
	c.file(2, "a")
	c.file(3, "b")
	c.ok(&fs.Write{Ino: 3, Extents: []fs.Extent{{Len: 1, Data: []byte("x")}}})
	for _, kill := range []bool{true, false} {
		want := uint32(0o6755)
		if kill {
			want = 0o755
		}
		for _, op := range []fs.Op{
			&fs.Write{Ino: 2, Extents: []fs.Extent{{Len: 1, Data: []byte("x")}}, KillPriv: kill},
			&fs.Setattr{Ino: 2, Set: fs.SetSize, Size: 5, KillPriv: kill},
			&fs.Setattr{Ino: 2, KillPriv: kill},
			&fs.Allocate{Ino: 2, Len: 1, KillPriv: kill},
			&fs.Clone{Src: 3, Dst: 2, Len: 1, KillPriv: kill},
		} {
			c.ok(&fs.Setattr{Ino: 2, Set: fs.SetMode, Mode: 0o6755})
			if a := c.ok(op).Attr; a.Mode != want {
				t.Errorf("%+v: mode %o, want %o", op, a.Mode, want)
			}
		}
	}
	if a := c.ok(&fs.Setattr{Ino: 2, Set: fs.SetMode, Mode: 0o6755, KillPriv: true}).Attr; a.Mode != 0o6755 {
		t.Errorf("mode set by the same operation becomes %o", a.Mode)
	}
}

func TestSetattr_Refusals(t *testing.T) {
	c := newCluster(t)
	c.file(2, "a")
	c.dir(3, "d")
	c.make(fs.TypeSymlink, 1, 4, "l")
	c.make(fs.TypeFIFO, 1, 5, "p")
	for _, test := range []struct {
		op   fs.Setattr
		want fs.Code
	}{
		{fs.Setattr{Ino: 99}, fs.CodeNotExist},
		{fs.Setattr{Ino: 2, Set: 1 << 15}, fs.CodeInvalid},
		{fs.Setattr{Ino: 2, Set: fs.SetSize, Size: fs.SizeMax + 1}, fs.CodeFileTooBig},
		{fs.Setattr{Ino: 3, Set: fs.SetSize}, fs.CodeIsDir},
		{fs.Setattr{Ino: 4, Set: fs.SetSize}, fs.CodeInvalid},
		{fs.Setattr{Ino: 5, Set: fs.SetSize}, fs.CodeInvalid},
		{fs.Setattr{Ino: 4, Set: fs.SetMode}, fs.CodeNotSupported},
	} {
		c.refused(test.want, &test.op)
	}
	c.ok(&fs.Setattr{Ino: 2, Set: fs.SetSize, Size: fs.SizeMax})
	c.ok(&fs.Setattr{Ino: 4, Set: fs.SetUID | fs.SetMtime, UID: 3})
}
