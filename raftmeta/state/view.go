package state

import (
	"fmt"

	"dfs/fs"
)

// layoutInlineMax bounds the inline data of one Layout answer, bytes; an answer has at least one extent nonetheless.
const layoutInlineMax = 1 << 20

// View reads the state; it is as consistent as its Reader, which should be a snapshot. What it returns belongs to the
// caller. Its errors wrap the fs sentinels; others mean that the store is broken.
type View struct{ r Reader }

// NewView returns a View of r.
func NewView(r Reader) View { return View{r} }

func (v View) inode(ino fs.Ino) (*inode, error) {
	i, err := readInode(v.r, ino)
	if err == nil && i == nil {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, fmt.Errorf("inode %d: %w", ino, err)
	}
	return i, nil
}

func (v View) dir(ino fs.Ino) (*inode, error) {
	i, err := v.inode(ino)
	if err == nil && !i.IsDir() {
		err = fmt.Errorf("inode %d: %w", ino, fs.ErrNotDir)
	}
	return i, err
}

// Lookup finds name in dir; see fs.Reader.
func (v View) Lookup(dir fs.Ino, name string) (fs.Attr, error) {
	if err := checkName(name); err != nil {
		return fs.Attr{}, fmt.Errorf("look up %q: %w", name, err)
	}
	if _, err := v.dir(dir); err != nil {
		return fs.Attr{}, err
	}
	var d dentry
	ok, err := get(v.r, nameKey(dir, name), &d)
	if err != nil {
		return fs.Attr{}, err
	}
	if !ok {
		return fs.Attr{}, fmt.Errorf("look up %q in %d: %w", name, dir, fs.ErrNotExist)
	}
	return v.named(d.ino)
}

// named is Getattr for an inode that a record names.
func (v View) named(ino fs.Ino) (fs.Attr, error) {
	i, err := readInode(v.r, ino)
	if err != nil {
		return fs.Attr{}, err
	}
	if i == nil {
		return fs.Attr{}, corrupt("inode %d is named but absent", ino)
	}
	return i.Attr, nil
}

// Getattr returns an inode's attributes; see fs.Reader.
func (v View) Getattr(ino fs.Ino) (fs.Attr, error) {
	i, err := v.inode(ino)
	if err != nil {
		return fs.Attr{}, err
	}
	return i.Attr, nil
}

// Readdir lists entries; see fs.Reader.
func (v View) Readdir(dir fs.Ino, after fs.Cookie, limit int) (fs.Listing, error) {
	if limit < 1 || limit > fs.ReaddirMax {
		return fs.Listing{}, fmt.Errorf("list %d entries: %w", limit, fs.ErrInvalid)
	}
	d, err := v.dir(dir)
	if err != nil {
		return fs.Listing{}, err
	}
	list, err := v.entries(dir, after, limit)
	if err != nil {
		return fs.Listing{}, fmt.Errorf("list directory %d: %w", dir, err)
	}
	for n := range list {
		if list[n].Attr, err = v.named(list[n].Attr.Ino); err != nil {
			return fs.Listing{}, fmt.Errorf("list directory %d: %w", dir, err)
		}
	}
	return fs.Listing{Entries: list, End: d.nextCookie}, nil
}

// entries lists a directory with nothing in Attr but Ino and Type.
func (v View) entries(dir fs.Ino, past fs.Cookie, limit int) ([]fs.Dirent, error) {
	var list []fs.Dirent
	to := prefixEnd(key1(keyCookie, uint64(dir)))
	err := scan(v.r, after(cookieKey(dir, past)), to, func(key, value []byte) (bool, error) {
		var e entry
		if err := decode(value, &e); err != nil {
			return false, err
		}
		cookie, err := keyNumber(key, 9)
		list = append(list, fs.Dirent{Name: e.name, Cookie: fs.Cookie(cookie), Attr: fs.Attr{Ino: e.ino, Type: e.typ}})
		return len(list) < limit, err
	})
	return list, err
}

// Readlink returns a symlink's target; see fs.Reader.
func (v View) Readlink(ino fs.Ino) (string, error) {
	i, err := v.inode(ino)
	if err != nil {
		return "", err
	}
	if i.Type != fs.TypeSymlink {
		return "", fmt.Errorf("inode %d is no symlink: %w", ino, fs.ErrInvalid)
	}
	return i.target, nil
}

// Layout tells where bytes lie; see fs.Reader. The answer is cut at fs.LayoutMax extents, or at one MiB of inline data.
func (v View) Layout(ino fs.Ino, off, length uint64) (*fs.Layout, error) {
	i, err := v.inode(ino)
	if err != nil {
		return nil, err
	}
	if err := onlyRegular(i); err != nil {
		return nil, fmt.Errorf("layout of inode %d: %w", ino, err)
	}
	l := &fs.Layout{Attr: i.Attr}
	end := i.Size
	if off < end {
		end = off + min(length, end-off)
	}
	if off >= end {
		return l, nil
	}
	inline := 0
	err = scanExtents(v.r, ino, off, end, func(e fs.Extent) (bool, error) {
		if n := len(l.Extents); n == fs.LayoutMax || n > 0 && inline+len(e.Data) > layoutInlineMax {
			l.More = l.Extents[n-1].End()
			return false, nil
		}
		inline += len(e.Data)
		l.Extents = append(l.Extents, e)
		return true, nil
	})
	if err == nil {
		err = v.blobsOf(l)
	}
	if err != nil {
		return nil, fmt.Errorf("layout of inode %d: %w", ino, err)
	}
	return l, nil
}

// blobsOf fills in the blobs that a layout's extents name, each once, in their order.
func (v View) blobsOf(l *fs.Layout) error {
	seen := make(map[fs.BlobID]bool)
	for n := range l.Extents {
		e := &l.Extents[n]
		if e.Inline() || seen[e.Blob] {
			continue
		}
		seen[e.Blob] = true
		info, ok, err := v.Blob(e.Blob)
		if err != nil {
			return err
		}
		if !ok {
			return corrupt("an extent refers to blob %v, which is not in the table", e.Blob)
		}
		l.Blobs = append(l.Blobs, info)
	}
	return nil
}

// Getxattr returns an extended attribute; see fs.Reader.
func (v View) Getxattr(ino fs.Ino, name string) ([]byte, error) {
	if _, err := v.inode(ino); err != nil {
		return nil, err
	}
	var x xattr
	ok, err := get(v.r, xattrKey(ino, name), &x)
	if err == nil && !ok {
		err = fs.ErrNoXattr
	}
	if err != nil {
		return nil, fmt.Errorf("xattr %q of inode %d: %w", name, ino, err)
	}
	return x.value, nil
}

// Listxattr returns the names in order; see fs.Reader.
func (v View) Listxattr(ino fs.Ino) ([]string, error) {
	if _, err := v.inode(ino); err != nil {
		return nil, err
	}
	var names []string
	prefix := key1(keyXattr, uint64(ino))
	err := v.r.Scan(prefix, prefixEnd(prefix), func(key, _ []byte) bool {
		names = append(names, string(key[len(prefix):]))
		return true
	})
	return names, err
}

// Homes returns the directories that hold a name of an inode, by number; of an orphan the one that held its last. It is
// empty for the root, and may be for an inode that was made without a name.
func (v View) Homes(ino fs.Ino) ([]fs.Ino, error) {
	i, err := v.inode(ino)
	if err != nil {
		return nil, err
	}
	return v.tree().homes(i)
}

// Within reports whether an inode is top or lies beneath it by any of its names; an orphan lies where its last name was.
// What does not exist lies nowhere. At most climbMax inodes are looked at.
func (v View) Within(ino, top fs.Ino) (bool, error) { return v.tree().within(ino, top) }

// Parents returns the directories above an inode by one of its names, nearest first, the root last; none for the root
// itself. ErrNotExist for what has no name any more.
func (v View) Parents(ino fs.Ino) ([]fs.Ino, error) {
	i, err := v.inode(ino)
	if err != nil {
		return nil, err
	}
	if i.Nlink == 0 {
		return nil, fmt.Errorf("inode %d has no name: %w", ino, fs.ErrNotExist)
	}
	var list []fs.Ino
	for i.Ino != fs.RootIno {
		homes, err := v.tree().homes(i)
		if err != nil {
			return nil, err
		}
		if len(homes) == 0 || len(list) >= climbMax {
			return nil, corrupt("the way from inode %d up ends at %d, after %d steps", ino, i.Ino, len(list))
		}
		list = append(list, homes[0])
		if i, err = v.dir(homes[0]); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// Path spells a path from the root, "/" for the root, by one of an inode's names. It reads whole directories: for operators
// only.
func (v View) Path(ino fs.Ino) (string, error) {
	parents, err := v.Parents(ino)
	if err != nil {
		return "", err
	}
	path := ""
	for _, parent := range parents {
		name, err := v.nameIn(parent, ino)
		if err != nil {
			return "", err
		}
		path, ino = "/"+name+path, parent
	}
	if path == "" {
		path = "/"
	}
	return path, nil
}

func (v View) nameIn(dir, ino fs.Ino) (string, error) {
	name := ""
	prefix := key1(keyCookie, uint64(dir))
	err := scan(v.r, prefix, prefixEnd(prefix), func(_, value []byte) (bool, error) {
		var e entry
		err := decode(value, &e)
		if e.ino == ino {
			name = e.name
		}
		return name == "", err
	})
	if err == nil && name == "" {
		err = corrupt("inode %d has no name in directory %d", ino, dir)
	}
	return name, err
}
