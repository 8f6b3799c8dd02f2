package fusefs

import (
	"maps"
	"slices"
	"syscall"
	"time"

	"dfs/fs"
	"dfs/fs/vfs"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// firstVirtual is the inode of the status directory; its files have those behind it. The cluster allots numbers from 2
// up, at most 65,536 a call: it does not come that far.
const firstVirtual uint64 = 1 << 63

// statusDir is the front with a directory of status files in its root. The files are made when they are opened, by this
// process alone, so that they can be read when the cluster is gone. What is not about them goes to the front.
type statusDir struct {
	fuse.RawFileSystem
	front *front
	names []string
	text  []func() string // by the order of names
	open  handles[string]
	born  time.Time
}

// withStatus puts files (by name) before a front; nil leaves it as it is.
func withStatus(f *front, files map[string]func() string) fuse.RawFileSystem {
	if files == nil {
		return f
	}
	d := &statusDir{RawFileSystem: f, front: f, names: slices.Sorted(maps.Keys(files)), born: time.Now()}
	for _, name := range d.names {
		d.text = append(d.text, files[name])
	}
	return d
}

func virtual(ino uint64) bool { return ino >= firstVirtual }

// reserved reports whether a name in a directory is the status directory's.
func reserved(dir uint64, name string) bool { return dir == fuse.FUSE_ROOT_ID && name == fs.StatusDir }

// refuse is the answer to whoever wants to change, in dir, what name names.
func refuse(dir uint64, name string) (fuse.Status, bool) {
	switch {
	case virtual(dir):
		return fuse.EROFS, true
	case reserved(dir, name):
		return fuse.EPERM, true
	}
	return fuse.OK, false
}

// attr is nil for a number that nothing has.
func (d *statusDir) attr(ino uint64) *fs.Attr {
	at := fs.TimeOf(d.born)
	a := &fs.Attr{Ino: fs.Ino(ino), Type: fs.TypeRegular, Mode: 0o444, Nlink: 1, Atime: at, Mtime: at, Ctime: at, Btime: at}
	switch {
	case ino == firstVirtual:
		a.Type, a.Mode, a.Nlink, a.Parent = fs.TypeDir, 0o555, 2, d.front.fs.Root()
	case ino > firstVirtual+uint64(len(d.names)):
		return nil
	}
	return a
}

// do counts a request about a status file as any other.
func (d *statusDir) do(op Op, in *fuse.InHeader, fn func(a *fs.Attr) fuse.Status) (st fuse.Status) {
	began := time.Now()
	d.front.stats.begin(op)
	defer func() { d.front.stats.end(op, time.Since(began), st != fuse.OK) }()
	a := d.attr(in.NodeId)
	if a == nil {
		return fuse.Status(syscall.ESTALE)
	}
	return fn(a)
}

// Lookup implements fuse.RawFileSystem, like the methods below.
func (d *statusDir) Lookup(cancel <-chan struct{}, in *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	if reserved(in.NodeId, name) {
		return d.do(OpLookup, in, func(*fs.Attr) fuse.Status {
			d.front.fillEntry(out, d.attr(firstVirtual), vfs.Validity{})
			return fuse.OK
		})
	}
	if !virtual(in.NodeId) {
		return d.RawFileSystem.Lookup(cancel, in, name, out)
	}
	return d.do(OpLookup, in, func(*fs.Attr) fuse.Status {
		i, ok := slices.BinarySearch(d.names, name)
		if !ok || in.NodeId != firstVirtual {
			return fuse.ENOENT
		}
		d.front.fillEntry(out, d.attr(firstVirtual+1+uint64(i)), vfs.Validity{})
		return fuse.OK
	})
}

// StatFs of what is virtual is that of the root.
func (d *statusDir) StatFs(cancel <-chan struct{}, in *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	if virtual(in.NodeId) {
		root := *in
		root.NodeId = fuse.FUSE_ROOT_ID
		in = &root
	}
	return d.RawFileSystem.StatFs(cancel, in, out)
}

// GetAttr answers what is virtual; the size of a status file is 0 until it is read, as in /proc.
func (d *statusDir) GetAttr(cancel <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	if !virtual(in.NodeId) {
		return d.RawFileSystem.GetAttr(cancel, in, out)
	}
	return d.do(OpGetattr, &in.InHeader, func(a *fs.Attr) fuse.Status {
		d.front.fillAttrOut(out, a, 0)
		return fuse.OK
	})
}

// Statx is GetAttr with the birth time.
func (d *statusDir) Statx(cancel <-chan struct{}, in *fuse.StatxIn, out *fuse.StatxOut) fuse.Status {
	if !virtual(in.NodeId) {
		return d.RawFileSystem.Statx(cancel, in, out)
	}
	return d.do(OpStatx, &in.InHeader, func(a *fs.Attr) fuse.Status {
		fillStatx(&out.Statx, a)
		return fuse.OK
	})
}

// Open makes the text. The kernel keeps nothing of it.
func (d *statusDir) Open(cancel <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	if !virtual(in.NodeId) {
		return d.RawFileSystem.Open(cancel, in, out)
	}
	return d.do(OpOpen, &in.InHeader, func(a *fs.Attr) fuse.Status {
		switch {
		case in.Flags&unix.O_ACCMODE != unix.O_RDONLY || in.Flags&unix.O_TRUNC != 0:
			return fuse.EROFS
		case a.IsDir():
			return fuse.Status(syscall.EISDIR)
		}
		out.Fh = d.open.add(d.text[in.NodeId-firstVirtual-1]())
		out.OpenFlags = fuse.FOPEN_DIRECT_IO | fuse.FOPEN_NOFLUSH
		return fuse.OK
	})
}

// Read gives the text as it was when it was opened.
func (d *statusDir) Read(cancel <-chan struct{}, in *fuse.ReadIn, buf []byte) (fuse.ReadResult, fuse.Status) {
	if !virtual(in.NodeId) {
		return d.RawFileSystem.Read(cancel, in, buf)
	}
	n := 0
	st := d.do(OpRead, &in.InHeader, func(*fs.Attr) fuse.Status {
		text, err := d.open.get(in.Fh)
		if err != nil {
			return fuse.EBADF
		}
		n = copy(buf, text[min(in.Offset, uint64(len(text))):])
		return fuse.OK
	})
	return fuse.ReadResultData(buf[:n]), st
}

// Release forgets the text.
func (d *statusDir) Release(cancel <-chan struct{}, in *fuse.ReleaseIn) {
	if !virtual(in.NodeId) {
		d.RawFileSystem.Release(cancel, in)
		return
	}
	d.open.remove(in.Fh)
}

// OpenDir needs no handle.
func (d *statusDir) OpenDir(cancel <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	if !virtual(in.NodeId) {
		return d.RawFileSystem.OpenDir(cancel, in, out)
	}
	return d.do(OpOpendir, &in.InHeader, func(*fs.Attr) fuse.Status { return fuse.OK })
}

// ReadDir lists the files; the place of an entry is its number, from 1.
func (d *statusDir) ReadDir(cancel <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	if !virtual(in.NodeId) {
		return d.RawFileSystem.ReadDir(cancel, in, out)
	}
	return d.do(OpReaddir, &in.InHeader, func(*fs.Attr) fuse.Status {
		d.list(in.Offset, out.AddDirEntry)
		return fuse.OK
	})
}

func (d *statusDir) list(after uint64, emit func(fuse.DirEntry) bool) {
	entries := []fuse.DirEntry{{Name: ".", Ino: firstVirtual, Mode: fuse.S_IFDIR}, {Name: "..", Ino: uint64(d.front.fs.Root()), Mode: fuse.S_IFDIR}}
	for i, name := range d.names {
		entries = append(entries, fuse.DirEntry{Name: name, Ino: firstVirtual + 1 + uint64(i), Mode: fuse.S_IFREG})
	}
	for i := after; i < uint64(len(entries)); i++ {
		entries[i].Off = i + 1
		if !emit(entries[i]) {
			return
		}
	}
}

// ReleaseDir has nothing to forget.
func (d *statusDir) ReleaseDir(in *fuse.ReleaseIn) {
	if !virtual(in.NodeId) {
		d.RawFileSystem.ReleaseDir(in)
	}
}

// FsyncDir finds everything as durable as it will ever be.
func (d *statusDir) FsyncDir(cancel <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	if !virtual(in.NodeId) {
		return d.RawFileSystem.FsyncDir(cancel, in)
	}
	return fuse.OK
}

// Flush and Fsync are FsyncDir of a file.
func (d *statusDir) Flush(cancel <-chan struct{}, in *fuse.FlushIn) fuse.Status {
	if !virtual(in.NodeId) {
		return d.RawFileSystem.Flush(cancel, in)
	}
	return fuse.OK
}

// Fsync implements fuse.RawFileSystem.
func (d *statusDir) Fsync(cancel <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	if !virtual(in.NodeId) {
		return d.RawFileSystem.Fsync(cancel, in)
	}
	return fuse.OK
}
