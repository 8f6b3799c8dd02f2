package fusefs

import (
	"dfs/fs"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// The places of "." and ".." in a directory stream; the entries' own cookies come behind them. A place is what the
// kernel hands back to go on after that entry.
const (
	placeDot    = 1
	placeDotDot = 2
)

// OpenDir implements fuse.RawFileSystem.
func (f *front) OpenDir(cancel <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	return f.do(OpOpendir, cancel, &in.InHeader, func(r *request) error {
		d, err := f.fs.OpenDir(r, r.ino())
		if err != nil {
			return gone(err)
		}
		d.NoAtime = in.Flags&unix.O_NOATIME != 0
		out.Fh = f.dirs.add(d)
		return nil
	})
}

// ReadDir implements fuse.RawFileSystem.
func (f *front) ReadDir(cancel <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	return f.do(OpReaddir, cancel, &in.InHeader, func(r *request) error {
		return f.list(r, in, out.AddDirEntry)
	})
}

// list emits the entries behind in.Offset until emit has no more room; the next call begins at the one that found none.
func (f *front) list(r *request, in *fuse.ReadIn, emit func(fuse.DirEntry) bool) error {
	d, err := f.dirs.get(in.Fh)
	if err != nil {
		return err
	}
	if in.Offset < placeDotDot && !f.listDots(r, in.Offset, emit) {
		return nil
	}
	after := fs.Cookie(in.Offset)
	if after < fs.FirstCookie {
		after = 0
	}
	return d.Read(r, after, func(e fs.Dirent) bool {
		return emit(fuse.DirEntry{
			Name: e.Name,
			Ino:  uint64(e.Attr.Ino),
			Mode: modeOf(&e.Attr),
			Off:  uint64(e.Cookie),
		})
	})
}

// listDots emits "." and "..". The parent of a directory that is gone is
// unknown, and said to be so.
func (f *front) listDots(r *request, offset uint64, emit func(fuse.DirEntry) bool) bool {
	dot := fuse.DirEntry{Name: ".", Ino: uint64(r.ino()), Mode: fuse.S_IFDIR, Off: placeDot}
	if offset < placeDot && !emit(dot) {
		return false
	}
	dotdot := fuse.DirEntry{Name: "..", Mode: fuse.S_IFDIR, Off: placeDotDot}
	if a, err := f.fs.Getattr(r, r.ino()); err == nil {
		dotdot.Ino = uint64(a.Parent)
	}
	return emit(dotdot)
}

// ReleaseDir implements fuse.RawFileSystem.
func (f *front) ReleaseDir(in *fuse.ReleaseIn) {
	f.do(OpReleasedir, nil, &in.InHeader, func(*request) error {
		if d, ok := f.dirs.remove(in.Fh); ok {
			d.Release()
		}
		return nil
	})
}

// FsyncDir implements fuse.RawFileSystem.
func (f *front) FsyncDir(cancel <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	return f.do(OpFsyncdir, cancel, &in.InHeader, func(r *request) error {
		d, err := f.dirs.get(in.Fh)
		if err != nil {
			return err
		}
		return d.Fsync(r)
	})
}
