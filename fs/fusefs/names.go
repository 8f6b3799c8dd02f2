package fusefs

import (
	"errors"
	"fmt"

	"dfs/fs"
	"dfs/fs/vfs"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// Lookup implements fuse.RawFileSystem. Where the kernel may cache at all it may also cache that there is no such name.
func (f *front) Lookup(cancel <-chan struct{}, in *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	return f.do(OpLookup, cancel, in, func(r *request) error {
		a, valid, err := f.lookup(r, name)
		if keep := f.entryTimeout(valid); keep > 0 && errors.Is(err, fs.ErrNotExist) {
			out.SetEntryTimeout(keep)
			return nil // with node id 0
		}
		if err != nil {
			return err
		}
		f.tell(&a)
		f.fillEntry(out, &a, valid)
		return nil
	})
}

// lookup finds a name. "." and ".." are asked for by node id alone, when a file handle is opened of what the kernel does not
// know, or not the place of (name_to_handle_at(2), NFS).
func (f *front) lookup(r *request, name string) (fs.Attr, vfs.Validity, error) {
	if name != "." && name != ".." {
		return f.fs.LookupFor(r, r.ino(), name)
	}
	a, valid, err := f.fs.GetattrFor(r, r.ino())
	if name == ".." && err == nil {
		if !a.IsDir() {
			return fs.Attr{}, vfs.Validity{}, fs.ErrNotDir
		}
		a, valid, err = f.fs.GetattrFor(r, a.Parent) // the root's is itself; 0, which is no inode, of a directory that was removed
	}
	return a, vfs.Validity{Attr: valid}, err
}

// Forget implements fuse.RawFileSystem: nothing here is kept for a node id.
func (f *front) Forget(uint64, uint64) {}

// Mknod implements fuse.RawFileSystem.
func (f *front) Mknod(cancel <-chan struct{}, in *fuse.MknodIn, name string, out *fuse.EntryOut) fuse.Status {
	return f.do(OpMknod, cancel, &in.InHeader, func(r *request) error {
		t := typeOf(in.Mode)
		if !t.Valid() || t == fs.TypeDir || t == fs.TypeSymlink {
			return fmt.Errorf("mknod of type %d: %w", t, fs.ErrInvalid)
		}
		a, err := f.fs.Mknod(r, r.caller(in.Umask), r.ino(), name, t, in.Mode&fs.ModeMask, in.Rdev)
		if err != nil {
			return err
		}
		f.fillMade(r, name, out, &a)
		return nil
	})
}

// Mkdir implements fuse.RawFileSystem.
func (f *front) Mkdir(cancel <-chan struct{}, in *fuse.MkdirIn, name string, out *fuse.EntryOut) fuse.Status {
	return f.do(OpMkdir, cancel, &in.InHeader, func(r *request) error {
		a, err := f.fs.Mkdir(r, r.caller(in.Umask), r.ino(), name, in.Mode&fs.ModeMask)
		if err != nil {
			return err
		}
		f.fillMade(r, name, out, &a)
		return nil
	})
}

// Symlink implements fuse.RawFileSystem.
func (f *front) Symlink(cancel <-chan struct{}, in *fuse.InHeader, target, name string, out *fuse.EntryOut) fuse.Status {
	return f.do(OpSymlink, cancel, in, func(r *request) error {
		a, err := f.fs.Symlink(r, r.caller(0), r.ino(), name, target)
		if err != nil {
			return err
		}
		f.fillMade(r, name, out, &a)
		return nil
	})
}

// Readlink implements fuse.RawFileSystem. The kernel keeps the answer: a target never changes, an inode number never
// comes again.
func (f *front) Readlink(cancel <-chan struct{}, in *fuse.InHeader) (target []byte, status fuse.Status) {
	status = f.do(OpReadlink, cancel, in, func(r *request) error {
		s, err := f.fs.Readlink(r, r.ino())
		target = []byte(s)
		return gone(err)
	})
	return target, status
}

// Link implements fuse.RawFileSystem.
func (f *front) Link(cancel <-chan struct{}, in *fuse.LinkIn, name string, out *fuse.EntryOut) fuse.Status {
	return f.do(OpLink, cancel, &in.InHeader, func(r *request) error {
		a, err := f.fs.Link(r, f.inoOf(in.Oldnodeid), r.ino(), name)
		if err != nil {
			return err
		}
		f.fillMade(r, name, out, &a)
		return nil
	})
}

// Unlink implements fuse.RawFileSystem.
func (f *front) Unlink(cancel <-chan struct{}, in *fuse.InHeader, name string) fuse.Status {
	return f.do(OpUnlink, cancel, in, func(r *request) error { return f.fs.Unlink(r, r.ino(), name) })
}

// Rmdir implements fuse.RawFileSystem.
func (f *front) Rmdir(cancel <-chan struct{}, in *fuse.InHeader, name string) fuse.Status {
	return f.do(OpRmdir, cancel, in, func(r *request) error { return f.fs.Rmdir(r, r.ino(), name) })
}

// Rename implements fuse.RawFileSystem, for RENAME and RENAME2.
func (f *front) Rename(cancel <-chan struct{}, in *fuse.RenameIn, name, newName string) fuse.Status {
	return f.do(OpRename, cancel, &in.InHeader, func(r *request) error {
		flags, err := renameFlags(in.Flags)
		if err != nil {
			return err
		}
		return f.fs.Rename(r, r.ino(), name, f.inoOf(in.Newdir), newName, flags)
	})
}

// renameFlags translates renameat2(2)'s flags. A whiteout, which overlayfs would make, is none that we know.
func renameFlags(flags uint32) (fs.RenameFlags, error) {
	switch flags {
	case 0:
		return 0, nil
	case unix.RENAME_NOREPLACE:
		return fs.RenameNoReplace, nil
	case unix.RENAME_EXCHANGE:
		return fs.RenameExchange, nil
	}
	return 0, fmt.Errorf("rename flags %#x: %w", flags, fs.ErrInvalid)
}
