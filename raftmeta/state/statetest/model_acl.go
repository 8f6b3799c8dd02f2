package statetest

import (
	"regexp"
	"strings"

	"dfs/fs"
)

// The model works on the bytes of ACLs: four of a version, then eight an entry, of which the first is the tag and the third
// the permissions.

// letters are the tags' names: owner, user, group, named group, mask, other.
var letters = map[byte]string{1: "o", 2: "u", 4: "g", 8: "n", 16: "m", 32: "r"}

// shapes are what tags a valid ACL has: a mask as soon as somebody is named.
var shapes = regexp.MustCompile(`^(og|ou*gn*m)r$`)

func aclValid(v string) bool {
	if len(v)%8 != 4 || v[:4] != "\x02\x00\x00\x00" {
		return false
	}
	tags := ""
	for e := v[4:]; e != ""; e = e[8:] {
		tag := letters[e[0]]
		if tag == "" || e[1] != 0 || e[2] > 7 || e[3] != 0 || strings.Contains("un", tag) && e[4:8] == "\xff\xff\xff\xff" {
			return false
		}
		tags += tag
	}
	return tags == "" || shapes.MatchString(tags)
}

// aclPerm is where the permissions of a tag are, 0 for nowhere.
func aclPerm(v string, tag byte) int {
	for at := 4; at < len(v); at += 8 {
		if v[at] == tag {
			return at + 2
		}
	}
	return 0
}

// aclClasses is where the permissions are that the mode shows for the owner, the group and the others.
func aclClasses(v string) [3]int {
	group := aclPerm(v, 4)
	if mask := aclPerm(v, 16); mask != 0 {
		group = mask
	}
	return [3]int{aclPerm(v, 1), group, aclPerm(v, 32)}
}

func aclMode(v string) uint32 {
	c := aclClasses(v)
	return uint32(v[c[0]])<<6 | uint32(v[c[1]])<<3 | uint32(v[c[2]])
}

func aclWithMode(v string, mode uint32) string {
	b := []byte(v)
	for n, at := range aclClasses(v) {
		b[at] = byte(mode >> (6 - 3*n) & 7)
	}
	return string(b)
}

// setACL does what is special to an ACL, and reports whether it is to be kept.
func (f *file) setACL(o *fs.Setxattr) (keep bool, code fs.Code) {
	v := string(o.Value)
	switch {
	case !aclValid(v):
		return false, fs.CodeInvalid
	case f.attr.Type == fs.TypeSymlink:
		return false, fs.CodeNotSupported
	case o.Name == "system.posix_acl_default":
		if !f.isDir() {
			return false, fs.CodeAccess
		}
		return len(v) > 4, fs.CodeOK
	case len(v) == 4:
		return false, fs.CodeOK
	}
	f.attr.Mode = f.attr.Mode&0o7000 | aclMode(v)
	if o.KillSetgid {
		f.attr.Mode &^= 0o2000
	}
	return len(v) > 4+3*8, fs.CodeOK
}

// chmod sets the permissions, in the access ACL too.
func (f *file) chmod(mode uint32) {
	f.attr.Mode = mode & 0o7777
	if v, ok := f.xattrs["system.posix_acl_access"]; ok {
		f.xattrs["system.posix_acl_access"] = aclWithMode(v, mode)
	}
}

// inherit gives a new file what its directory, nil for none, hands on.
func (f *file) inherit(dir *file, umask uint32) {
	acl := ""
	if dir != nil {
		acl = dir.xattrs["system.posix_acl_default"]
		if dir.attr.Mode&0o2000 != 0 {
			f.attr.GID = dir.attr.GID
			if f.isDir() {
				f.attr.Mode |= 0o2000
			}
		}
	}
	if f.attr.Type == fs.TypeSymlink {
		return
	}
	if acl == "" {
		f.attr.Mode &^= umask & 0o777
		return
	}
	if f.isDir() {
		f.xattrs["system.posix_acl_default"] = acl
	}
	perm := f.attr.Mode & aclMode(acl)
	f.attr.Mode = f.attr.Mode&0o7000 | perm
	if len(acl) > 4+3*8 {
		f.xattrs["system.posix_acl_access"] = aclWithMode(acl, perm)
	}
}
