package fusefs

import (
	"cmp"
	"errors"
	"fmt"

	"dfs/fs"
	"dfs/fs/vfs"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// openFlags are those of open(2) that mean something to vfs; the kernel has dealt with the others.
const openFlags = unix.O_ACCMODE | unix.O_APPEND | unix.O_TRUNC | unix.O_NOATIME

// answerOpen makes the handle known to the kernel.
//
// A handle that can write bypasses the page cache: for a cached write the kernel holds pages locked, and waits with them for our answer,
// which may wait for another mount, and that one for those pages. And for an append it would take the end of file from its own
// memory, which another mount has outdated.
func (f *front) answerOpen(out *fuse.OpenOut, a *fs.Attr, h *vfs.Handle, flags uint32, keepCache bool) {
	out.Fh = f.files.add(&file{h: h, ino: a.Ino, flags: flags & openFlags})
	f.pages.opened(a)
	if keepCache {
		out.OpenFlags |= fuse.FOPEN_KEEP_CACHE
	}
	if flags&unix.O_ACCMODE != unix.O_RDONLY {
		out.OpenFlags |= fuse.FOPEN_DIRECT_IO
	}
}

// Open implements fuse.RawFileSystem.
func (f *front) Open(cancel <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	return f.do(OpOpen, cancel, &in.InHeader, func(r *request) error {
		flags := in.Flags & openFlags
		if in.Mode&fuse.OPEN_KILL_SUIDGID != 0 && flags&unix.O_TRUNC != 0 {
			if _, err := f.fs.Setattr(r, r.ino(), fs.Setattr{Set: fs.SetSize, KillPriv: true}); err != nil {
				return gone(err)
			}
			flags &^= unix.O_TRUNC
		}
		a, h, keep, err := f.fs.Open(r, r.ino(), flags)
		if err != nil {
			return gone(err)
		}
		f.answerOpen(out, &a, h, in.Flags, f.keepCache(r.ino(), keep))
		return nil
	})
}

// Create implements fuse.RawFileSystem. When another mount was faster to make the name and O_EXCL does not mind, the
// kernel is told ESTALE: it looks the name up again and opens what is there, with the permission checks of an open that
// a CREATE goes without.
func (f *front) Create(cancel <-chan struct{}, in *fuse.CreateIn, name string, out *fuse.CreateOut) fuse.Status {
	return f.do(OpCreate, cancel, &in.InHeader, func(r *request) error {
		flags := in.Flags&openFlags | unix.O_EXCL
		a, h, err := f.fs.Create(r, r.caller(in.Umask), r.ino(), name, in.Mode&fs.ModeMask, flags)
		if errors.Is(err, fs.ErrExist) && in.Flags&unix.O_EXCL == 0 {
			return fmt.Errorf("%q has been created meanwhile: %w", name, fs.ErrStale)
		}
		if err != nil {
			return err
		}
		f.fillMade(r, name, &out.EntryOut, &a)
		f.answerOpen(&out.OpenOut, &a, h, in.Flags, true)
		return nil
	})
}

// Tmpfile implements fuse.RawFileSystem: open(2) with O_TMPFILE.
func (f *front) Tmpfile(cancel <-chan struct{}, in *fuse.CreateIn, out *fuse.CreateOut) fuse.Status {
	return f.do(OpTmpfile, cancel, &in.InHeader, func(r *request) error {
		a, h, err := f.fs.Tmpfile(r, r.caller(in.Umask), r.ino(), in.Mode&fs.ModeMask, in.Flags&openFlags)
		if err != nil {
			return err
		}
		f.fillEntry(&out.EntryOut, &a, vfs.Validity{})
		f.answerOpen(&out.OpenOut, &a, h, in.Flags, true)
		return nil
	})
}

// Flush implements fuse.RawFileSystem: each close(2) of a descriptor, from whichever process. The process's fcntl locks on the file
// go with it.
func (f *front) Flush(cancel <-chan struct{}, in *fuse.FlushIn) fuse.Status {
	return f.do(OpFlush, cancel, &in.InHeader, func(r *request) error {
		file, err := f.files.get(in.Fh)
		if err != nil {
			return err
		}
		flushed := file.h.Flush(r)
		return cmp.Or(flushed, file.h.CloseLocks(r, in.LockOwner))
	})
}

// fdatasync is FUSE_FSYNC_FDATASYNC: the times need not reach the disk.
const fdatasync = 1

// Fsync implements fuse.RawFileSystem.
func (f *front) Fsync(cancel <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	return f.do(OpFsync, cancel, &in.InHeader, func(r *request) error {
		file, err := f.files.get(in.Fh)
		if err != nil {
			return err
		}
		return file.h.Fsync(r, in.FsyncFlags&fdatasync != 0)
	})
}

// Release implements fuse.RawFileSystem: the last descriptor is closed and the last mapping gone. Nobody waits for it.
func (f *front) Release(cancel <-chan struct{}, in *fuse.ReleaseIn) {
	f.do(OpRelease, cancel, &in.InHeader, func(*request) error {
		if file, ok := f.files.remove(in.Fh); ok {
			file.release()
			f.pages.released(file.ino)
		}
		return nil
	})
}
