package fusefs

import (
	"math"
	"syscall"
	"testing"
	"time"

	"dfs/fs"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

func TestTimes_SplitAndJoinAreInverse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := fs.Time(rapid.Int64Range(math.MinInt64+2e9, math.MaxInt64-2e9).Draw(t, "time"))
		sec, nsec := split(want)
		if got := join(sec, nsec); got != want || nsec >= 1e9 {
			t.Fatalf("%d is %d s %d ns is %d", want, int64(sec), nsec, got)
		}
		if std := want.Std(); std.Unix() != int64(sec) || std.Nanosecond() != int(nsec) {
			t.Fatalf("%d is %d s %d ns, time says %v", want, int64(sec), nsec, std)
		}
	})
}

func TestTimes_BeyondTheRangeAreClamped(t *testing.T) {
	if got := join(1<<40, 0); got != math.MaxInt64 {
		t.Errorf("the far future is %d", got)
	}
	past := int64(-1) << 40
	if got := join(uint64(past), 0); got != math.MinInt64 {
		t.Errorf("the far past is %d", got)
	}
}

func TestDeviceNumbers_AgreeWithTheKernelEncoding(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		major := rapid.Uint32Range(0, 1<<12-1).Draw(t, "major")
		minor := rapid.Uint32Range(0, 1<<20-1).Draw(t, "minor")
		// new_encode_dev of linux/kdev_t.h
		dev := minor&0xff | major<<8 | (minor&^0xff)<<12
		if devMajor(dev) != major || devMinor(dev) != minor {
			t.Fatalf("%d:%d became %d:%d", major, minor, devMajor(dev), devMinor(dev))
		}
	})
}

func TestFileTypes_AreThoseOfStat(t *testing.T) {
	for typ, mode := range map[fs.FileType]uint32{
		fs.TypeFIFO: syscall.S_IFIFO, fs.TypeChar: syscall.S_IFCHR, fs.TypeDir: syscall.S_IFDIR, fs.TypeBlock: syscall.S_IFBLK,
		fs.TypeRegular: syscall.S_IFREG, fs.TypeSymlink: syscall.S_IFLNK, fs.TypeSocket: syscall.S_IFSOCK,
	} {
		if got := modeOf(&fs.Attr{Type: typ, Mode: 0o7777}); got != mode|0o7777 {
			t.Errorf("mode of type %d is %o", typ, got)
		}
		if got := typeOf(mode | 0o644); got != typ {
			t.Errorf("type of %o is %d", mode, got)
		}
	}
	if typeOf(0o644) != fs.TypeRegular {
		t.Error("mknod without a type makes no regular file")
	}
}

func TestFillAttr_CarriesEverything(t *testing.T) {
	a := fs.Attr{Ino: 7, Type: fs.TypeRegular, Mode: 0o640, Nlink: 2, UID: 3, GID: 4, Rdev: 5, Size: 6000, Used: 513,
		Atime: 1e9 + 1, Mtime: 2e9 + 2, Ctime: 3e9 + 3, Btime: 4e9 + 4}
	var out fuse.Attr
	fillAttr(&out, &a)
	want := fuse.Attr{Ino: 7, Size: 6000, Blocks: 2, Atime: 1, Atimensec: 1, Mtime: 2, Mtimensec: 2, Ctime: 3, Ctimensec: 3,
		Mode: syscall.S_IFREG | 0o640, Nlink: 2, Owner: fuse.Owner{Uid: 3, Gid: 4}, Rdev: 5, Blksize: blksize}
	if out != want {
		t.Errorf("got  %+v\nwant %+v", out, want)
	}
	var x fuse.Statx
	fillStatx(&x, &a)
	if x.Btime.Sec != 4 || x.Btime.Nsec != 4 || x.Mask&unix.STATX_BTIME == 0 || x.Blocks != 2 || x.Size != 6000 {
		t.Errorf("statx %+v", x)
	}
}

func TestSetattr_TranslatesEachFlag(t *testing.T) {
	now := time.Unix(100, 5)
	nowTime := fs.TimeOf(now)
	in := fuse.SetAttrIn{}
	in.NodeId, in.Mode, in.Size = 9, syscall.S_IFREG|0o4711, 77
	in.Uid, in.Gid = 1, 2 // embedded twice: these are the header's
	in.SetAttrInCommon.Owner = fuse.Owner{Uid: 11, Gid: 22}
	in.Atime, in.Atimensec, in.Mtime, in.Mtimensec = 3, 4, 5, 6
	for _, c := range []struct {
		valid uint32
		want  fs.Setattr
	}{
		{0, fs.Setattr{}},
		{fuse.FATTR_FH | fuse.FATTR_CTIME | fuse.FATTR_LOCKOWNER, fs.Setattr{}},
		{fuse.FATTR_MODE, fs.Setattr{Set: fs.SetMode, Mode: 0o4711}},
		{fuse.FATTR_UID, fs.Setattr{Set: fs.SetUID, UID: 11}},
		{fuse.FATTR_GID, fs.Setattr{Set: fs.SetGID, GID: 22}},
		{fuse.FATTR_SIZE, fs.Setattr{Set: fs.SetSize, Size: 77}},
		{fuse.FATTR_ATIME, fs.Setattr{Set: fs.SetAtime, Atime: 3e9 + 4}},
		{fuse.FATTR_MTIME, fs.Setattr{Set: fs.SetMtime, Mtime: 5e9 + 6}},
		{fuse.FATTR_ATIME | fuse.FATTR_ATIME_NOW, fs.Setattr{Set: fs.SetAtime, Atime: nowTime}},
		{fuse.FATTR_MTIME | fuse.FATTR_MTIME_NOW, fs.Setattr{Set: fs.SetMtime, Mtime: nowTime}},
	} {
		in.Valid = c.valid
		c.want.Ino, c.want.Time = 9, nowTime
		if got := setattrOf(&in, now); got != c.want {
			t.Errorf("valid %#x:\ngot  %+v\nwant %+v", c.valid, got, c.want)
		}
	}
}

// The kernel asks with a handle before it reads from its pages, and may believe the answer for as long as a lease lasts.
func TestGetattr_BeforeAReadShowsTheAtimeThatTheReadSets(t *testing.T) {
	r := newRig(t, nil)
	ino, fh, _ := r.create("f", 0)
	r.write(ino, fh, 0, "data", 0)
	ask := func(in fuse.GetAttrIn) uint64 {
		t.Helper()
		var out fuse.AttrOut
		r.ok("getattr", r.GetAttr(nil, &in, &out))
		return out.Atime<<30 + uint64(out.Atimensec)
	}
	old := ask(fuse.GetAttrIn{InHeader: header(ino)})
	told := ask(fuse.GetAttrIn{InHeader: header(ino), Flags_: fuse.FUSE_GETATTR_FH, Fh_: fh})
	if told <= old {
		t.Errorf("told %d, before that %d", told, old)
	}
	if next := ask(fuse.GetAttrIn{InHeader: header(ino)}); next != told {
		t.Errorf("told %d, then %d", told, next)
	}
}
