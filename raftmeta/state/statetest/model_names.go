package statetest

import (
	"strings"

	"dfs/fs"
)

// operate does an operation for a session that is bound to root.
func (m *Model) operate(root fs.Ino, op fs.Op) (fs.Result, fs.Code) {
	switch o := op.(type) {
	case *fs.Create:
		return m.create(o)
	case *fs.Link:
		return m.link(o)
	case *fs.Unlink:
		return m.remove(o.Parent, o.Name, o.Time, false)
	case *fs.Rmdir:
		return m.remove(o.Parent, o.Name, o.Time, true)
	case *fs.Rename:
		return m.rename(o)
	case *fs.Setattr:
		return m.setattr(o)
	case *fs.Write:
		return m.write(o)
	case *fs.Allocate:
		return m.allocate(o)
	case *fs.Clone:
		return m.clone(o)
	case *fs.Setxattr:
		return m.setxattr(o)
	case *fs.Removexattr:
		return m.removexattr(o)
	case *fs.Access:
		if f := m.inodes[o.Ino]; f != nil && (root == fs.RootIno || root == o.Ino || m.beneath(root)[o.Ino]) {
			if f.attr.Atime == o.Seen {
				f.attr.Atime = o.Time
			}
			return m.result(f, nil, nil), fs.CodeOK
		}
		return fs.Result{}, fs.CodeOK
	}
	panic("statetest: the model does not know this operation")
}

// dir finds a directory and what a name in it means, nil for nothing.
func (m *Model) dir(ino fs.Ino, name string) (dir, child *file, code fs.Code) {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
		return nil, nil, fs.CodeInvalid
	}
	if len(name) > 255 {
		return nil, nil, fs.CodeNameTooLong
	}
	dir = m.inodes[ino]
	switch {
	case dir == nil:
		return nil, nil, fs.CodeNotExist
	case dir.attr.Type != fs.TypeDir:
		return nil, nil, fs.CodeNotDir
	case m.orphan(ino):
		return nil, nil, fs.CodeNotExist
	}
	if to, ok := dir.children[name]; ok {
		child = m.inodes[to]
	}
	return dir, child, fs.CodeOK
}

func (f *file) isDir() bool { return f.attr.Type == fs.TypeDir }

func (f *file) stamp(t fs.Time) { f.attr.Mtime, f.attr.Ctime = t, t }

func (m *Model) result(f, parent, replaced *file) fs.Result {
	r := fs.Result{}
	if f != nil {
		r.Attr = m.attr(f)
	}
	if parent != nil {
		r.Parent = m.attr(parent)
	}
	if replaced != nil {
		r.Replaced = m.attr(replaced)
	}
	return r
}

func (m *Model) create(o *fs.Create) (fs.Result, fs.Code) {
	link := o.Type == fs.TypeSymlink
	if !o.Type.Valid() || link != (o.Target != "") || o.Parent != 0 && o.Near != 0 {
		return fs.Result{}, fs.CodeInvalid
	}
	if o.Ino == 0 || o.Ino >= m.nextIno || m.inodes[o.Ino] != nil {
		return fs.Result{}, fs.CodeInvalid
	}
	f := &file{target: o.Target, nameless: o.Parent == 0, xattrs: map[string]string{}, attr: fs.Attr{Ino: o.Ino,
		Type: o.Type, Mode: o.Mode & 0o7777, UID: o.UID, GID: o.GID, Atime: o.Time, Mtime: o.Time, Ctime: o.Time,
		Btime: o.Time, Size: uint64(len(o.Target))}}
	if link {
		f.attr.Mode = 0o777
	}
	if o.Type == fs.TypeChar || o.Type == fs.TypeBlock {
		f.attr.Rdev = o.Rdev
	}
	if o.Parent == 0 {
		if o.Name != "" || f.isDir() {
			return fs.Result{}, fs.CodeInvalid
		}
		near := m.inodes[o.Near]
		switch {
		case o.Near != 0 && near == nil:
			return fs.Result{}, fs.CodeNotExist
		case near != nil && !near.isDir():
			return fs.Result{}, fs.CodeNotDir
		}
		f.inherit(near, o.Umask)
		m.inodes[o.Ino] = f
		return m.result(f, nil, nil), fs.CodeOK
	}
	dir, child, code := m.dir(o.Parent, o.Name)
	if code != fs.CodeOK {
		return fs.Result{}, code
	}
	if child != nil {
		return fs.Result{}, fs.CodeExist
	}
	if f.isDir() {
		f.children, f.attr.Size, f.attr.Parent = map[string]fs.Ino{}, 4096, o.Parent
	}
	f.inherit(dir, o.Umask)
	f.tree = dir.tree
	m.inodes[o.Ino] = f
	dir.children[o.Name] = o.Ino
	dir.stamp(o.Time)
	return m.result(f, dir, nil), fs.CodeOK
}

func (m *Model) link(o *fs.Link) (fs.Result, fs.Code) {
	f := m.inodes[o.Ino]
	if f == nil {
		return fs.Result{}, fs.CodeNotExist
	}
	if f.isDir() {
		return fs.Result{}, fs.CodePermission
	}
	dir, child, code := m.dir(o.Parent, o.Name)
	switch {
	case code != fs.CodeOK:
		return fs.Result{}, code
	case child != nil:
		return fs.Result{}, fs.CodeExist
	case m.orphan(o.Ino) && !f.nameless:
		return fs.Result{}, fs.CodeNotExist
	}
	if code := m.enrol(f, dir); code != fs.CodeOK {
		return fs.Result{}, code
	}
	f.nameless, f.home = false, 0
	dir.children[o.Name] = o.Ino
	dir.stamp(o.Time)
	f.attr.Ctime = o.Time
	return m.result(f, dir, nil), fs.CodeOK
}

func (m *Model) remove(parent fs.Ino, name string, t fs.Time, wantDir bool) (fs.Result, fs.Code) {
	dir, child, code := m.dir(parent, name)
	switch {
	case code != fs.CodeOK:
		return fs.Result{}, code
	case child == nil:
		return fs.Result{}, fs.CodeNotExist
	case wantDir && !child.isDir():
		return fs.Result{}, fs.CodeNotDir
	case !wantDir && child.isDir():
		return fs.Result{}, fs.CodeIsDir
	case len(child.children) > 0:
		return fs.Result{}, fs.CodeNotEmpty
	}
	delete(dir.children, name)
	dir.stamp(t)
	child.attr.Ctime = t
	if child.isDir() {
		child.attr.Parent = 0
	}
	m.lost(child, parent)
	return m.result(child, dir, nil), fs.CodeOK
}

// lost is called when an inode has lost a name in dir.
func (m *Model) lost(f *file, dir fs.Ino) {
	if m.orphan(f.attr.Ino) {
		f.home = dir
	}
}

// below reports whether directory ino is top or lies somewhere under it, by walking down from top.
func (m *Model) below(ino fs.Ino, top *file) bool {
	if top.attr.Ino == ino {
		return true
	}
	for _, child := range top.children {
		if m.below(ino, m.inodes[child]) {
			return true
		}
	}
	return false
}

func (m *Model) rename(o *fs.Rename) (fs.Result, fs.Code) {
	swap := o.Flags == fs.RenameExchange
	if o.Flags > fs.RenameExchange {
		return fs.Result{}, fs.CodeInvalid
	}
	from, f, code := m.dir(o.Parent, o.Name)
	if code == fs.CodeOK && f == nil {
		code = fs.CodeNotExist
	}
	if code != fs.CodeOK {
		return fs.Result{}, code
	}
	to, old, code := m.dir(o.NewParent, o.NewName)
	switch {
	case code != fs.CodeOK:
		return fs.Result{}, code
	case old == nil && swap:
		return fs.Result{}, fs.CodeNotExist
	case old != nil && o.Flags == fs.RenameNoReplace:
		return fs.Result{}, fs.CodeExist
	case old == f:
		return m.result(f, to, nil), fs.CodeOK
	case f.isDir() && m.below(o.NewParent, f):
		return fs.Result{}, fs.CodeLoop
	case swap && old.isDir() && m.below(o.Parent, old):
		return fs.Result{}, fs.CodeLoop
	}
	if old != nil && !swap {
		switch {
		case f.isDir() && !old.isDir():
			return fs.Result{}, fs.CodeNotDir
		case !f.isDir() && old.isDir():
			return fs.Result{}, fs.CodeIsDir
		case len(old.children) > 0:
			return fs.Result{}, fs.CodeNotEmpty
		}
	}
	if code := m.cross(f, from, to); code != fs.CodeOK {
		return fs.Result{}, code
	}
	if swap {
		if code := m.cross(old, to, from); code != fs.CodeOK {
			return fs.Result{}, code
		}
	}
	delete(from.children, o.Name)
	to.children[o.NewName] = f.attr.Ino
	f.attr.Ctime = o.Time
	from.stamp(o.Time)
	to.stamp(o.Time)
	if f.isDir() {
		f.attr.Parent = o.NewParent
	}
	if old == nil {
		return m.result(f, to, nil), fs.CodeOK
	}
	old.attr.Ctime = o.Time
	if swap {
		from.children[o.Name] = old.attr.Ino
	}
	if old.isDir() {
		old.attr.Parent = 0
		if swap {
			old.attr.Parent = o.Parent
		}
	}
	m.lost(old, o.NewParent)
	return m.result(f, to, old), fs.CodeOK
}
