package statetest

import (
	"path"
	"slices"
	"strings"

	"dfs/fs"
)

// resolve finds the directory that a session is bound to.
func (m *Model) resolve(p string) (fs.Ino, fs.Code) {
	if p != "" && path.Clean(p) != p || strings.Contains(p, "\x00") {
		return 0, fs.CodeInvalid
	}
	at, names := m.inodes[fs.RootIno], strings.FieldsFunc(p, func(r rune) bool { return r == '/' })
	if slices.ContainsFunc(names, func(name string) bool { return len(name) > fs.NameMax }) {
		return 0, fs.CodeInvalid
	}
	for _, name := range names {
		child, ok := at.children[name]
		if !ok {
			return 0, fs.CodeNotExist
		}
		if at = m.inodes[child]; !at.isDir() {
			return 0, fs.CodeNotDir
		}
	}
	return at.attr.Ino, fs.CodeOK
}

// admits reports whether a session may do an operation.
func (m *Model) admits(s *session, op fs.Op) bool {
	if s.Root == fs.RootIno {
		return true
	}
	beneath := m.beneath(s.Root)
	in := func(inos ...fs.Ino) bool {
		for _, ino := range inos {
			if !beneath[ino] && ino != s.Root {
				return false
			}
		}
		return true
	}
	switch o := op.(type) {
	case *fs.Create:
		return (o.Parent == 0 || in(o.Parent)) && (o.Parent != 0 || o.Near == 0 || in(o.Near)) && s.allotted(o.Ino)
	case *fs.Link:
		return in(o.Ino, o.Parent)
	case *fs.Unlink:
		return in(o.Parent)
	case *fs.Rmdir:
		return in(o.Parent)
	case *fs.Rename:
		return in(o.Parent, o.NewParent)
	case *fs.Setattr:
		return in(o.Ino)
	case *fs.Write:
		for _, e := range o.Extents {
			if !e.Inline() && e.Blob.Session != s.ID {
				return false
			}
		}
		return in(o.Ino)
	case *fs.Allocate:
		return in(o.Ino)
	case *fs.Clone:
		return in(o.Src, o.Dst)
	case *fs.Setxattr:
		return in(o.Ino)
	case *fs.Removexattr:
		return in(o.Ino)
	case *fs.Access:
		return true
	}
	return false
}

func (s *session) allotted(ino fs.Ino) bool {
	for _, r := range s.inos {
		if ino >= r.From && ino < r.From+fs.Ino(r.N) {
			return true
		}
	}
	return false
}

// claim leaves what a bound session made without a name in its root, which must be there.
func (s *session) claim(m *Model, op fs.Op) fs.Code {
	o, ok := op.(*fs.Create)
	if !ok || o.Parent != 0 || s.Root == fs.RootIno {
		return fs.CodeOK
	}
	if m.inodes[s.Root] == nil {
		return fs.CodeNotExist
	}
	m.inodes[o.Ino].home = s.Root
	m.inodes[o.Ino].tree = m.inodes[s.Root].tree
	return fs.CodeOK
}

// masked hides the parent of the session's root.
func (s *session) masked(r fs.Result) fs.Result {
	for _, a := range []*fs.Attr{&r.Attr, &r.Parent, &r.Replaced} {
		if a.Ino == s.Root && s.Root != fs.RootIno && a.Parent != 0 {
			a.Parent = s.Root
		}
	}
	return r
}
