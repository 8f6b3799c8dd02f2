package state

import "encoding/binary"

// The rules of POSIX ACLs, as Linux has them (fs/posix_acl.c, and acl(5) for the words).

// An ACL is stored as Linux hands it over (linux/posix_acl_xattr.h): a version, then tag, permissions and id of each entry,
// little-endian.
const (
	aclVersion   = 2
	aclHeader    = 4 // bytes
	aclEntrySize = 8
	aclMax       = 4096 // a kernel takes no longer one from FUSE, and lets nobody in who would have to be looked up in it
)

// The tags of entries, and the id of one that names nobody.
const (
	aclUserObj  = 0x01
	aclUser     = 0x02
	aclGroupObj = 0x04
	aclGroup    = 0x08
	aclMask     = 0x10
	aclOther    = 0x20

	aclNobody = 0xffffffff
)

const permAll = 0o7 // of one class

// aclEntry is the permissions of one class of users.
type aclEntry struct {
	tag, perm uint16
	id        uint32 // of the user or the group
}

// acl is a list of permissions that is valid; see parseACL.
type acl []aclEntry

// parseACL reads a stored ACL, nil if it has no entries. Not ok: it is malformed, or no ACL may be so.
func parseACL(value []byte) (a acl, ok bool) {
	if len(value) < aclHeader || (len(value)-aclHeader)%aclEntrySize != 0 || binary.LittleEndian.Uint32(value) != aclVersion {
		return nil, false
	}
	for at := aclHeader; at < len(value); at += aclEntrySize {
		e := value[at:]
		a = append(a, aclEntry{binary.LittleEndian.Uint16(e), binary.LittleEndian.Uint16(e[2:]), binary.LittleEndian.Uint32(e[4:])})
	}
	return a, len(a) == 0 || a.valid()
}

// valid reports whether an ACL has what it must have, each once and in this order: owner, users, group, groups, mask, others.
// Without users and groups there need be no mask.
func (a acl) valid() bool {
	last, named, counts := uint16(0), false, map[uint16]int{}
	for _, e := range a {
		byID := e.tag == aclUser || e.tag == aclGroup
		if e.tag < last || e.perm&^permAll != 0 || byID && e.id == aclNobody {
			return false
		}
		last, named = e.tag, named || byID
		counts[e.tag]++
	}
	for tag, n := range counts {
		switch tag {
		case aclUser, aclGroup:
		case aclUserObj, aclGroupObj, aclMask, aclOther:
			if n > 1 {
				return false
			}
		default:
			return false
		}
	}
	return counts[aclUserObj] == 1 && counts[aclGroupObj] == 1 && counts[aclOther] == 1 && (counts[aclMask] == 1 || !named)
}

// encode is the inverse of parseACL.
func (a acl) encode() []byte {
	b := binary.LittleEndian.AppendUint32(make([]byte, 0, aclHeader+len(a)*aclEntrySize), aclVersion)
	for _, e := range a {
		b = binary.LittleEndian.AppendUint16(b, e.tag)
		b = binary.LittleEndian.AppendUint16(b, e.perm)
		b = binary.LittleEndian.AppendUint32(b, e.id)
	}
	return b
}

// of is the entry with a tag that is there at most once; nil: there is none.
func (a acl) of(tag uint16) *aclEntry {
	for n := range a {
		if a[n].tag == tag {
			return &a[n]
		}
	}
	return nil
}

// group is what the group bits of the mode stand for: the mask, which bounds users and groups, or the owning group itself.
func (a acl) group() *aclEntry {
	if mask := a.of(aclMask); mask != nil {
		return mask
	}
	return a.of(aclGroupObj)
}

// mode is what an ACL says in permission bits.
func (a acl) mode() uint32 {
	return uint32(a.of(aclUserObj).perm)<<6 | uint32(a.group().perm)<<3 | uint32(a.of(aclOther).perm)
}

// minimal reports whether an ACL says no more than its mode.
func (a acl) minimal() bool { return len(a) == 3 }

// chmod makes an ACL say what the permission bits of mode do.
func (a acl) chmod(mode uint32) {
	a.of(aclUserObj).perm = uint16(mode >> 6 & permAll)
	a.group().perm = uint16(mode >> 3 & permAll)
	a.of(aclOther).perm = uint16(mode & permAll)
}

// restrict takes from an inherited ACL what mode, which the maker asked for, does not grant.
func (a acl) restrict(mode uint32) { a.chmod(a.mode() & mode) }
