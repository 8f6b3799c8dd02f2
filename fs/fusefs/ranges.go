package fusefs

import (
	"errors"
	"fmt"

	"dfs/fs"
	"dfs/fs/vfs"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// copyMax bounds one COPY_FILE_RANGE, bytes: its answer has 32 bits, and the caller goes on where it ended.
const copyMax = 1 << 30

// Fallocate implements fuse.RawFileSystem.
func (f *front) Fallocate(cancel <-chan struct{}, in *fuse.FallocateIn) fuse.Status {
	return f.do(OpFallocate, cancel, &in.InHeader, func(r *request) error {
		file, err := f.files.get(in.Fh)
		if err != nil {
			return err
		}
		mode, keepSize, err := allocateMode(in.Mode)
		if err != nil {
			return err
		}
		return file.h.Allocate(r, fs.Allocate{Mode: mode, Off: in.Offset, Len: in.Length, KeepSize: keepSize,
			KillPriv: r.unprivileged()})
	})
}

// allocateMode translates fallocate(2)'s mode. Collapsing, inserting and unsharing ranges are not supported.
func allocateMode(mode uint32) (m fs.AllocateMode, keepSize bool, err error) {
	keepSize = mode&unix.FALLOC_FL_KEEP_SIZE != 0
	switch mode &^ unix.FALLOC_FL_KEEP_SIZE {
	case 0:
		return fs.AllocatePlain, keepSize, nil
	case unix.FALLOC_FL_PUNCH_HOLE:
		if keepSize {
			return fs.AllocatePunch, true, nil
		}
	case unix.FALLOC_FL_ZERO_RANGE:
		return fs.AllocateZero, keepSize, nil
	}
	return 0, false, fmt.Errorf("fallocate mode %#x: %w", mode, fs.ErrNotSupported)
}

// Lseek implements fuse.RawFileSystem for SEEK_DATA and SEEK_HOLE; the kernel does the rest.
func (f *front) Lseek(cancel <-chan struct{}, in *fuse.LseekIn, out *fuse.LseekOut) fuse.Status {
	return f.do(OpLseek, cancel, &in.InHeader, func(r *request) error {
		file, err := f.files.get(in.Fh)
		if err != nil {
			return err
		}
		out.Offset, err = file.h.Seek(r, in.Offset, vfs.Whence(in.Whence))
		if errors.Is(err, vfs.ErrNoData) {
			err = errNoData // which is ENXIO; the sentinel that it wraps would be EINVAL
		}
		return err
	})
}

// CopyFileRange implements fuse.RawFileSystem; vfs shares the extents where it can.
func (f *front) CopyFileRange(cancel <-chan struct{}, in *fuse.CopyFileRangeIn) (written uint32, status fuse.Status) {
	status = f.do(OpCopyFileRange, cancel, &in.InHeader, func(r *request) error {
		if in.Flags != 0 {
			return fmt.Errorf("copy_file_range flags %#x: %w", in.Flags, fs.ErrInvalid)
		}
		src, err := f.files.get(in.FhIn)
		if err != nil {
			return err
		}
		dst, err := f.files.get(in.FhOut)
		if err != nil {
			return err
		}
		n, err := src.h.CopyTo(r, dst.h, fs.Clone{SrcOff: in.OffIn, DstOff: in.OffOut, Len: min(in.Len, copyMax),
			KillPriv: r.unprivileged()})
		written = uint32(n)
		return err
	})
	return written, status
}

// Ioctl implements fuse.RawFileSystem: there are none. FICLONE never comes here, the kernel answers it itself.
func (f *front) Ioctl(cancel <-chan struct{}, in *fuse.IoctlIn, _ []byte, _ *fuse.IoctlOut, _ []byte) fuse.Status {
	return f.do(OpIoctl, cancel, &in.InHeader, func(*request) error { return errNotTTY })
}
