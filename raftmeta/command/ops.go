package command

import (
	"fmt"

	"dfs/fs"
	"dfs/fs/wire"
)

type opKind uint8

// Kinds are written to disk: never renumber.
const (
	opCreate opKind = iota + 1
	opLink
	opUnlink
	opRmdir
	opRename
	opSetattr
	opWrite
	opAllocate
	opClone
	opSetxattr
	opRemovexattr
	opCheck
	opAccess
)

func kindOf(op fs.Op) opKind {
	switch op.(type) {
	case *fs.Create:
		return opCreate
	case *fs.Link:
		return opLink
	case *fs.Unlink:
		return opUnlink
	case *fs.Rmdir:
		return opRmdir
	case *fs.Rename:
		return opRename
	case *fs.Setattr:
		return opSetattr
	case *fs.Write:
		return opWrite
	case *fs.Allocate:
		return opAllocate
	case *fs.Clone:
		return opClone
	case *fs.Setxattr:
		return opSetxattr
	case *fs.Removexattr:
		return opRemovexattr
	case *fs.Check:
		return opCheck
	case *fs.Access:
		return opAccess
	}
	panic(fmt.Sprintf("command: no kind for %T", op))
}

func newOp(k opKind) fs.Op {
	switch k {
	case opCreate:
		return &fs.Create{}
	case opLink:
		return &fs.Link{}
	case opUnlink:
		return &fs.Unlink{}
	case opRmdir:
		return &fs.Rmdir{}
	case opRename:
		return &fs.Rename{}
	case opSetattr:
		return &fs.Setattr{}
	case opWrite:
		return &fs.Write{}
	case opAllocate:
		return &fs.Allocate{}
	case opClone:
		return &fs.Clone{}
	case opSetxattr:
		return &fs.Setxattr{}
	case opRemovexattr:
		return &fs.Removexattr{}
	case opCheck:
		return &fs.Check{}
	case opAccess:
		return &fs.Access{}
	}
	return nil
}

func wireOp(c *wire.Coder, p *fs.Op) {
	var k opKind
	if !c.Decoding() {
		k = kindOf(*p)
	}
	wire.Uint(c, &k)
	if c.Decoding() {
		if *p = newOp(k); *p == nil {
			c.Fail(fmt.Errorf("operation kind %d: %w", k, ErrUnknown))
			return
		}
	}
	switch o := (*p).(type) {
	case *fs.Create:
		wireName(c, &o.Parent, &o.Name)
		wire.Uint(c, &o.Ino)
		wire.Uint(c, &o.Type)
		wire.Uint(c, &o.Mode)
		wire.Uint(c, &o.UID)
		wire.Uint(c, &o.GID)
		wire.Uint(c, &o.Rdev)
		c.String(&o.Target)
		wire.Int(c, &o.Time)
		c.Bool(&o.Pin)
		wire.Uint(c, &o.Near)
		wire.Uint(c, &o.Umask)
	case *fs.Link:
		wire.Uint(c, &o.Ino)
		wireName(c, &o.Parent, &o.Name)
		wire.Int(c, &o.Time)
	case *fs.Unlink:
		wireName(c, &o.Parent, &o.Name)
		wire.Int(c, &o.Time)
	case *fs.Rmdir:
		wireName(c, &o.Parent, &o.Name)
		wire.Int(c, &o.Time)
	case *fs.Rename:
		wireName(c, &o.Parent, &o.Name)
		wireName(c, &o.NewParent, &o.NewName)
		wire.Uint(c, &o.Flags)
		wire.Int(c, &o.Time)
	case *fs.Setattr:
		wire.Uint(c, &o.Ino)
		wire.Uint(c, &o.Set)
		wire.Uint(c, &o.Mode)
		wire.Uint(c, &o.UID)
		wire.Uint(c, &o.GID)
		c.Uint64(&o.Size)
		wire.Int(c, &o.Atime)
		wire.Int(c, &o.Mtime)
		wire.Int(c, &o.Time)
		c.Bool(&o.KillPriv)
	case *fs.Write:
		wire.Uint(c, &o.Ino)
		wire.Slice(c, &o.Extents, WireExtent)
		wire.Int(c, &o.Time)
		c.Bool(&o.KillPriv)
	case *fs.Allocate:
		wire.Uint(c, &o.Ino)
		c.Uint64(&o.Off)
		c.Uint64(&o.Len)
		wire.Uint(c, &o.Mode)
		c.Bool(&o.KeepSize)
		wire.Int(c, &o.Time)
		c.Bool(&o.KillPriv)
	case *fs.Clone:
		wire.Uint(c, &o.Src)
		c.Uint64(&o.SrcOff)
		wire.Uint(c, &o.Dst)
		c.Uint64(&o.DstOff)
		c.Uint64(&o.Len)
		wire.Int(c, &o.Time)
		c.Bool(&o.KillPriv)
	case *fs.Setxattr:
		wire.Uint(c, &o.Ino)
		c.String(&o.Name)
		c.Blob(&o.Value)
		wire.Uint(c, &o.Flags)
		wire.Int(c, &o.Time)
		c.Bool(&o.KillSetgid)
	case *fs.Removexattr:
		wire.Uint(c, &o.Ino)
		c.String(&o.Name)
		wire.Int(c, &o.Time)
	case *fs.Check:
		wire.Uint(c, &o.Ino)
		c.Uint64(&o.Version)
	case *fs.Access:
		wire.Uint(c, &o.Ino)
		wire.Int(c, &o.Seen)
		wire.Int(c, &o.Time)
	default:
		panic(fmt.Sprintf("command: no codec for %T", o))
	}
}

func wireName(c *wire.Coder, dir *fs.Ino, name *string) {
	wire.Uint(c, dir)
	c.String(name)
}
