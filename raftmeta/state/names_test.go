package state_test

import (
	"errors"
	"strings"
	"testing"

	"dfs/fs"
	"dfs/raftmeta/command"
)

func TestCreate_SetsEveryAttribute(t *testing.T) {
	c := newCluster(t)
	c.ok(&fs.Setattr{Ino: 1, Set: fs.SetMode | fs.SetGID, Mode: 0o2755, GID: 42, Time: 7})
	common := fs.Attr{UID: 5, GID: 42, Nlink: 1, Mode: 0o4750, Atime: 8, Mtime: 8, Ctime: 8, Btime: 8}
	for n, test := range []struct {
		typ    fs.FileType
		change func(*fs.Attr)
	}{
		{fs.TypeRegular, func(*fs.Attr) {}},
		{fs.TypeFIFO, func(*fs.Attr) {}},
		{fs.TypeSocket, func(*fs.Attr) {}},
		{fs.TypeChar, func(a *fs.Attr) { a.Rdev = 77 }},
		{fs.TypeBlock, func(a *fs.Attr) { a.Rdev = 77 }},
		{fs.TypeSymlink, func(a *fs.Attr) { a.Mode, a.Size = 0o777, 3 }},
		{fs.TypeDir, func(a *fs.Attr) { a.Mode, a.Nlink, a.Size, a.Parent = 0o6750, 2, 4096, 1 }},
	} {
		want := common
		want.Ino, want.Type = fs.Ino(10+n), test.typ
		test.change(&want)
		o := &fs.Create{Parent: 1, Name: strings.Repeat("x", n+1), Ino: want.Ino, Type: test.typ, Mode: 0o104750, UID: 5,
			GID: 6, Rdev: 77, Time: 8}
		if test.typ == fs.TypeSymlink {
			o.Target = "a/b"
		}
		r := c.ok(o)
		want.Version = r.Attr.Version
		if r.Attr != want {
			t.Errorf("made\n%+v, want\n%+v", r.Attr, want)
		}
		if r.Parent != c.attr(1) || r.Parent.Mtime != 8 || r.Parent.Ctime != 8 {
			t.Errorf("parent %+v, stored %+v", r.Parent, c.attr(1))
		}
	}
	if root := c.attr(1); root.Nlink != 3 {
		t.Errorf("the root has nlink %d, want 3", root.Nlink)
	}
	if target, err := c.view().Readlink(15); err != nil || target != "a/b" {
		t.Errorf("target %q, %v", target, err)
	}
}

func TestCreate_Refusals(t *testing.T) {
	c := newCluster(t)
	c.file(2, "file")
	c.dir(3, "dir")
	c.dir(4, "gone")
	c.ok(&fs.Rmdir{Parent: 1, Name: "gone", Time: 5})
	good := fs.Create{Parent: 1, Name: "new", Ino: 10, Type: fs.TypeRegular, Time: 5}
	for name, test := range map[string]struct {
		change func(*fs.Create)
		want   fs.Code
	}{
		"taken":              {func(o *fs.Create) { o.Name = "file" }, fs.CodeExist},
		"no name":            {func(o *fs.Create) { o.Name = "" }, fs.CodeInvalid},
		"dot":                {func(o *fs.Create) { o.Name = "." }, fs.CodeInvalid},
		"dot dot":            {func(o *fs.Create) { o.Name = ".." }, fs.CodeInvalid},
		"slash":              {func(o *fs.Create) { o.Name = "a/b" }, fs.CodeInvalid},
		"nul":                {func(o *fs.Create) { o.Name = "a\x00" }, fs.CodeInvalid},
		"long name":          {func(o *fs.Create) { o.Name = strings.Repeat("x", 256) }, fs.CodeNameTooLong},
		"no parent":          {func(o *fs.Create) { o.Parent = 99 }, fs.CodeNotExist},
		"parent is a file":   {func(o *fs.Create) { o.Parent = 2 }, fs.CodeNotDir},
		"parent was removed": {func(o *fs.Create) { o.Parent = 4 }, fs.CodeNotExist},
		"ino in use":         {func(o *fs.Create) { o.Ino = 3 }, fs.CodeInvalid},
		"ino of an orphan":   {func(o *fs.Create) { o.Ino = 4 }, fs.CodeInvalid},
		"ino not allotted":   {func(o *fs.Create) { o.Ino = 1002 }, fs.CodeInvalid},
		"ino 0":              {func(o *fs.Create) { o.Ino = 0 }, fs.CodeInvalid},
		"type":               {func(o *fs.Create) { o.Type = 3 }, fs.CodeInvalid},
		"target of a file":   {func(o *fs.Create) { o.Target = "x" }, fs.CodeInvalid},
		"symlink to nothing": {func(o *fs.Create) { o.Type = fs.TypeSymlink }, fs.CodeInvalid},
		"symlink to nul": {func(o *fs.Create) { o.Type, o.Target = fs.TypeSymlink, "a\x00" },
			fs.CodeInvalid},
		"symlink too long": {func(o *fs.Create) { o.Type, o.Target = fs.TypeSymlink, strings.Repeat("x", 4097) },
			fs.CodeNameTooLong},
		"nameless directory":  {func(o *fs.Create) { o.Parent, o.Name, o.Type = 0, "", fs.TypeDir }, fs.CodeInvalid},
		"name without parent": {func(o *fs.Create) { o.Parent = 0 }, fs.CodeInvalid},
	} {
		o := good
		test.change(&o)
		if r := c.try(&o); r.Err != test.want {
			t.Errorf("%s: %v, want %v", name, fs.FromCode(r.Err), fs.FromCode(test.want))
		}
	}
	good.Name = strings.Repeat("x", 255)
	c.ok(&good)
	c.ok(&fs.Create{Parent: 3, Name: "l", Ino: 11, Type: fs.TypeSymlink, Target: strings.Repeat("x", 4096), Time: 5})
}

func TestNames_WhatIsRefused(t *testing.T) {
	c := newCluster(t)
	c.file(2, "file")
	c.dir(3, "dir")
	c.make(fs.TypeDir, 3, 4, "sub")
	c.file(5, "lost")
	c.ok(&fs.Unlink{Parent: 1, Name: "lost", Time: 5})
	for _, test := range []struct {
		op   fs.Op
		want fs.Code
	}{
		{&fs.Unlink{Parent: 1, Name: "none"}, fs.CodeNotExist},
		{&fs.Unlink{Parent: 1, Name: "dir"}, fs.CodeIsDir},
		{&fs.Unlink{Parent: 2, Name: "x"}, fs.CodeNotDir},
		{&fs.Unlink{Parent: 99, Name: "x"}, fs.CodeNotExist},
		{&fs.Unlink{Parent: 1, Name: ".."}, fs.CodeInvalid},
		{&fs.Rmdir{Parent: 1, Name: "none"}, fs.CodeNotExist},
		{&fs.Rmdir{Parent: 1, Name: "file"}, fs.CodeNotDir},
		{&fs.Rmdir{Parent: 1, Name: "dir"}, fs.CodeNotEmpty},
		{&fs.Rmdir{Parent: 1, Name: "."}, fs.CodeInvalid},
		{&fs.Link{Ino: 3, Parent: 1, Name: "x"}, fs.CodePermission},
		{&fs.Link{Ino: 2, Parent: 1, Name: "dir"}, fs.CodeExist},
		{&fs.Link{Ino: 99, Parent: 1, Name: "x"}, fs.CodeNotExist},
		{&fs.Link{Ino: 2, Parent: 99, Name: "x"}, fs.CodeNotExist},
		{&fs.Link{Ino: 5, Parent: 1, Name: "x"}, fs.CodeNotExist},
	} {
		c.refused(test.want, test.op)
	}
}

func TestLink_CountsNamesUntilTheLastIsGone(t *testing.T) {
	c := newCluster(t)
	c.file(2, "a")
	r := c.ok(&fs.Link{Ino: 2, Parent: 1, Name: "b", Time: 50})
	if r.Attr.Nlink != 2 || r.Attr.Ctime != 50 || r.Attr.Mtime == 50 || r.Parent.Mtime != 50 {
		t.Errorf("linked: %+v", r)
	}
	if r = c.ok(&fs.Unlink{Parent: 1, Name: "a", Time: 51}); r.Attr.Nlink != 1 || c.stats().Orphans != 0 {
		t.Errorf("one of two names gone: %+v", r)
	}
	r = c.ok(&fs.Unlink{Parent: 1, Name: "b", Time: 52})
	if r.Attr.Nlink != 0 || r.Attr.Ctime != 52 || r.Parent.Mtime != 52 || r.Parent.Ctime != 52 {
		t.Errorf("the last name gone: %+v", r)
	}
	if list, err := c.view().Orphans(0, 10); err != nil || len(list) != 1 || list[0] != 2 {
		t.Errorf("orphans %v, %v", list, err)
	}
	if a := c.attr(2); a.Nlink != 0 {
		t.Errorf("an orphan no longer answers: %+v", a)
	}
}

func TestCreate_WithoutANameIsAnOrphanThatCanBeLinked(t *testing.T) {
	c := newCluster(t)
	r := c.ok(&fs.Create{Ino: 2, Type: fs.TypeRegular, Mode: 0o600, Time: 5})
	if r.Attr.Nlink != 0 || r.Parent != (fs.Attr{}) || c.stats().Orphans != 1 {
		t.Errorf("made %+v", r)
	}
	if r = c.ok(&fs.Link{Ino: 2, Parent: 1, Name: "a", Time: 6}); r.Attr.Nlink != 1 || c.stats().Orphans != 0 {
		t.Errorf("linked %+v", r)
	}
	c.ok(&fs.Unlink{Parent: 1, Name: "a", Time: 7})
	c.refused(fs.CodeNotExist, &fs.Link{Ino: 2, Parent: 1, Name: "a", Time: 8})
}

func TestRmdir_LeavesADirectoryThatStillAnswersButHoldsNothing(t *testing.T) {
	c := newCluster(t)
	c.dir(2, "d")
	r := c.ok(&fs.Rmdir{Parent: 1, Name: "d", Time: 50})
	if r.Attr.Nlink != 0 || r.Attr.Parent != 0 || r.Parent.Nlink != 2 || r.Parent.Mtime != 50 {
		t.Errorf("removed: %+v", r)
	}
	if list, err := c.view().Readdir(2, 0, 10); err != nil || len(list.Entries) != 0 {
		t.Errorf("listed: %v, %v", list, err)
	}
	if _, err := c.view().Path(2); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("its path: %v", err)
	}
	c.file(3, "f")
	for _, op := range []fs.Op{
		&fs.Create{Parent: 2, Name: "x", Ino: 9, Type: fs.TypeRegular},
		&fs.Link{Ino: 3, Parent: 2, Name: "x"},
		&fs.Rename{Parent: 1, Name: "f", NewParent: 2, NewName: "x"},
	} {
		c.refused(fs.CodeNotExist, op)
	}
	c.do(&command.Reap{Inos: []fs.Ino{2}})
	if _, err := c.view().Getattr(2); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after the reap: %v", err)
	}
}

func TestVersion_RisesOnEveryInodeThatChangesAndNoOther(t *testing.T) {
	c := newCluster(t)
	c.file(2, "a")
	c.dir(3, "d")
	c.file(4, "other")
	before := map[fs.Ino]uint64{}
	for ino := range fs.Ino(5) {
		if ino > 0 {
			before[ino] = c.attr(ino).Version
		}
	}
	c.ok(&fs.Rename{Parent: 1, Name: "a", NewParent: 3, NewName: "b", Time: 9})
	for ino, changed := range map[fs.Ino]bool{1: true, 2: true, 3: true, 4: false} {
		if v := c.attr(ino).Version; v > before[ino] != changed {
			t.Errorf("inode %d: version %d after %d", ino, v, before[ino])
		}
	}
}
