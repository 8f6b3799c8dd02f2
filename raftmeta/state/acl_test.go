package state_test

import (
	"encoding/binary"
	"errors"
	"strconv"
	"strings"
	"testing"

	"dfs/fs"
)

// acl makes the value of an ACL from "u::rwx u:7:rw- g::r-- g:8:r-x m::r-- o::---".
func acl(t *testing.T, text string) []byte {
	t.Helper()
	tags := map[string]uint16{"u:": 1, "u": 2, "g:": 4, "g": 8, "m:": 16, "o:": 32}
	b := []byte{2, 0, 0, 0}
	for _, entry := range strings.Fields(text) {
		part := strings.Split(entry, ":")
		id, tag := uint64(1<<32-1), tags[part[0]+":"]
		if part[1] != "" {
			var err error
			if id, err = strconv.ParseUint(part[1], 10, 32); err != nil {
				t.Fatal(err)
			}
			tag = tags[part[0]]
		}
		perm := uint16(0)
		for n, c := range part[2] {
			if c != '-' {
				perm |= 4 >> n
			}
		}
		b = binary.LittleEndian.AppendUint16(b, tag)
		b = binary.LittleEndian.AppendUint16(b, perm)
		b = binary.LittleEndian.AppendUint32(b, uint32(id))
	}
	return b
}

// wantACL checks an ACL, none for an empty text.
func (c *cluster) wantACL(ino fs.Ino, name, text string) {
	c.t.Helper()
	got, err := c.view().Getxattr(ino, name)
	if text == "" {
		if !errors.Is(err, fs.ErrNoXattr) {
			c.t.Errorf("inode %d has %s %x, %v; want none", ino, name, got, err)
		}
		return
	}
	if want := acl(c.t, text); err != nil || string(got) != string(want) {
		c.t.Errorf("inode %d: %s is\n%x, %v, want\n%x", ino, name, got, err, want)
	}
}

func (c *cluster) setACL(ino fs.Ino, name, text string) fs.Attr {
	c.t.Helper()
	return c.ok(&fs.Setxattr{Ino: ino, Name: name, Value: acl(c.t, text), Time: c.tick()}).Attr
}

func TestAccessACL_AndTheModeSayTheSame(t *testing.T) {
	c := newCluster(t)
	c.file(2, "a")
	const access = fs.XattrACLAccess
	c.ok(&fs.Setattr{Ino: 2, Set: fs.SetMode, Mode: 0o6755})
	if a := c.setACL(2, access, "u::rw- u:7:rwx g::r-- m::rw- o::--x"); a.Mode != 0o6661 {
		t.Errorf("the mode is %o", a.Mode)
	}
	if a := c.ok(&fs.Setattr{Ino: 2, Set: fs.SetMode, Mode: 0o4514}).Attr; a.Mode != 0o4514 {
		t.Errorf("chmod made it %o", a.Mode)
	}
	c.wantACL(2, access, "u::r-x u:7:rwx g::r-- m::--x o::r--") // the mask, not the group
	c.setACL(2, access, "u::rw- g::r-- m::rwx o::---")
	c.wantACL(2, access, "u::rw- g::r-- m::rwx o::---")
	// One that says no more than the mode is not kept.
	if a := c.setACL(2, access, "u::rwx g::r-x o::--x"); a.Mode != 0o4751 {
		t.Errorf("the mode is %o", a.Mode)
	}
	c.wantACL(2, access, "")
	c.setACL(2, access, "u::rw- u:7:r-- g::--- m::r-- o::---")
	c.ok(&fs.Setxattr{Ino: 2, Name: access, Value: acl(t, "")})
	c.wantACL(2, access, "")
	c.setACL(2, access, "u::rw- u:7:r-- g::--- m::r-- o::---")
	// What is removed leaves the mode; what is not there may be removed, and changes nothing.
	if a := c.ok(&fs.Removexattr{Ino: 2, Name: access, Time: 7}).Attr; a.Mode != 0o4640 || a.Ctime != 7 {
		t.Errorf("removed: %+v", a)
	}
	before := c.attr(2)
	if a := c.ok(&fs.Removexattr{Ino: 2, Name: access, Time: 8}).Attr; a != before {
		t.Errorf("removed again: %+v", a)
	}
}

func TestAccessACL_FromOutsideTheGroupTakesSetgid(t *testing.T) {
	c := newCluster(t)
	c.dir(2, "d")
	for _, text := range []string{"u::rwx g::rwx o::rwx", "u::rwx u:7:rwx g::rwx m::rwx o::rwx"} {
		for kill, want := range map[bool]uint32{true: 0o5777, false: 0o7777} {
			c.ok(&fs.Setattr{Ino: 2, Set: fs.SetMode, Mode: 0o7000})
			a := c.ok(&fs.Setxattr{Ino: 2, Name: fs.XattrACLAccess, Value: acl(t, text), KillSetgid: kill}).Attr
			if a.Mode != want {
				t.Errorf("%s, kill %v: %o, want %o", text, kill, a.Mode, want)
			}
		}
	}
}

func TestACL_Refusals(t *testing.T) {
	c := newCluster(t)
	c.file(2, "a")
	c.make(fs.TypeSymlink, 1, 3, "l")
	const good = "u::rwx u:7:rwx g::r-x g:8:r-x m::rwx o::---"
	if a := c.setACL(1, fs.XattrACLDefault, good); a.Mode != 0o755 {
		t.Errorf("a default ACL made the mode %o", a.Mode)
	}
	for _, text := range []string{"u::rwx", "u::rwx g::r-x", "g::r-x o::---", "u::rwx u::rwx g::r-x o::---", "u::rwx g::r-x o::--- o::---",
		"g::r-x u::rwx o::---", "u::rwx u:7:rwx g::r-x o::---", "u::rwx g::r-x g:8:r-x o::---", "u::rwx g::r-x m::r-x m::r-x o::---",
		"u::rwx u:4294967295:rwx g::r-x m::rwx o::---"} {
		for _, name := range []string{fs.XattrACLAccess, fs.XattrACLDefault} {
			c.refused(fs.CodeInvalid, &fs.Setxattr{Ino: 1, Name: name, Value: acl(t, text)})
		}
	}
	value := acl(t, good)
	for what, v := range map[string][]byte{"nothing": nil, "half an entry": value[:len(value)-4], "a version": append([]byte{1}, value[1:]...),
		"a permission": append(append([]byte{}, value[:6]...), append([]byte{8}, value[7:]...)...),
		"a tag":        append(append([]byte{}, value[:len(value)-8]...), 64, 0, 0, 0, 0, 0, 0, 0)} {
		if r := c.try(&fs.Setxattr{Ino: 1, Name: fs.XattrACLAccess, Value: v}); r.Err != fs.CodeInvalid {
			t.Errorf("%s: %v", what, r.Err)
		}
	}
	c.refused(fs.CodeXattrTooBig, &fs.Setxattr{Ino: 1, Name: fs.XattrACLDefault, Value: make([]byte, 4097)})
	c.refused(fs.CodeAccess, &fs.Setxattr{Ino: 2, Name: fs.XattrACLDefault, Value: value})
	c.refused(fs.CodeNotSupported, &fs.Setxattr{Ino: 3, Name: fs.XattrACLAccess, Value: value})
}

func TestCreate_InheritsTheDefaultACLOrElseLeavesOutTheUmask(t *testing.T) {
	c := newCluster(t)
	c.dir(2, "plain")
	c.dir(3, "full")
	c.dir(4, "three")
	c.setACL(3, fs.XattrACLDefault, "u::rwx u:7:rwx g::r-x m::rwx o::r-x")
	c.setACL(4, fs.XattrACLDefault, "u::rwx g::rwx o::---")
	for n, test := range []struct {
		typ           fs.FileType
		dir           fs.Ino
		nameless      bool
		mode, want    uint32
		access, hands string
	}{
		{fs.TypeRegular, 2, false, 0o4666, 0o4640, "", ""},
		{fs.TypeDir, 2, false, 0o1777, 0o1750, "", ""},
		{fs.TypeRegular, 2, true, 0o666, 0o640, "", ""},
		{fs.TypeRegular, 0, true, 0o666, 0o640, "", ""},
		{fs.TypeSymlink, 2, false, 0o777, 0o777, "", ""},

		{fs.TypeRegular, 3, false, 0o2664, 0o2664, "u::rw- u:7:rwx g::r-x m::rw- o::r--", ""},
		{fs.TypeFIFO, 3, false, 0o602, 0o600, "u::rw- u:7:rwx g::r-x m::--- o::---", ""},
		{fs.TypeRegular, 3, true, 0o666, 0o664, "u::rw- u:7:rwx g::r-x m::rw- o::r--", ""},
		{fs.TypeDir, 3, false, 0o755, 0o755, "u::rwx u:7:rwx g::r-x m::r-x o::r-x", "u::rwx u:7:rwx g::r-x m::rwx o::r-x"},
		{fs.TypeSymlink, 3, false, 0o777, 0o777, "", ""},

		{fs.TypeRegular, 4, false, 0o666, 0o660, "", ""},
		{fs.TypeDir, 4, false, 0o777, 0o770, "", "u::rwx g::rwx o::---"},
	} {
		ino := fs.Ino(10 + n)
		o := &fs.Create{Parent: test.dir, Name: "n" + strconv.Itoa(n), Ino: ino, Type: test.typ, Mode: test.mode, Umask: 0o027}
		if test.nameless {
			o.Parent, o.Near, o.Name = 0, test.dir, ""
		}
		if test.typ == fs.TypeSymlink {
			o.Target = "t"
		}
		if a := c.ok(o).Attr; a.Mode != test.want {
			t.Errorf("%+v: mode %o, want %o", o, a.Mode, test.want)
		}
		c.wantACL(ino, fs.XattrACLAccess, test.access)
		c.wantACL(ino, fs.XattrACLDefault, test.hands)
	}
	c.refused(fs.CodeNotExist, &fs.Create{Near: 99, Ino: 30, Type: fs.TypeRegular})
	c.refused(fs.CodeNotDir, &fs.Create{Near: 10, Ino: 30, Type: fs.TypeRegular})
	c.refused(fs.CodeInvalid, &fs.Create{Parent: 1, Name: "x", Near: 1, Ino: 30, Type: fs.TypeRegular})
}

func TestCreateNear_TakesTheGroupOfASetgidDirectory(t *testing.T) {
	c := newCluster(t)
	c.dir(2, "d")
	c.ok(&fs.Setattr{Ino: 2, Set: fs.SetMode | fs.SetGID, Mode: 0o2775, GID: 8})
	if a := c.ok(&fs.Create{Near: 2, Ino: 3, Type: fs.TypeRegular, GID: 1}).Attr; a.GID != 8 {
		t.Errorf("%+v", a)
	}
}
