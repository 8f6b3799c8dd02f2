package vfs

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"dfs/fs"
)

// Lookup finds a name; "." and ".." are for the front to resolve.
func (f *FS) Lookup(ctx context.Context, dir fs.Ino, name string) (fs.Attr, error) {
	a, err := f.bounded(ctx, func(ctx context.Context) (fs.Attr, error) { return f.meta.Lookup(ctx, dir, name) })
	if err != nil {
		return fs.Attr{}, err
	}
	return f.merge(a), nil
}

// Readlink returns a symlink's target.
func (f *FS) Readlink(ctx context.Context, ino fs.Ino) (string, error) {
	return bounded(ctx, f, func(ctx context.Context) (string, error) { return f.meta.Readlink(ctx, ino) })
}

// Mknod makes a file of any type but a directory or a symlink.
func (f *FS) Mknod(ctx context.Context, who Caller, parent fs.Ino, name string, typ fs.FileType, mode, rdev uint32) (fs.Attr, error) {
	if typ == fs.TypeDir || typ == fs.TypeSymlink {
		return fs.Attr{}, fmt.Errorf("mknod %q: %w", name, fs.ErrInvalid)
	}
	return f.create(ctx, who, fs.Create{Parent: parent, Name: name, Type: typ, Mode: mode, Rdev: rdev})
}

// Mkdir makes a directory.
func (f *FS) Mkdir(ctx context.Context, who Caller, parent fs.Ino, name string, mode uint32) (fs.Attr, error) {
	return f.create(ctx, who, fs.Create{Parent: parent, Name: name, Type: fs.TypeDir, Mode: mode})
}

// Symlink makes a symlink.
func (f *FS) Symlink(ctx context.Context, who Caller, parent fs.Ino, name, target string) (fs.Attr, error) {
	return f.create(ctx, who, fs.Create{Parent: parent, Name: name, Type: fs.TypeSymlink, Mode: fs.ModePerm, Target: target})
}

func (f *FS) create(ctx context.Context, who Caller, op fs.Create) (fs.Attr, error) {
	if f.cfg.ReadOnly {
		return fs.Attr{}, fs.ErrReadOnly
	}
	ino, err := f.newIno(ctx)
	if err != nil {
		return fs.Attr{}, err
	}
	op.Ino, op.UID, op.GID, op.Time = ino, who.UID, who.GID, f.now()
	r, err := f.do1(ctx, &op)
	return r.Attr, err
}

// Create makes and opens a regular file. Without O_EXCL it opens one that is there already.
func (f *FS) Create(ctx context.Context, who Caller, parent fs.Ino, name string, mode, flags uint32) (fs.Attr, *Handle, error) {
	for range createTries {
		a, err := f.create(ctx, who, fs.Create{Parent: parent, Name: name, Type: fs.TypeRegular, Mode: mode})
		made := err == nil
		if errors.Is(err, fs.ErrExist) && flags&syscall.O_EXCL == 0 {
			a, err = f.Lookup(ctx, parent, name)
			if errors.Is(err, fs.ErrNotExist) {
				continue // removed in between: make it after all
			}
		}
		if err != nil {
			return fs.Attr{}, nil, err
		}
		if made {
			flags &^= syscall.O_TRUNC // there is nothing to truncate
		}
		a, h, _, err := f.Open(ctx, a.Ino, flags)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed, and reaped, before it could be pinned
		}
		return a, h, err
	}
	return fs.Attr{}, nil, fmt.Errorf("create %q: others keep removing it: %w", name, fs.ErrBusy)
}

// createTries bounds Create and Tmpfile where others, or the reaper, are faster.
const createTries = 8

// Tmpfile makes and opens a regular file without a name, as O_TMPFILE does; Link may name it.
func (f *FS) Tmpfile(ctx context.Context, who Caller, parent fs.Ino, mode, flags uint32) (fs.Attr, *Handle, error) {
	dir, err := f.Getattr(ctx, parent)
	if err != nil {
		return fs.Attr{}, nil, err
	}
	if !dir.IsDir() {
		return fs.Attr{}, nil, fs.ErrNotDir
	}
	if dir.Mode&fs.ModeSetgid != 0 {
		who.GID = dir.GID
	}
	for range createTries {
		a, err := f.create(ctx, who, fs.Create{Type: fs.TypeRegular, Mode: mode})
		if err != nil {
			return fs.Attr{}, nil, err
		}
		a, h, _, err := f.Open(ctx, a.Ino, flags&^(syscall.O_TRUNC|syscall.O_EXCL))
		if errors.Is(err, fs.ErrNotExist) {
			continue // reaped before it could be pinned
		}
		return a, h, err
	}
	return fs.Attr{}, nil, fmt.Errorf("make a nameless file: it is reaped each time: %w", fs.ErrBusy)
}

// Link gives an inode one more name.
func (f *FS) Link(ctx context.Context, ino, parent fs.Ino, name string) (fs.Attr, error) {
	r, err := f.do1(ctx, &fs.Link{Ino: ino, Parent: parent, Name: name, Time: f.now()})
	if err != nil {
		return fs.Attr{}, err
	}
	return f.merge(r.Attr), nil
}

// Unlink removes a name that is not a directory's.
func (f *FS) Unlink(ctx context.Context, parent fs.Ino, name string) error {
	r, err := f.do1(ctx, &fs.Unlink{Parent: parent, Name: name, Time: f.now()})
	if err != nil {
		return err
	}
	f.unnamed(r.Attr)
	return nil
}

// Rmdir removes an empty directory.
func (f *FS) Rmdir(ctx context.Context, parent fs.Ino, name string) error {
	_, err := f.do1(ctx, &fs.Rmdir{Parent: parent, Name: name, Time: f.now()})
	return err
}

// Rename moves a name. What this mount has written to the file that moves is flushed first, so that replacing a file by
// rename leaves the old content or the new one, whatever crashes.
func (f *FS) Rename(ctx context.Context, parent fs.Ino, name string, newParent fs.Ino, newName string, flags fs.RenameFlags) error {
	if f.cfg.ReadOnly {
		return fs.ErrReadOnly
	}
	if f.dirty.len() > 0 {
		a, err := f.Lookup(ctx, parent, name)
		if err != nil {
			return err
		}
		if err := f.flushIno(ctx, a.Ino); err != nil {
			return fmt.Errorf("rename %q: %w", name, err)
		}
	}
	r, err := f.do1(ctx, &fs.Rename{Parent: parent, Name: name, NewParent: newParent, NewName: newName, Flags: flags, Time: f.now()})
	if err != nil {
		return err
	}
	f.merge(r.Attr)
	if r.Replaced.Ino != 0 {
		f.unnamed(r.Replaced)
	}
	return nil
}

func (f *FS) flushIno(ctx context.Context, ino fs.Ino) error {
	n := f.table.peek(ino)
	if n == nil {
		return nil
	}
	defer f.table.release(n)
	return n.flushed(ctx, f)
}

// unnamed takes in the attributes of an inode that has lost a name.
func (f *FS) unnamed(a fs.Attr) {
	n := f.table.peek(a.Ino)
	if n == nil {
		return
	}
	defer f.table.release(n)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.adopt(a)
	n.discardIfOrphan(f)
}

// discardIfOrphan drops what is waiting of a file that nobody can reach any more; mu is held.
func (n *inode) discardIfOrphan(f *FS) {
	if n.handles == 0 && n.attr.Nlink == 0 && n.waiting() {
		n.drop(f)
	}
}
