package state

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"dfs/fs"
	"dfs/raftmeta/command"
)

// What a session may touch; see DESIGN.md, "Bound sessions".

// ownInosMax is how many ranges of inode numbers a bound session may create inodes from: those that it was allotted last.
const ownInosMax = 8

// bound reports whether a session sees a part of the tree only.
func (r *SessionRecord) bound() bool { return r.Root != fs.RootIno }

// resolve finds the directory that a path names, without following symlinks.
func (c *change) resolve(path string) (fs.Ino, error) {
	path, err := fs.ParseSubtree(path)
	if err != nil {
		return 0, refuse(fs.ErrInvalid)
	}
	at := fs.RootIno
	if path == "" {
		return at, nil
	}
	for name := range strings.SplitSeq(path[1:], "/") {
		p, err := c.place(at, name)
		if err != nil {
			return 0, err
		}
		if !p.taken() {
			return 0, refuse(fs.ErrNotExist)
		}
		if p.typ != fs.TypeDir {
			return 0, refuse(fs.ErrNotDir)
		}
		at = p.ino
	}
	return at, nil
}

// admit refuses an operation of a bound session that is about what does not lie beneath its root. It is asked right before
// the operation is done, so that what the transaction has done so far counts. Whether there is such an inode is not told.
func (c *change) admit(s *SessionRecord, op fs.Op) error {
	if !s.bound() {
		return nil
	}
	inos, err := subjects(op)
	if err != nil {
		return err
	}
	for _, ino := range inos {
		in, err := c.tree().within(ino, s.Root)
		if err != nil {
			return err
		}
		if !in {
			return refuse(fs.ErrAccess)
		}
	}
	if !s.owns(op) {
		return refuse(fs.ErrAccess)
	}
	return nil
}

// subjects are the inodes that an operation names, but the one that a Create makes. What a name in one of them means lies
// beneath it.
func subjects(op fs.Op) ([]fs.Ino, error) {
	switch o := op.(type) {
	case *fs.Create:
		switch {
		case o.Parent != 0:
			return []fs.Ino{o.Parent}, nil
		case o.Near != 0:
			return []fs.Ino{o.Near}, nil
		}
		return nil, nil
	case *fs.Link:
		return []fs.Ino{o.Ino, o.Parent}, nil
	case *fs.Unlink:
		return []fs.Ino{o.Parent}, nil
	case *fs.Rmdir:
		return []fs.Ino{o.Parent}, nil
	case *fs.Rename:
		return []fs.Ino{o.Parent, o.NewParent}, nil
	case *fs.Setattr:
		return []fs.Ino{o.Ino}, nil
	case *fs.Write:
		return []fs.Ino{o.Ino}, nil
	case *fs.Allocate:
		return []fs.Ino{o.Ino}, nil
	case *fs.Clone:
		return []fs.Ino{o.Src, o.Dst}, nil
	case *fs.Setxattr:
		return []fs.Ino{o.Ino}, nil
	case *fs.Removexattr:
		return []fs.Ino{o.Ino}, nil
	case *fs.Check:
		return []fs.Ino{o.Ino}, nil
	case *fs.Access: // looks itself, since it is not refused
		return nil, nil
	}
	return nil, command.ErrUnknown
}

// owns reports whether the numbers that an operation brings are the session's own: of the inode that it makes, which else
// could be one that somebody else was allotted, and of the blobs that it maps, which else could hold anybody's bytes.
func (r *SessionRecord) owns(op fs.Op) bool {
	switch o := op.(type) {
	case *fs.Create:
		return r.allotted(o.Ino)
	case *fs.Write:
		return !slices.ContainsFunc(o.Extents, func(e fs.Extent) bool { return !e.Inline() && e.Blob.Session != r.ID })
	}
	return true
}

// allotted reports whether a bound session may make an inode of a number.
func (r *SessionRecord) allotted(ino fs.Ino) bool {
	return slices.ContainsFunc(r.Inos, func(own fs.InoRange) bool { return own.From <= ino && ino < own.From+fs.Ino(own.N) })
}

// mask hides what lies above a session's root.
func (r *SessionRecord) mask(a *fs.Attr) {
	if r.bound() && a.Ino == r.Root && a.Parent != 0 {
		a.Parent = r.Root
	}
}

// As is the state as a session may read it: what does not lie beneath its root is ErrAccess, whether it is there or not.
func (v View) As(s *SessionRecord) Bound { return Bound{v, s} }

// Bound is a View of what a session may read.
type Bound struct {
	v View
	s *SessionRecord
}

// Admit is ErrAccess for an inode that the session may not read.
func (b Bound) Admit(ino fs.Ino) error {
	if !b.s.bound() {
		return nil
	}
	in, err := b.v.Within(ino, b.s.Root)
	if err == nil && !in {
		err = fmt.Errorf("inode %d: %w", ino, fs.ErrAccess)
	}
	return err
}

// Pinnable reports whether the session may keep an inode from being freed: what it may read, and what it may be about to make.
// Any other number may become somebody else's file.
func (b Bound) Pinnable(ino fs.Ino) (bool, error) {
	if !b.s.bound() {
		return true, nil
	}
	in, err := b.v.Within(ino, b.s.Root)
	if err != nil || in || !b.s.allotted(ino) {
		return in, err
	}
	_, err = b.v.Getattr(ino)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	return false, err
}

// admitted runs a read of an inode.
func admitted[T any](b Bound, ino fs.Ino, read func() (T, error)) (T, error) {
	if err := b.Admit(ino); err != nil {
		var zero T
		return zero, err
	}
	return read()
}

// Lookup is View's, as the methods below are.
func (b Bound) Lookup(dir fs.Ino, name string) (fs.Attr, error) {
	return admitted(b, dir, func() (fs.Attr, error) { return b.v.Lookup(dir, name) })
}

// Getattr hides the root's parent.
func (b Bound) Getattr(ino fs.Ino) (fs.Attr, error) {
	a, err := admitted(b, ino, func() (fs.Attr, error) { return b.v.Getattr(ino) })
	b.s.mask(&a)
	return a, err
}

// Readdir is View's.
func (b Bound) Readdir(dir fs.Ino, after fs.Cookie, limit int) (fs.Listing, error) {
	return admitted(b, dir, func() (fs.Listing, error) { return b.v.Readdir(dir, after, limit) })
}

// Readlink is View's.
func (b Bound) Readlink(ino fs.Ino) (string, error) {
	return admitted(b, ino, func() (string, error) { return b.v.Readlink(ino) })
}

// Layout hides the blobs' checksums from a session that reads by claims: other files' bytes have gone into them.
func (b Bound) Layout(ino fs.Ino, off, length uint64) (*fs.Layout, error) {
	l, err := admitted(b, ino, func() (*fs.Layout, error) { return b.v.Layout(ino, off, length) })
	if err == nil && b.s.Claims {
		for n := range l.Blobs {
			l.Blobs[n].Sum = 0
		}
	}
	return l, err
}

// Getxattr is View's.
func (b Bound) Getxattr(ino fs.Ino, name string) ([]byte, error) {
	return admitted(b, ino, func() ([]byte, error) { return b.v.Getxattr(ino, name) })
}

// Listxattr is View's.
func (b Bound) Listxattr(ino fs.Ino) ([]string, error) {
	return admitted(b, ino, func() ([]string, error) { return b.v.Listxattr(ino) })
}

// Statfs is View's.
func (b Bound) Statfs(ino fs.Ino, whole fs.Statfs) (fs.Statfs, error) {
	return admitted(b, ino, func() (fs.Statfs, error) { return b.v.Statfs(ino, whole) })
}

// Maps reports whether the bytes [off, off+n) of a file are those from blobOff on of a blob, in however many extents.
func (v View) Maps(ino fs.Ino, off uint64, id fs.BlobID, blobOff, n uint32) (bool, error) {
	at, end := off, off+uint64(n)
	err := scanExtents(v.r, ino, off, end, func(e fs.Extent) (bool, error) {
		if e.Inline() || e.Blob != id || e.Off > at || e.BlobOff+(at-e.Off) != uint64(blobOff)+(at-off) {
			return false, nil
		}
		at = e.End()
		return at < end, nil
	})
	return at >= end && end > off, err
}
