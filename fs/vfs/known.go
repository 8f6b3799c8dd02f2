package vfs

import (
	"bytes"
	"container/list"
	"slices"
	"time"

	"dfs/fs"
)

// namesMax is how many names of one directory are remembered.
const namesMax = 1 << 17

// xattrKept bounds, in bytes, the names of extended attributes that are remembered of one inode, and likewise names and values
// together; longer ones are asked for each time.
const xattrKept = 4 << 10

// known is what the mount knows of an inode under a lease; leases.mu guards it. It goes with the lease.
//
// stirred counts what this mount itself has changed: an answer that left before may know nothing of it, and where it bears no
// Version it is not remembered.
type known struct {
	ino     fs.Ino
	elem    *list.Element
	attr    fs.Attr // of the highest Version; Ino 0: not known
	least   uint64  // an attr of a lower Version is out of date
	told    bool    // a front may remember something
	dead    bool    // what is known may be wrong: the lease is to be given back
	stirred uint64

	names   map[string]fs.Ino // of a directory: what names mean; 0 that there is no such name
	whole   bool              // there are no others
	listing []fs.Dirent       // in order, all; nil: not known. Of their Attr only Ino and Type count
	end     fs.Cookie         // of listing

	xattrs map[string][]byte // values that were asked for
	xnames []string          // all names, if xlisted
	xlist  bool
}

// learn takes in attributes that a change of this mount's has come to, if a lease lets them be kept; mu is held.
func (l *leases) learn(a fs.Attr) {
	if k := l.known[a.Ino]; k != nil && !k.dead && a.Ino != 0 && a.Version >= max(k.attr.Version, k.least) {
		k.attr = a
	}
}

// look is a moment in which a call left, for what its answer may still say then.
type look struct {
	k       *known
	stirred uint64
}

// before is the present moment of an inode.
func (l *leases) before(ino fs.Ino) look {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.known[ino]
	if k == nil {
		return look{}
	}
	return look{k, k.stirred}
}

// still returns what is known of an inode if an answer to a call that left at a moment may be added to it: the lease has been held
// all the time, or came with this answer, and this mount has changed nothing meanwhile. mu is held.
func (l *leases) still(ino fs.Ino, at look) *known {
	k := l.known[ino]
	if k == nil || k.dead || k.stirred != at.stirred || at.k != k && !l.fresh[ino] {
		return nil
	}
	return k
}

// name answers from the cache what a name in a directory means: 0 for nothing. Not ok: it is not known.
func (l *leases) name(dir fs.Ino, name string) (ino fs.Ino, a fs.Attr, v Validity, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := l.usable(dir)
	if d == nil {
		return 0, fs.Attr{}, Validity{}, false
	}
	ino, ok = d.names[name]
	if !ok && !d.whole {
		return 0, fs.Attr{}, Validity{}, false
	}
	if ino == 0 {
		return 0, fs.Attr{}, Validity{Entry: l.validity(d)}, true
	}
	c := l.usable(ino)
	if c == nil || c.attr.Ino == 0 {
		return ino, fs.Attr{}, Validity{}, false
	}
	return ino, c.attr, Validity{l.validity(d), l.validity(c)}, true
}

// NameValid is how long a front may believe that a name means an inode, as this mount knows it now. It must ask within the request
// that has learnt it.
func (f *FS) NameValid(dir fs.Ino, name string, ino fs.Ino) time.Duration {
	known, _, valid, ok := f.leases.name(dir, name)
	if known != ino || !ok {
		return 0
	}
	return valid.Entry
}

// nameIs notes what a name means; 0: nothing. mu is held.
func (k *known) nameIs(name string, ino fs.Ino) {
	if len(k.names) >= namesMax {
		k.names, k.whole = nil, false
	}
	if ino == 0 && k.whole {
		delete(k.names, name)
		return
	}
	if k.names == nil {
		k.names = make(map[string]fs.Ino)
	}
	k.names[name] = ino
}

// unsure forgets a name; mu is held.
func (k *known) unsure(name string) {
	k.stirred++
	k.listing, k.whole = nil, false // else it would count as a name that means nothing
	delete(k.names, name)
}

// doubted is told of operations of which it is not known whether they were decided. What may be out of date now is given up.
func (f *FS) doubted(ops []fs.Op) {
	l := f.leases
	l.mu.Lock()
	defer l.mu.Unlock()
	l.applied(ops, nil, true)
	var dead []fs.Ino
	for ino, k := range l.known {
		if k.dead {
			dead = append(dead, ino)
		}
	}
	f.giveLeases(dead)
}

// applied takes in the results of operations that this mount has had decided; mu is held. doubt: it is not known whether they
// were.
func (l *leases) applied(ops []fs.Op, results []fs.Result, doubt bool) {
	for i, op := range ops {
		var r fs.Result
		if i < len(results) {
			r = results[i]
		}
		l.applied1(op, &r, doubt)
	}
}

func (l *leases) applied1(op fs.Op, r *fs.Result, doubt bool) {
	switch op := op.(type) {
	case *fs.Access:
		l.accessed(r.Attr)
		return
	case *fs.Create:
		l.bound(op.Parent, op.Name, r, r.Attr.Ino, doubt)
		if k := l.known[r.Attr.Ino]; k != nil && r.Attr.IsDir() && k.attr.Ino == 0 && k.stirred == 0 {
			k.whole = true // nobody can have put anything there
		}
	case *fs.Link:
		l.bound(op.Parent, op.Name, r, r.Attr.Ino, doubt)
	case *fs.Unlink:
		l.bound(op.Parent, op.Name, r, 0, doubt)
	case *fs.Rmdir:
		l.bound(op.Parent, op.Name, r, 0, doubt)
	case *fs.Rename:
		l.moved(op, r, doubt)
	case *fs.Setxattr:
		l.stirXattrs(op.Ino, doubt)
	case *fs.Removexattr:
		l.stirXattrs(op.Ino, doubt)
	case *fs.Setattr:
		if op.Set&fs.SetMode != 0 { // which changes the ACL, too
			l.stirXattrs(op.Ino, doubt)
		}
		l.doubtful(op.Ino, doubt)
	case *fs.Write:
		l.doubtful(op.Ino, doubt)
	case *fs.Allocate:
		l.doubtful(op.Ino, doubt)
	case *fs.Clone:
		l.doubtful(op.Dst, doubt)
	}
	if !doubt {
		l.learn(r.Attr)
		l.learn(r.Parent)
		l.learn(r.Replaced)
	}
}

// accessed takes in what became of an atime. No claim has kept the lease, which may be another one by now: what else the attributes
// say is not learnt, and what they say of another Version not at all.
func (l *leases) accessed(a fs.Attr) {
	if k := l.known[a.Ino]; k != nil && k.attr.Ino != 0 && k.attr.Version == a.Version {
		k.attr.Atime = a.Atime
		k.stirred++ // an answer that left before may bear the one before
	}
}

// bound notes that a name means something else, unless a later change of the directory has been noted already.
func (l *leases) bound(dir fs.Ino, name string, r *fs.Result, ino fs.Ino, doubt bool) {
	d := l.known[dir]
	if d == nil || dir == 0 {
		return
	}
	if doubt || r.Parent.Version < d.attr.Version {
		d.unsure(name)
		l.doubtful(dir, doubt)
		return
	}
	d.stirred++
	d.listing = nil
	d.nameIs(name, ino)
}

func (l *leases) moved(op *fs.Rename, r *fs.Result, doubt bool) {
	if op.Parent != op.NewParent || doubt {
		for _, end := range []struct {
			dir  fs.Ino
			name string
		}{{op.Parent, op.Name}, {op.NewParent, op.NewName}} {
			if d := l.known[end.dir]; d != nil {
				d.unsure(end.name)
				d.least = max(d.least, d.attr.Version+1) // the result has only the new parent's
				d.attr = fs.Attr{}
			}
			l.doubtful(end.dir, doubt)
		}
		return
	}
	old := fs.Ino(0)
	if op.Flags&fs.RenameExchange != 0 {
		old = r.Replaced.Ino
	}
	if op.Name != op.NewName {
		l.bound(op.Parent, op.Name, r, old, false)
	}
	l.bound(op.NewParent, op.NewName, r, r.Attr.Ino, false)
}

// doubtful gives up an inode of which it is not known whether it has changed.
func (l *leases) doubtful(ino fs.Ino, doubt bool) {
	if k := l.known[ino]; k != nil && doubt {
		k.stirred++
		k.dead = true
	}
}

func (l *leases) stirXattrs(ino fs.Ino, doubt bool) {
	if k := l.known[ino]; k != nil {
		k.stirred++
		k.xattrs, k.xnames, k.xlist = nil, nil, false
	}
	l.doubtful(ino, doubt)
}

// xattrIs notes a value, unless it is too much; mu is held.
func (k *known) xattrIs(name string, value []byte) {
	sum := len(name) + len(value)
	for n, v := range k.xattrs {
		sum += len(n) + len(v)
	}
	if sum > xattrKept {
		return
	}
	if k.xattrs == nil {
		k.xattrs = make(map[string][]byte)
	}
	k.xattrs[name] = bytes.Clone(value)
}

// xattrsAre notes all names, unless they are too much; mu is held.
func (k *known) xattrsAre(names []string) {
	sum := 0
	for _, n := range names {
		sum += len(n)
	}
	if sum <= xattrKept {
		k.xnames, k.xlist = slices.Clone(names), true
	}
}

// xattr answers from the cache; not ok: it is not known.
func (l *leases) xattr(ino fs.Ino, name string) (value []byte, err error, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.usable(ino)
	if k == nil {
		return nil, nil, false
	}
	if value, ok := k.xattrs[name]; ok {
		return value, nil, true
	}
	if !k.xlist {
		return nil, nil, false
	}
	for _, n := range k.xnames {
		if n == name {
			return nil, nil, false
		}
	}
	return nil, fs.ErrNoXattr, true
}

// xattrNames answers from the cache; not ok: they are not known.
func (l *leases) xattrNames(ino fs.Ino) (names []string, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.usable(ino)
	if k == nil || !k.xlist {
		return nil, false
	}
	return k.xnames, true
}
