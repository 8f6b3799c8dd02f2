package state_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"dfs/fs"
	"dfs/raftmeta/command"
)

func TestXattr_SetReplaceListRemove(t *testing.T) {
	c := newCluster(t)
	c.file(2, "a")
	set := func(name, value string, flags fs.XattrFlags) *fs.Setxattr {
		return &fs.Setxattr{Ino: 2, Name: name, Value: []byte(value), Flags: flags, Time: 50}
	}
	if a := c.ok(set("user.b", "1", fs.XattrCreate)).Attr; a.Ctime != 50 || a.Mtime == 50 {
		t.Errorf("set: %+v", a)
	}
	c.ok(set("user.a", "", 0))
	c.refused(fs.CodeExist, set("user.b", "2", fs.XattrCreate))
	c.refused(fs.CodeNoXattr, set("user.c", "2", fs.XattrReplace))
	c.ok(set("user.b", "22", fs.XattrReplace))
	if names, err := c.view().Listxattr(2); err != nil || !slices.Equal(names, []string{"user.a", "user.b"}) {
		t.Errorf("names %q, %v", names, err)
	}
	if v, err := c.view().Getxattr(2, "user.b"); err != nil || string(v) != "22" {
		t.Errorf("value %q, %v", v, err)
	}
	c.ok(&fs.Removexattr{Ino: 2, Name: "user.b", Time: 60})
	c.refused(fs.CodeNoXattr, &fs.Removexattr{Ino: 2, Name: "user.b"})
	if _, err := c.view().Getxattr(2, "user.b"); !errors.Is(err, fs.ErrNoXattr) {
		t.Errorf("removed: %v", err)
	}
	if _, err := c.view().Getxattr(99, "user.b"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of no inode: %v", err)
	}
}

func TestXattr_Refusals(t *testing.T) {
	c := newCluster(t)
	for _, test := range []struct {
		op   fs.Op
		want fs.Code
	}{
		{&fs.Setxattr{Ino: 99, Name: "user.x"}, fs.CodeNotExist},
		{&fs.Setxattr{Ino: 1}, fs.CodeInvalid},
		{&fs.Setxattr{Ino: 1, Name: "a\x00"}, fs.CodeInvalid},
		{&fs.Setxattr{Ino: 1, Name: strings.Repeat("x", 256)}, fs.CodeNameTooLong},
		{&fs.Setxattr{Ino: 1, Name: "user.x", Value: make([]byte, fs.XattrMax+1)}, fs.CodeXattrTooBig},
		{&fs.Setxattr{Ino: 1, Name: "user.x", Flags: 3}, fs.CodeInvalid},
		{&fs.Removexattr{Ino: 99, Name: "user.x"}, fs.CodeNotExist},
		{&fs.Removexattr{Ino: 1}, fs.CodeInvalid},
	} {
		c.refused(test.want, test.op)
	}
}

func TestXattr_AllOfAnInodeAreBounded(t *testing.T) {
	c := newCluster(t)
	c.file(2, "a")
	big := make([]byte, fs.XattrMax-4)
	for n := range fs.XattrsMax / fs.XattrMax {
		c.ok(&fs.Setxattr{Ino: 2, Name: fmt.Sprintf("u.%02d", n), Value: big})
	}
	c.refused(fs.CodeXattrTooBig, &fs.Setxattr{Ino: 2, Name: "x"})
	c.ok(&fs.Setxattr{Ino: 2, Name: "u.00", Value: big[1:]}) // replacing counts the difference
	c.ok(&fs.Setxattr{Ino: 2, Name: "x"})
	c.ok(&fs.Removexattr{Ino: 2, Name: "u.01"})
	c.ok(&fs.Setxattr{Ino: 2, Name: "u.02", Value: big})
	// They go with the inode.
	c.ok(&fs.Unlink{Parent: 1, Name: "a"})
	c.do(&command.Reap{Inos: []fs.Ino{2}})
	for _, p := range contents(t, c.kv, "a", "b", 10) {
		t.Errorf("the xattr %q is left", p.key)
	}
}
