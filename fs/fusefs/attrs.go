package fusefs

import (
	"time"

	"dfs/fs"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// GetAttr implements fuse.RawFileSystem. What is open is pinned, so a file handle is not needed; but it is there only when the
// kernel is about to read from its pages (or, rarely, to seek to the end), and otherwise says nothing of that.
func (f *front) GetAttr(cancel <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	return f.do(OpGetattr, cancel, &in.InHeader, func(r *request) error {
		if err := f.lockLost(in); err != nil {
			return err
		}
		a, valid, err := f.getattr(r)
		if err != nil {
			return gone(err)
		}
		if in.Flags()&fuse.FUSE_GETATTR_FH != 0 {
			if file, err := f.files.get(in.Fh()); err == nil {
				file.h.Accessed(&a)
			}
		}
		f.tell(&a)
		f.fillAttrOut(out, &a, valid)
		return nil
	})
}

// Statx implements fuse.RawFileSystem. The kernel asks it for what GETATTR lacks, the birth time.
func (f *front) Statx(cancel <-chan struct{}, in *fuse.StatxIn, out *fuse.StatxOut) fuse.Status {
	return f.do(OpStatx, cancel, &in.InHeader, func(r *request) error {
		a, valid, err := f.getattr(r)
		if err != nil {
			return gone(err)
		}
		f.tell(&a)
		out.SetTimeout(max(valid, f.cache))
		fillStatx(&out.Statx, &a)
		return nil
	})
}

// SetAttr implements fuse.RawFileSystem: chmod, chown, truncate and utimes, also through a file handle.
func (f *front) SetAttr(cancel <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	return f.do(OpSetattr, cancel, &in.InHeader, func(r *request) error {
		set := setattrOf(in, time.Now())
		defer f.acls.changed(r.ino()) // chmod changes the ACL
		a, err := f.fs.Setattr(r, r.ino(), set)
		if err != nil {
			return gone(err)
		}
		f.pages.changed(&a)
		f.fillAttrOut(out, &a, 0) // see fillMade
		return nil
	})
}

// Access implements fuse.RawFileSystem. It is asked only without default_permissions, that is never by a mount that
// checks permissions; ENOSYS makes the kernel stop asking and allow.
func (f *front) Access(<-chan struct{}, *fuse.AccessIn) fuse.Status { return fuse.ENOSYS }

// StatFs implements fuse.RawFileSystem.
func (f *front) StatFs(cancel <-chan struct{}, in *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	return f.do(OpStatfs, cancel, in, func(r *request) error {
		s, err := f.fs.Statfs(r, r.ino())
		if err != nil {
			return gone(err)
		}
		fillStatfs(out, &s)
		return nil
	})
}

const (
	statfsBlock = 4096 // bytes
	// inodeGuess is how many bytes a file is assumed to take, to say how many more would fit: inodes have no limit of
	// their own, and programs take 0 free ones for "full".
	inodeGuess = 16 << 10
)

func fillStatfs(out *fuse.StatfsOut, s *fs.Statfs) {
	free := s.FreeBytes / inodeGuess
	*out = fuse.StatfsOut{
		Blocks:  s.TotalBytes / statfsBlock,
		Bfree:   s.FreeBytes / statfsBlock,
		Bavail:  s.FreeBytes / statfsBlock,
		Files:   s.Inodes + free,
		Ffree:   free,
		Bsize:   statfsBlock,
		Frsize:  statfsBlock,
		NameLen: fs.NameMax,
	}
	if s.InodesLimit > 0 {
		out.Files, out.Ffree = s.InodesLimit, s.InodesLimit-min(s.Inodes, s.InodesLimit)
	}
}
