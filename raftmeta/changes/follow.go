package changes

import "dfs/fs"

// spokenOf are the inodes of which an operation says what they are called, or are to be called. What a name means is told by its
// result.
func spokenOf(op fs.Op) []fs.Ino {
	switch o := op.(type) {
	case *fs.Create:
		return []fs.Ino{o.Parent}
	case *fs.Link:
		return []fs.Ino{o.Ino, o.Parent}
	case *fs.Unlink:
		return []fs.Ino{o.Parent}
	case *fs.Rmdir:
		return []fs.Ino{o.Parent}
	case *fs.Rename:
		return []fs.Ino{o.Parent, o.NewParent}
	case *fs.Setattr:
		return []fs.Ino{o.Ino}
	case *fs.Write:
		return []fs.Ino{o.Ino}
	case *fs.Allocate:
		return []fs.Ino{o.Ino}
	case *fs.Clone:
		return []fs.Ino{o.Dst}
	case *fs.Setxattr:
		return []fs.Ino{o.Ino}
	case *fs.Removexattr:
		return []fs.Ino{o.Ino}
	}
	return nil
}

// follow tells what one operation has done.
func (s *Step) follow(op fs.Op, r *fs.Result, written map[fs.Ino]bool) {
	switch o := op.(type) {
	case *fs.Create:
		s.made(kindOfMade(o.Type), r, place{o.Parent, o.Name}, o.Time)
	case *fs.Link:
		s.made(fs.ChangeLink, r, place{o.Parent, o.Name}, o.Time)
	case *fs.Unlink:
		s.removed(fs.ChangeUnlink, r, place{o.Parent, o.Name}, o.Time)
	case *fs.Rmdir:
		s.removed(fs.ChangeRmdir, r, place{o.Parent, o.Name}, o.Time)
	case *fs.Rename:
		s.renamed(o, r)
	case *fs.Setattr:
		s.set(o, r)
	case *fs.Write:
		s.wrote(o.Time, r, written)
	case *fs.Allocate:
		s.wrote(o.Time, r, written)
	case *fs.Clone:
		s.wrote(o.Time, r, written)
	case *fs.Setxattr:
		s.about(fs.Change{Kind: fs.ChangeXattr, Time: o.Time, Xattr: o.Name}, r)
	case *fs.Removexattr:
		s.about(fs.Change{Kind: fs.ChangeXattr, Time: o.Time, Xattr: o.Name}, r)
	}
	s.versions[r.Attr.Ino] = r.Attr.Version
	s.versions[r.Replaced.Ino] = r.Replaced.Version
}

func kindOfMade(t fs.FileType) fs.ChangeKind {
	switch t {
	case fs.TypeDir:
		return fs.ChangeMkdir
	case fs.TypeSymlink:
		return fs.ChangeSymlink
	}
	return fs.ChangeCreate
}

// see is where a name is; empty if its directory is not in the tree.
func (s *Step) see(at place) []*where {
	if w := s.places.see(at); w != nil {
		return []*where{w}
	}
	return nil
}

// made is a new name. What was made without one is told of when it gets one.
func (s *Step) made(kind fs.ChangeKind, r *fs.Result, at place, t fs.Time) {
	if at.dir != 0 {
		s.put(r.Attr.Ino, at)
	}
	s.tell(of(fs.Change{Kind: kind, Time: t}, &r.Attr), s.see(at), nil)
}

func (s *Step) removed(kind fs.ChangeKind, r *fs.Result, at place, t fs.Time) {
	s.drop(r.Attr.Ino, at)
	s.tell(of(fs.Change{Kind: kind, Time: t}, &r.Attr), s.see(at), nil)
}

// renamed tells a name that moved; of two that were exchanged each.
func (s *Step) renamed(o *fs.Rename, r *fs.Result) {
	from, to := place{o.Parent, o.Name}, place{o.NewParent, o.NewName}
	if from == to || s.versions[r.Attr.Ino] == r.Attr.Version {
		return // two names of one inode: rename(2) does nothing
	}
	was, becomes := s.see(from), s.see(to)
	s.drop(r.Attr.Ino, from)
	if r.Replaced.Ino != 0 {
		s.drop(r.Replaced.Ino, to)
	}
	s.put(r.Attr.Ino, to)
	c := of(fs.Change{Kind: fs.ChangeRename, Time: o.Time}, &r.Attr)
	if o.Flags&fs.RenameExchange == 0 {
		c.Replaced, c.ReplacedType, c.Nlink = r.Replaced.Ino, r.Replaced.Type, r.Replaced.Nlink
		s.tell(c, was, becomes)
		return
	}
	s.tell(c, was, becomes)
	s.put(r.Replaced.Ino, from)
	s.tell(of(fs.Change{Kind: fs.ChangeRename, Time: o.Time}, &r.Replaced), becomes, was)
}

func (s *Step) put(ino fs.Ino, at place) {
	s.places.add(ino, at)
	s.e.t.names.put(at.dir, ino, at.name)
}

func (s *Step) drop(ino fs.Ino, at place) {
	s.places.remove(ino, at)
	s.e.t.names.drop(at.dir, ino, at.name)
}

// set is a truncation, or a change of attributes. Times that come with a truncation are part of it.
func (s *Step) set(o *fs.Setattr, r *fs.Result) {
	if o.Set&fs.SetSize != 0 {
		s.about(fs.Change{Kind: fs.ChangeTruncate, Time: o.Time}, r)
	}
	if o.Set&(fs.SetMode|fs.SetUID|fs.SetGID) != 0 || o.Set&fs.SetSize == 0 {
		s.about(fs.Change{Kind: fs.ChangeAttr, Time: o.Time}, r)
	}
}

// wrote tells an inode's first write in the transaction.
func (s *Step) wrote(t fs.Time, r *fs.Result, written map[fs.Ino]bool) {
	if !written[r.Attr.Ino] {
		written[r.Attr.Ino] = true
		s.about(fs.Change{Kind: fs.ChangeWrite, Time: t}, r)
	}
}

// about tells a change of an inode, whatever it is called.
func (s *Step) about(c fs.Change, r *fs.Result) {
	s.tell(of(c, &r.Attr), s.places.all(r.Attr.Ino), nil)
}

// of fills in which inode a change is of.
func of(c fs.Change, a *fs.Attr) fs.Change {
	c.Ino, c.Type, c.Nlink = a.Ino, a.Type, a.Nlink
	return c
}
