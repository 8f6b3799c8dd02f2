package posix

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func lstat(t *testing.T, path string) unix.Stat_t {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		t.Fatalf("lstat %s: %v", path, err)
	}
	return st
}

func TestAttributes_ComeBackAsTheyWereSet(t *testing.T) {
	d := start(t, 1, options{}).dir()
	f := d + "/f"
	must(t, os.WriteFile(f, make([]byte, 1000), 0o640))

	must(t, unix.Chmod(f, 0o4751))
	if st := lstat(t, f); st.Mode != unix.S_IFREG|0o4751 {
		t.Errorf("mode %o after chmod 4751", st.Mode)
	}
	must(t, unix.Chown(f, 12, 34))
	if st := lstat(t, f); st.Uid != 12 || st.Gid != 34 || st.Mode&unix.S_ISUID != 0 {
		t.Errorf("%d:%d mode %o after chown, which takes the set-uid bit", st.Uid, st.Gid, st.Mode)
	}
	must(t, unix.Chown(f, -1, 56))
	if st := lstat(t, f); st.Uid != 12 || st.Gid != 56 {
		t.Errorf("%d:%d after chown -1:56", st.Uid, st.Gid)
	}
	must(t, unix.Truncate(f, 10))
	if st := lstat(t, f); st.Size != 10 {
		t.Errorf("size %d after truncate", st.Size)
	}
	if st := lstat(t, f); st.Nlink != 1 || st.Blksize < 4096 {
		t.Errorf("nlink %d, blksize %d", st.Nlink, st.Blksize)
	}
}

func TestDirectories_CountTheirLinks(t *testing.T) {
	d := start(t, 1, options{}).dir()
	must(t, os.MkdirAll(d+"/a/b", 0o755))
	must(t, os.Mkdir(d+"/a/c", 0o755))
	if st := lstat(t, d+"/a"); st.Nlink != 4 {
		t.Errorf("nlink %d of a directory with two in it, want 4", st.Nlink)
	}
	must(t, unix.Rename(d+"/a/b", d+"/b"))
	if st := lstat(t, d+"/a"); st.Nlink != 3 {
		t.Errorf("nlink %d after one moved away, want 3", st.Nlink)
	}
}

func TestTimes_AreSetToTheNanosecond(t *testing.T) {
	d := start(t, 1, options{}).dir()
	f := d + "/f"
	must(t, os.WriteFile(f, nil, 0o644))
	set := func(a, m unix.Timespec) {
		t.Helper()
		must(t, unix.UtimesNanoAt(unix.AT_FDCWD, f, []unix.Timespec{a, m}, unix.AT_SYMLINK_NOFOLLOW))
	}
	a, m := unix.Timespec{Sec: 1e9, Nsec: 123456789}, unix.Timespec{Sec: -2, Nsec: 999999999}
	set(a, m)
	if st := lstat(t, f); st.Atim != a || st.Mtim != m {
		t.Errorf("atime %v, mtime %v; want %v, %v", st.Atim, st.Mtim, a, m)
	}
	before := time.Now().Add(-time.Second)
	set(unix.Timespec{Nsec: unix.UTIME_OMIT}, unix.Timespec{Nsec: unix.UTIME_NOW})
	st := lstat(t, f)
	if st.Atim != a || time.Unix(st.Mtim.Unix()).Before(before) {
		t.Errorf("atime %v (omitted), mtime %v (now)", st.Atim, st.Mtim)
	}
	if time.Unix(st.Ctim.Unix()).Before(before) {
		t.Errorf("ctime %v is not now", st.Ctim)
	}
	// Years beyond what is stored become the last one that is, not a date in the past.
	set(unix.Timespec{Sec: 1 << 40}, unix.Timespec{Sec: 1 << 40})
	if st := lstat(t, f); st.Mtim.Sec < 9e9 {
		t.Errorf("mtime %v", st.Mtim)
	}
}

func TestBirthTime_IsTold(t *testing.T) {
	d := start(t, 1, options{}).dir()
	before := time.Now().Add(-time.Second).Unix()
	must(t, os.WriteFile(d+"/f", nil, 0o644))
	old := []unix.Timespec{{Sec: 1}, {Sec: 1}}
	must(t, unix.UtimesNanoAt(unix.AT_FDCWD, d+"/f", old, 0))
	var st unix.Statx_t
	must(t, unix.Statx(unix.AT_FDCWD, d+"/f", 0, unix.STATX_BTIME|unix.STATX_BASIC_STATS, &st))
	if st.Mask&unix.STATX_BTIME == 0 || st.Btime.Sec < before || st.Mtime.Sec != 1 {
		t.Errorf("mask %#x, btime %v, mtime %v", st.Mask, st.Btime, st.Mtime)
	}
}

func TestDeviceNodes_KeepTheirNumbers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root makes device nodes")
	}
	d := start(t, 1, options{}).dir()
	for name, dev := range map[string]uint64{"small": unix.Mkdev(1, 3), "large": unix.Mkdev(0xabc, 0xfedcb)} {
		path := filepath.Join(d, name)
		must(t, unix.Mknod(path, unix.S_IFCHR|0o600, int(dev)))
		if st := lstat(t, path); st.Rdev != dev || st.Mode != unix.S_IFCHR|0o600 {
			t.Errorf("%s: rdev %#x mode %o, want %#x", name, st.Rdev, st.Mode, dev)
		}
		var st unix.Statx_t
		must(t, unix.Statx(unix.AT_FDCWD, path, 0, unix.STATX_BTIME|unix.STATX_BASIC_STATS, &st))
		if unix.Mkdev(st.Rdev_major, st.Rdev_minor) != dev {
			t.Errorf("%s: statx has %d:%d", name, st.Rdev_major, st.Rdev_minor)
		}
	}
}

func TestFifo_ConnectsTwoProcesses(t *testing.T) {
	d := start(t, 1, options{}).dir()
	must(t, unix.Mkfifo(d+"/p", 0o600))
	cat := exec.Command("cat", d+"/p")
	out, err := cat.StdoutPipe()
	must(t, err)
	must(t, cat.Start())
	must(t, os.WriteFile(d+"/p", []byte("through"), 0))
	got := make([]byte, 7)
	if _, err := out.Read(got); err != nil || string(got) != "through" {
		t.Errorf("got %q, %v", got, err)
	}
	must(t, cat.Wait())
}

func TestUmask_IsAppliedOnce(t *testing.T) {
	d := start(t, 1, options{}).dir()
	out, err := exec.Command("sh", "-c", "umask 027; cd "+d+"; touch f; mkdir d; mkfifo p").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for name, mode := range map[string]uint32{"f": 0o640, "d": 0o750, "p": 0o640} {
		if st := lstat(t, d+"/"+name); st.Mode&0o7777 != mode {
			t.Errorf("%s has mode %o, want %o", name, st.Mode&0o7777, mode)
		}
	}
}

func TestStatfs_TellsSpaceAndNames(t *testing.T) {
	d := start(t, 1, options{}).dir()
	var st unix.Statfs_t
	must(t, unix.Statfs(d, &st))
	total, free := st.Blocks*uint64(st.Bsize), st.Bavail*uint64(st.Bsize)
	if total != 1<<40 || free != 1<<39 || st.Namelen != 255 || st.Ffree == 0 || st.Files <= st.Ffree {
		t.Errorf("%+v", st)
	}
}

func TestBlocks_AreNotZeroForUnflushedData(t *testing.T) {
	// tar --sparse takes a file without blocks for one big hole.
	d := start(t, 1, options{}).dir()
	f, err := os.Create(d + "/f")
	must(t, err)
	defer f.Close()
	_, err = f.Write(make([]byte, 100_000))
	must(t, err)
	if st := lstat(t, d+"/f"); st.Blocks < 100_000/512 {
		t.Errorf("%d blocks for 100,000 unflushed bytes", st.Blocks)
	}
}
