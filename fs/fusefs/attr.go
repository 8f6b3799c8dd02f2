package fusefs

import (
	"math"
	"syscall"
	"time"

	"dfs/fs"

	"github.com/hanwen/go-fuse/v2/fuse"
)

const (
	// generation is every inode's: numbers are never reused, so none needs a second one.
	generation = 1
	// blksize is the I/O size that programs are advised to use (st_blksize), bytes. cp and cat take it if it is larger
	// than their own; much more would make readers of small pieces through stdio or Python slow.
	blksize = 256 << 10
	// sector is the unit of st_blocks, bytes.
	sector = 512
	// second is one in the unit of fs.Time.
	second = int64(time.Second)
	// statxMask is STATX_BASIC_STATS | STATX_BTIME: what an answer to statx holds.
	statxMask = 0x7ff | 0x800
)

// modeOf joins type and permissions as st_mode has them. fs.FileType is DT_*, whose values are those of S_IF* >> 12.
func modeOf(a *fs.Attr) uint32 { return uint32(a.Type)<<12 | a.Mode&fs.ModeMask }

// typeOf is the file type in an st_mode; mknod(2) takes none for a regular file.
func typeOf(mode uint32) fs.FileType {
	if mode&syscall.S_IFMT == 0 {
		return fs.TypeRegular
	}
	return fs.FileType(mode & syscall.S_IFMT >> 12)
}

// fillAttr is stat(2)'s view of a.
func fillAttr(out *fuse.Attr, a *fs.Attr) {
	*out = fuse.Attr{
		Ino:     uint64(a.Ino),
		Size:    a.Size,
		Blocks:  blocks(a.Used),
		Mode:    modeOf(a),
		Nlink:   a.Nlink,
		Owner:   fuse.Owner{Uid: a.UID, Gid: a.GID},
		Rdev:    a.Rdev,
		Blksize: blksize,
	}
	out.Atime, out.Atimensec = split(a.Atime)
	out.Mtime, out.Mtimensec = split(a.Mtime)
	out.Ctime, out.Ctimensec = split(a.Ctime)
}

// fillStatx is statx(2)'s view of a, with the birth time.
func fillStatx(out *fuse.Statx, a *fs.Attr) {
	*out = fuse.Statx{
		Mask:      statxMask,
		Blksize:   blksize,
		Nlink:     a.Nlink,
		Uid:       a.UID,
		Gid:       a.GID,
		Mode:      uint16(modeOf(a)),
		Ino:       uint64(a.Ino),
		Size:      a.Size,
		Blocks:    blocks(a.Used),
		Atime:     sxTime(a.Atime),
		Btime:     sxTime(a.Btime),
		Ctime:     sxTime(a.Ctime),
		Mtime:     sxTime(a.Mtime),
		RdevMajor: devMajor(a.Rdev),
		RdevMinor: devMinor(a.Rdev),
	}
}

func blocks(used uint64) uint64 { return (used + sector - 1) / sector }

// devMajor and devMinor take apart the kernel's 32-bit device number, which is what FUSE sends and fs.Attr keeps: 12
// bits of major number amid 20 of minor.
func devMajor(dev uint32) uint32 { return dev >> 8 & 0xfff }
func devMinor(dev uint32) uint32 { return dev&0xff | dev>>12&0xfff00 }

// split is a time as seconds, rounded down, and nanoseconds.
func split(t fs.Time) (sec uint64, nsec uint32) {
	s, n := int64(t)/second, int64(t)%second
	if n < 0 {
		s, n = s-1, n+second
	}
	return uint64(s), uint32(n)
}

// join is the inverse of split. Times beyond what 64 bits of nanoseconds hold (the years 1678 to 2262) become the
// nearest one that fits.
func join(sec uint64, nsec uint32) fs.Time {
	s := int64(sec)
	switch {
	case s >= math.MaxInt64/second:
		return math.MaxInt64
	case s <= math.MinInt64/second:
		return math.MinInt64
	}
	return fs.Time(s*second + int64(nsec))
}

func sxTime(t fs.Time) fuse.SxTime {
	sec, nsec := split(t)
	return fuse.SxTime{Sec: sec, Nsec: nsec}
}

// setattrOf translates a SETATTR. Its ctime is ours to decide and not the kernel's. "Now" is the mount's clock.
func setattrOf(in *fuse.SetAttrIn, now time.Time) fs.Setattr {
	set := fs.Setattr{Ino: fs.Ino(in.NodeId), Time: fs.TimeOf(now),
		KillPriv: in.Valid&fuse.FATTR_KILL_SUIDGID != 0}
	if in.Valid&fuse.FATTR_MODE != 0 {
		set.Set |= fs.SetMode
		set.Mode = in.Mode & fs.ModeMask
	}
	if in.Valid&fuse.FATTR_UID != 0 {
		set.Set |= fs.SetUID
		set.UID = in.Uid
	}
	if in.Valid&fuse.FATTR_GID != 0 {
		set.Set |= fs.SetGID
		set.GID = in.Gid
	}
	if in.Valid&fuse.FATTR_SIZE != 0 {
		set.Set |= fs.SetSize
		set.Size = in.Size
	}
	if in.Valid&fuse.FATTR_ATIME != 0 {
		set.Set |= fs.SetAtime
		set.Atime = timeOrNow(in.Atime, in.Atimensec, in.Valid&fuse.FATTR_ATIME_NOW != 0, set.Time)
	}
	if in.Valid&fuse.FATTR_MTIME != 0 {
		set.Set |= fs.SetMtime
		set.Mtime = timeOrNow(in.Mtime, in.Mtimensec, in.Valid&fuse.FATTR_MTIME_NOW != 0, set.Time)
	}
	return set
}

func timeOrNow(sec uint64, nsec uint32, isNow bool, now fs.Time) fs.Time {
	if isNow {
		return now
	}
	return join(sec, nsec)
}
