package state

import (
	"maps"

	"dfs/fs"
)

func (a *audit) inode(key, value []byte) error {
	i := &inode{}
	if err := decode(value, i); err != nil {
		return err
	}
	ino, err := keyNumber(key, 1)
	if i.Ino != fs.Ino(ino) || i.Ino >= a.n.nextIno {
		a.fault("inode %d says %d; the next is %d", ino, i.Ino, a.n.nextIno)
	}
	a.inodes[i.Ino] = i
	if i.Nlink == 0 && i.home != 0 {
		a.wards[i.home]++
	}
	return err
}

// dentry takes in a name and its counterpart under the cookie.
func (a *audit) dentry(r Reader, key, value []byte) error {
	var d dentry
	if err := decode(value, &d); err != nil {
		return err
	}
	number, err := keyNumber(key, 1)
	if err != nil {
		return err
	}
	dir, name := fs.Ino(number), string(key[9:])
	var e entry
	if _, err := get(r, cookieKey(dir, d.cookie), &e); err != nil {
		return err
	}
	if e != (entry{name: name, ino: d.ino, typ: d.typ}) {
		a.fault("%q in %d is %+v, but under its cookie %+v", name, dir, d, e)
	}
	if checkName(name) != nil {
		a.fault("%q in %d is no name", name, dir)
	}
	i := a.inodes[d.ino]
	if i == nil || i.Type != d.typ {
		a.fault("%q in %d names inode %d of type %d: %+v", name, dir, d.ino, d.typ, i)
		return nil
	}
	a.names[d.ino]++
	a.entries[dir]++
	if i.IsDir() {
		a.subdirs[dir]++
		a.parents[d.ino] = dir
		return nil
	}
	count(a.homes, d.ino, dir, 1)
	return nil
}

func count(m map[fs.Ino]map[fs.Ino]uint64, ino, dir fs.Ino, n uint64) {
	if m[ino] == nil {
		m[ino] = map[fs.Ino]uint64{}
	}
	m[ino][dir] += n
}

func (a *audit) home(key, value []byte) error {
	var r homeCount
	if err := decode(value, &r); err != nil {
		return err
	}
	ino, err := keyNumber(key, 1)
	if err != nil {
		return err
	}
	dir, err := keyNumber(key, 9)
	count(a.shares, fs.Ino(ino), fs.Ino(dir), r.n)
	return err
}

func (a *audit) entry(key, value []byte) error {
	var e entry
	if err := decode(value, &e); err != nil {
		return err
	}
	number, err := keyNumber(key, 1)
	if err != nil {
		return err
	}
	cookie, err := keyNumber(key, 9)
	dir := fs.Ino(number)
	if a.cookies[dir] == nil {
		a.cookies[dir] = map[fs.Cookie]bool{}
	}
	a.cookies[dir][fs.Cookie(cookie)] = true
	return err
}

func (a *audit) extent(key, value []byte) error {
	e, err := decodeExtent(key, value)
	if err != nil {
		return err
	}
	number, err := keyNumber(key, 1)
	if err != nil {
		return err
	}
	ino := fs.Ino(number)
	i := a.inodes[ino]
	if i == nil || i.Type != fs.TypeRegular || e.End() > i.Size || e.Off < a.ends[ino] {
		a.fault("extent [%d, %d) of inode %d, behind one that ends at %d: %+v", e.Off, e.End(), ino, a.ends[ino], i)
	}
	a.ends[ino] = e.End()
	a.used[ino] += e.Len
	if e.Inline() {
		return nil
	}
	b := a.blobs[e.Blob]
	if b == nil || e.BlobOff+e.Len > uint64(b.Length) {
		a.fault("extent [%d, %d) of inode %d refers to %d of blob %v: %+v", e.Off, e.End(), ino, e.BlobOff, e.Blob, b)
	}
	a.live[e.Blob] += e.Len
	return nil
}

func (a *audit) xattr(key, value []byte) error {
	var x xattr
	if err := decode(value, &x); err != nil {
		return err
	}
	ino, err := keyNumber(key, 1)
	a.xattrs[fs.Ino(ino)] += uint64(len(key) - 9 + len(x.value))
	if i := a.inodes[fs.Ino(ino)]; i == nil {
		a.fault("an xattr of inode %d, which is absent", ino)
	} else if name := string(key[9:]); fs.IsACL(name) {
		a.acl(i, name, x.value)
	}
	return err
}

// acl checks that an ACL is one that may be there, and that the mode of the inode agrees with it.
func (a *audit) acl(i *inode, name string, value []byte) {
	l, ok := parseACL(value)
	ok = ok && len(l) > 0 && i.Type != fs.TypeSymlink
	if name == fs.XattrACLAccess {
		ok = ok && !l.minimal() && l.mode() == i.Mode&fs.ModePerm
	} else {
		ok = ok && i.IsDir()
	}
	if !ok {
		a.fault("inode %d has %s %x, and is %+v", i.Ino, name, value, i)
	}
}

// checkInodes compares what inodes say of themselves with what was counted.
func (a *audit) checkInodes() {
	versions := map[uint64]fs.Ino{}
	for ino, i := range a.inodes {
		if other, taken := versions[i.Version]; taken || i.Version == 0 || i.Version > a.n.version {
			a.fault("inode %d has version %d (of inode %d too?); the last given is %d", ino, i.Version, other, a.n.version)
		}
		versions[i.Version] = ino
		if i.Used != a.used[ino] || i.xattrBytes != a.xattrs[ino] || i.xattrBytes > fs.XattrsMax {
			a.fault("inode %d maps %d bytes and has %d of xattrs, but says %+v", ino, a.used[ino], a.xattrs[ino], i)
		}
		if a.orphans[ino] != (i.Nlink == 0) || i.nameless && i.Nlink != 0 {
			a.fault("inode %d: orphan %v, %+v", ino, a.orphans[ino], i)
		}
		if i.IsDir() {
			a.checkDir(i)
		} else if int(i.Nlink) != a.names[ino] || i.Parent != 0 {
			a.fault("inode %d has %d names: %+v", ino, a.names[ino], i)
		}
	}
	a.checkHomes()
	for ino := range a.orphans {
		if a.inodes[ino] == nil {
			a.fault("orphan %d is absent", ino)
		}
	}
}

// checkHomes compares where inodes say that they lie with where their names are.
func (a *audit) checkHomes() {
	for ino, i := range a.inodes {
		home, shares := fs.Ino(0), map[fs.Ino]uint64(nil)
		switch {
		case i.Nlink == 0:
			home = i.home
			if d := a.inodes[home]; home == 0 && !i.nameless || home != 0 && (d == nil || !d.IsDir()) {
				a.fault("orphan %d is of directory %d: %+v", ino, home, d)
			}
		case i.IsDir():
		case i.Nlink == 1:
			for dir := range a.homes[ino] {
				home = dir
			}
		default:
			shares = a.homes[ino]
		}
		if i.home != home || i.wards != a.wards[ino] || !maps.Equal(shares, a.shares[ino]) {
			a.fault("inode %d has %d orphans and names in %v, but says %+v and %v", ino, a.wards[ino], a.homes[ino], i, a.shares[ino])
		}
	}
	for ino := range a.shares {
		if a.inodes[ino] == nil {
			a.fault("inode %d, which is absent, has names in %v", ino, a.shares[ino])
		}
	}
}

func (a *audit) checkDir(d *inode) {
	ino := d.Ino
	names, nlink, parent := 1, 2+a.subdirs[ino], a.parents[ino]
	switch {
	case ino == fs.RootIno:
		names, parent = 0, ino
	case d.Nlink == 0:
		names, nlink, parent = 0, 0, 0
	}
	if a.names[ino] != names || int(d.Nlink) != nlink || d.Parent != parent || d.Nlink == 0 && a.entries[ino] > 0 {
		a.fault("directory %d has %d names and %d entries, lies in %d: %+v", ino, a.names[ino], a.entries[ino], parent, d)
	}
	if int(d.entries) != a.entries[ino] || len(a.cookies[ino]) != a.entries[ino] {
		a.fault("directory %d has %d names, %d cookies: %+v", ino, a.entries[ino], len(a.cookies[ino]), d)
	}
	for cookie := range a.cookies[ino] {
		if cookie < fs.FirstCookie || cookie >= d.nextCookie {
			a.fault("directory %d has an entry at cookie %d: %+v", ino, cookie, d)
		}
	}
}

// checkTree walks up from every directory: all lie below the root, and nothing lies in what is no directory.
func (a *audit) checkTree() {
	for dir := range a.cookies {
		if d := a.inodes[dir]; d == nil || !d.IsDir() {
			a.fault("there are entries in %d, which is no directory", dir)
		}
	}
	for ino := range a.parents {
		at, ok := ino, true
		for steps := 0; at != fs.RootIno && ok && steps <= len(a.parents); steps++ {
			at, ok = a.parents[at], a.parents[at] != 0
		}
		if at != fs.RootIno {
			a.fault("directory %d does not lie below the root", ino)
		}
	}
}
