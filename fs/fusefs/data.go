package fusefs

import (
	"dfs/fs/vfs"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// Read implements fuse.RawFileSystem, into the buffer that goes to the kernel. A short answer is the end of the file.
func (f *front) Read(cancel <-chan struct{}, in *fuse.ReadIn, buf []byte) (fuse.ReadResult, fuse.Status) {
	var n int
	status := f.do(OpRead, cancel, &in.InHeader, func(r *request) error {
		file, err := f.files.get(in.Fh)
		if err != nil {
			return err
		}
		if in.ReadFlags&fuse.READ_LOCKOWNER != 0 { // as read(2) past the page cache has it; what fills pages has none
			n, err = file.h.Read(r, buf, in.Offset)
			return err
		}
		var covered bool
		n, covered, err = file.h.ReadPages(r, buf, in.Offset)
		if err == nil && !covered {
			f.uncovered(file.ino)
		}
		return err
	})
	if !status.Ok() {
		return nil, status
	}
	f.stats.read.Add(uint64(n))
	return fuse.ReadResultData(buf[:n]), fuse.OK
}

// Write implements fuse.RawFileSystem. The offset of an append is for vfs to decide, whatever the kernel thinks.
func (f *front) Write(cancel <-chan struct{}, in *fuse.WriteIn, data []byte) (written uint32, status fuse.Status) {
	status = f.do(OpWrite, cancel, &in.InHeader, func(r *request) error {
		file, err := f.files.get(in.Fh)
		if err != nil {
			return err
		}
		h, err := f.handle(r, file, in.Flags&unix.O_APPEND != 0)
		if err != nil {
			return err
		}
		write := h.Write
		switch {
		case in.WriteFlags&fuse.WRITE_CACHE != 0:
			write = h.WritePages
		case in.WriteFlags&fuse.WRITE_KILL_SUIDGID != 0:
			write = h.WriteKillPriv
		}
		n, err := write(r, data, in.Offset)
		written = uint32(n)
		f.stats.written.Add(uint64(n))
		if err != nil {
			return err
		}
		return syncAfter(r, h, in.Flags)
	})
	return written, status
}

// syncAfter makes a write durable where the file was opened so. The kernel does it for cached writes but not for direct
// ones.
func syncAfter(r *request, h *vfs.Handle, flags uint32) error {
	switch {
	case flags&unix.O_SYNC == unix.O_SYNC:
		return h.Fsync(r, false)
	case flags&unix.O_DSYNC != 0:
		return h.Fsync(r, true)
	}
	return nil
}
