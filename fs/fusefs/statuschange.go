package fusefs

import (
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// What would change the status directory, its files or its name is refused here: the files with EROFS, the name in the
// root with EPERM, where the kernel's own lookup has not led to EEXIST before.

// Mknod implements fuse.RawFileSystem, like the methods below.
func (d *statusDir) Mknod(cancel <-chan struct{}, in *fuse.MknodIn, name string, out *fuse.EntryOut) fuse.Status {
	if st, no := refuse(in.NodeId, name); no {
		return st
	}
	return d.RawFileSystem.Mknod(cancel, in, name, out)
}

// Mkdir makes a directory.
func (d *statusDir) Mkdir(cancel <-chan struct{}, in *fuse.MkdirIn, name string, out *fuse.EntryOut) fuse.Status {
	if st, no := refuse(in.NodeId, name); no {
		return st
	}
	return d.RawFileSystem.Mkdir(cancel, in, name, out)
}

// Symlink makes a symlink.
func (d *statusDir) Symlink(cancel <-chan struct{}, in *fuse.InHeader, target, name string, out *fuse.EntryOut) fuse.Status {
	if st, no := refuse(in.NodeId, name); no {
		return st
	}
	return d.RawFileSystem.Symlink(cancel, in, target, name, out)
}

// Create makes and opens a file.
func (d *statusDir) Create(cancel <-chan struct{}, in *fuse.CreateIn, name string, out *fuse.CreateOut) fuse.Status {
	if st, no := refuse(in.NodeId, name); no {
		return st
	}
	return d.RawFileSystem.Create(cancel, in, name, out)
}

// Tmpfile makes a file without a name.
func (d *statusDir) Tmpfile(cancel <-chan struct{}, in *fuse.CreateIn, out *fuse.CreateOut) fuse.Status {
	if st, no := refuse(in.NodeId, ""); no {
		return st
	}
	return d.RawFileSystem.Tmpfile(cancel, in, out)
}

// Link gives a file one more name; a status file gets none.
func (d *statusDir) Link(cancel <-chan struct{}, in *fuse.LinkIn, name string, out *fuse.EntryOut) fuse.Status {
	if st, no := refuse(in.NodeId, name); no {
		return st
	}
	if virtual(in.Oldnodeid) {
		return fuse.EPERM
	}
	return d.RawFileSystem.Link(cancel, in, name, out)
}

// Unlink removes a name.
func (d *statusDir) Unlink(cancel <-chan struct{}, in *fuse.InHeader, name string) fuse.Status {
	if st, no := refuse(in.NodeId, name); no {
		return st
	}
	return d.RawFileSystem.Unlink(cancel, in, name)
}

// Rmdir removes a directory.
func (d *statusDir) Rmdir(cancel <-chan struct{}, in *fuse.InHeader, name string) fuse.Status {
	if st, no := refuse(in.NodeId, name); no {
		return st
	}
	return d.RawFileSystem.Rmdir(cancel, in, name)
}

// Rename moves a name.
func (d *statusDir) Rename(cancel <-chan struct{}, in *fuse.RenameIn, name, newName string) fuse.Status {
	if st, no := refuse(in.NodeId, name); no {
		return st
	}
	if st, no := refuse(in.Newdir, newName); no {
		return st
	}
	return d.RawFileSystem.Rename(cancel, in, name, newName)
}

// SetAttr changes attributes.
func (d *statusDir) SetAttr(cancel <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	if virtual(in.NodeId) {
		return fuse.EROFS
	}
	return d.RawFileSystem.SetAttr(cancel, in, out)
}

// Write writes; no status file is open for it.
func (d *statusDir) Write(cancel <-chan struct{}, in *fuse.WriteIn, data []byte) (uint32, fuse.Status) {
	if virtual(in.NodeId) {
		return 0, fuse.EBADF
	}
	return d.RawFileSystem.Write(cancel, in, data)
}

// Fallocate allots space.
func (d *statusDir) Fallocate(cancel <-chan struct{}, in *fuse.FallocateIn) fuse.Status {
	if virtual(in.NodeId) {
		return fuse.EBADF
	}
	return d.RawFileSystem.Fallocate(cancel, in)
}

// CopyFileRange copies within the cluster, which has no status files: the caller reads and writes instead.
func (d *statusDir) CopyFileRange(cancel <-chan struct{}, in *fuse.CopyFileRangeIn) (uint32, fuse.Status) {
	if virtual(in.NodeId) || virtual(in.NodeIdOut) {
		return 0, fuse.Status(syscall.EXDEV)
	}
	return d.RawFileSystem.CopyFileRange(cancel, in)
}

// Lseek for data and holes is not offered: readers take it that all is data.
func (d *statusDir) Lseek(cancel <-chan struct{}, in *fuse.LseekIn, out *fuse.LseekOut) fuse.Status {
	if virtual(in.NodeId) {
		return fuse.EINVAL
	}
	return d.RawFileSystem.Lseek(cancel, in, out)
}

// GetXAttr finds none.
func (d *statusDir) GetXAttr(cancel <-chan struct{}, in *fuse.InHeader, name string, dest []byte) (uint32, fuse.Status) {
	if virtual(in.NodeId) {
		return 0, fuse.ENODATA
	}
	return d.RawFileSystem.GetXAttr(cancel, in, name, dest)
}

// ListXAttr lists none.
func (d *statusDir) ListXAttr(cancel <-chan struct{}, in *fuse.InHeader, dest []byte) (uint32, fuse.Status) {
	if virtual(in.NodeId) {
		return 0, fuse.OK
	}
	return d.RawFileSystem.ListXAttr(cancel, in, dest)
}

// SetXAttr sets an extended attribute.
func (d *statusDir) SetXAttr(cancel <-chan struct{}, in *fuse.SetXAttrIn, name string, value []byte) fuse.Status {
	if virtual(in.NodeId) {
		return fuse.EROFS
	}
	return d.RawFileSystem.SetXAttr(cancel, in, name, value)
}

// RemoveXAttr removes one.
func (d *statusDir) RemoveXAttr(cancel <-chan struct{}, in *fuse.InHeader, name string) fuse.Status {
	if virtual(in.NodeId) {
		return fuse.EROFS
	}
	return d.RawFileSystem.RemoveXAttr(cancel, in, name)
}
