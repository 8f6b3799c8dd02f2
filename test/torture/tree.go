package torture

import (
	"slices"
	"syscall"
)

// node is what a name means; id 0: nothing. It is the inode's number, or negative while nobody has been told that.
type node struct {
	id  int64
	dir bool
}

// tree is what all names mean.
type tree [dirs * namesPerDir]node

// links counts the names of an inode, and those of which it is not known whose they are.
func (t *tree) links(id int64) (known, unknown int) {
	for _, n := range t {
		switch {
		case n.id == id:
			known++
		case n.id < 0 && !n.dir:
			unknown++
		}
	}
	return known, unknown
}

// bind is t after it has become known that the name means inode id; false if it cannot mean that.
func (t tree) bind(at Name, id int64) (tree, bool) {
	old := t[at.index()].id
	if old == id {
		return t, true
	}
	if known, _ := t.links(id); old >= 0 || known > 0 {
		return t, false
	}
	for i := range t {
		if t[i].id == old {
			t[i].id = id
		}
	}
	return t, true
}

// apply is t after r, which has worked, or has failed with an errno that says what t is like; false if that is not so. In
// failures on two names only the one that the errno is about counts.
func (t tree) apply(r *Record) (tree, bool) {
	here, there := t[r.Name.index()], t[r.To.index()]
	if r.Errno != 0 {
		return t, t.explains(r, here, there)
	}
	switch r.Kind {
	case Create, Mkdir:
		return t.create(r, here)
	case Open:
		if here.id == 0 {
			return t.create(r, here)
		}
		t, same := t.bind(r.Name, int64(r.Ino))
		return t, same && !here.dir
	case Stat:
		if here.id == 0 || here.dir != r.IsDir {
			return t, false
		}
		return t.bind(r.Name, int64(r.Ino))
	case Unlink, Rmdir:
		t[r.Name.index()] = node{}
		return t, here.id != 0 && here.dir == (r.Kind == Rmdir)
	case Rename, NoReplace, Exchange:
		return t.rename(r, here, there)
	case listed:
		return t, r.There == (here.id != 0) && (!r.There || r.IsDir == here.dir)
	case linked:
		known, unknown := t.links(int64(r.Ino))
		return t, known <= int(r.Nlink) && int(r.Nlink) <= known+unknown
	}
	return t, true
}

func (t tree) create(r *Record, here node) (tree, bool) {
	id := int64(r.Ino)
	if id == 0 {
		id = -r.Call
	}
	known, _ := t.links(id)
	t[r.Name.index()] = node{id, r.Kind == Mkdir}
	return t, here.id == 0 && known == 0
}

func (t tree) rename(r *Record, here, there node) (tree, bool) {
	from, to := r.Name.index(), r.To.index()
	switch {
	case here.id == 0:
		return t, false
	case r.Kind == Exchange:
		t[from], t[to] = there, here
		return t, there.id != 0
	case there.id == 0:
		t[from], t[to] = node{}, here
		return t, true
	case r.Kind == NoReplace:
		return t, false
	case here.id == there.id: // two names of one inode: nothing is done
		return t, true
	}
	t[from], t[to] = node{}, here
	return t, here.dir == there.dir
}

// explains reports whether t is why r has failed.
func (t *tree) explains(r *Record, here, there node) bool {
	switch r.Errno {
	case syscall.ESTALE:
		return true
	case syscall.ENOENT:
		if r.Kind == Create || r.Kind == Open || r.Kind == Mkdir {
			return false
		}
		return here.id == 0 || r.Kind == Exchange && there.id == 0
	case syscall.EEXIST:
		return (r.Kind == Create || r.Kind == Mkdir) && here.id != 0 || r.Kind == NoReplace && there.id != 0
	case syscall.EISDIR:
		return (r.Kind == Open || r.Kind == Unlink) && here.id != 0 && here.dir || r.Kind == Rename && there.id != 0 && there.dir
	case syscall.ENOTDIR:
		return r.Kind == Rmdir && here.id != 0 && !here.dir || r.Kind == Rename && there.id != 0 && !there.dir
	}
	return false
}

// link is what t may be after a link of an inode: more than one tree where it is not known which name meant it.
func (t tree) link(r *Record) []tree {
	there := t[r.To.index()]
	switch r.Errno {
	case syscall.ENOENT, syscall.ESTALE: // the inode has lost its last name, as far as the kernel knows
		return []tree{t}
	case syscall.EEXIST:
		if there.id != 0 {
			return []tree{t}
		}
		return nil
	}
	if r.Errno != 0 || there.id != 0 {
		return nil
	}
	add := func(t tree) tree {
		t[r.To.index()] = node{id: int64(r.Ino)}
		return t
	}
	if known, _ := t.links(int64(r.Ino)); known > 0 {
		return []tree{add(t)}
	}
	var all []tree
	for i, n := range t {
		if n.id >= 0 || n.dir {
			continue
		}
		bound, _ := t.bind(Name{i / namesPerDir, i % namesPerDir}, int64(r.Ino))
		if !slices.Contains(all, add(bound)) {
			all = append(all, add(bound))
		}
	}
	return all
}
