package posix

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// stamps are the times of an inode.
type stamps struct{ a, m, c unix.Timespec }

func stampsOf(t *testing.T, path string) stamps {
	t.Helper()
	st := lstat(t, path)
	return stamps{st.Atim, st.Mtim, st.Ctim}
}

// since says which times are later than they were: "a", "m" and "c" of them.
func (s stamps) since(was stamps) string {
	text := ""
	for n, times := range [][2]unix.Timespec{{was.a, s.a}, {was.m, s.m}, {was.c, s.c}} {
		if times[1].Nano() > times[0].Nano() {
			text += "amc"[n : n+1]
		}
		if times[1].Nano() < times[0].Nano() {
			text += "!"
		}
	}
	return text
}

// Every call sets the times that POSIX says, of what it is about (f or what is named) and of the directory (d).
func TestEveryCall_UpdatesTheTimesThatItShould(t *testing.T) {
	d := start(t, 1, options{}).dir() + "/d"
	f := d + "/f"
	must(t, os.Mkdir(d, 0o755))
	must(t, os.WriteFile(f, []byte("data"), 0o644))
	for _, c := range []struct {
		name     string
		do       func() error
		file, in string // times of f, and of d, that become later
	}{
		{"read", func() error { _, err := os.ReadFile(f); return err }, "a", ""},
		{"read again", func() error { _, err := os.ReadFile(f); return err }, "", ""},
		{"write", func() error {
			return onFile(f, 0, func(o *os.File) error { _, err := o.Write([]byte("new")); return err })
		}, "mc", ""},
		{"read what is written", func() error { _, err := os.ReadFile(f); return err }, "a", ""},
		{"write nothing", func() error { return onFile(f, 0, func(o *os.File) error { _, err := o.Write(nil); return err }) }, "", ""},
		{"chmod", func() error { return unix.Chmod(f, 0o600) }, "c", ""},
		{"chown", func() error { return unix.Chown(f, 0, 0) }, "c", ""},
		{"link", func() error { return os.Link(f, d+"/g") }, "c", "mc"},
		{"unlink", func() error { return os.Remove(d + "/g") }, "c", "mc"},
		{"rename", func() error { return errors.Join(os.Rename(f, d+"/g"), os.Rename(d+"/g", f)) }, "c", "mc"},
		{"list", func() error { _, err := os.ReadDir(d); return err }, "", "a"},
		{"list again", func() error { _, err := os.ReadDir(d); return err }, "", ""},
		{"setxattr", func() error { return unix.Setxattr(f, "user.x", []byte("v"), 0) }, "c", ""},
		{"removexattr", func() error { return unix.Removexattr(f, "user.x") }, "c", ""},
		{"truncate", func() error { return unix.Truncate(f, 100) }, "mc", ""},
		{"truncate to the same", func() error { return unix.Truncate(f, 100) }, "mc", ""},
		{"O_TRUNC", func() error { return onFile(f, os.O_TRUNC, func(*os.File) error { return nil }) }, "mc", ""},
		{"fallocate", func() error { return childDo("fallocate", f) }, "mc", ""},
		{"open and stat", func() error {
			o, err := os.Open(f)
			if err != nil {
				return err
			}
			defer o.Close()
			_, err = o.Stat()
			return err
		}, "", ""},
		{"mkdir", func() error { return os.Mkdir(d+"/s", 0o755) }, "", "mc"},
		{"create below", func() error { return os.WriteFile(d+"/s/f", nil, 0o644) }, "", ""},
		{"rename below", func() error { return os.Rename(d+"/s/f", d+"/s/g") }, "", ""},
		{"unlink below", func() error { return os.Remove(d + "/s/g") }, "", ""},
		{"rmdir", func() error { return os.Remove(d + "/s") }, "", "mc"},
		{"symlink", func() error { return os.Symlink("f", d+"/l") }, "", "mc"},
		{"mknod", func() error { return unix.Mknod(d+"/p", unix.S_IFIFO|0o600, 0) }, "", "mc"},
		{"create", func() error { return os.WriteFile(d+"/h", nil, 0o600) }, "", "mc"},
		{"open what is there", func() error { return os.WriteFile(d+"/h", nil, 0o600) }, "", ""},
		{"utimes", func() error { return os.Chtimes(f, time.Now(), time.Now()) }, "amc", ""},
		{"a lookup that fails", func() error { os.Remove(d + "/nothing"); return nil }, "", ""},
	} {
		file, in := stampsOf(t, f), stampsOf(t, d)
		must(t, c.do())
		if got := stampsOf(t, f).since(file); got != c.file {
			t.Errorf("%s: of the file %q have changed, want %q", c.name, got, c.file)
		}
		if got := stampsOf(t, d).since(in); got != c.in {
			t.Errorf("%s: of the directory %q have changed, want %q", c.name, got, c.in)
		}
	}
}

// later waits until a path's atime as the second mount sees it is that, once it is not held by a lease from before.
func (r *remote) later(t *testing.T, path string, want unix.Timespec) {
	t.Helper()
	eventually(t, "the other mount sees the atime", func() bool {
		r.must(command{Do: "remount", Mount: 1, Wait: 5000})
		return stampsOf(t, path).a == want
	})
}

func TestRead_SetsAtimeAsRelatimeDoes(t *testing.T) {
	r := start(t, 2, options{})
	f, other := r.dir()+"/f", r.opts.Dirs[1]+"/f"
	must(t, os.WriteFile(f, make([]byte, 3<<20), 0o644)) // its pages stay in the kernel
	read := func(flags int) string {
		was := stampsOf(t, f)
		fd, err := unix.Open(f, unix.O_RDONLY|flags, 0)
		must(t, err)
		defer unix.Close(fd)
		var st unix.Stat_t
		must(t, unix.Fstat(fd, &st))
		_, err = unix.Pread(fd, make([]byte, 4096), 1<<20)
		must(t, err)
		return stampsOf(t, f).since(was)
	}
	for _, c := range []struct {
		name  string
		flags int
		want  string
		after func() error
	}{
		{"O_NOATIME", unix.O_NOATIME, "", func() error { return nil }},
		{"the first", 0, "a", func() error { return nil }},
		{"the second", 0, "", func() error { return unix.Chmod(other, 0o600) }},
		{"after a chmod elsewhere", 0, "a", func() error {
			old := time.Now().Add(-23 * time.Hour)
			return os.Chtimes(other, old, old.Add(-time.Hour))
		}},
		{"after utimes elsewhere, which is a change", 0, "a", func() error { return nil }},
	} {
		if got := read(c.flags); got != c.want {
			t.Errorf("%s: %q have changed, want %q", c.name, got, c.want)
		}
		r.later(t, other, stampsOf(t, f).a)
		must(t, c.after())
	}
	must(t, os.Chtimes(f, time.Unix(1e9, 0), time.Unix(1e9, 0)))
	if st := stampsOf(t, other); st.a.Sec != 1e9 {
		t.Errorf("utimes after a read: %v", st.a)
	}
	r.must(command{Do: "check"})
}

func TestAtime_ReadJustBeforeUnmountingIsKept(t *testing.T) {
	r := start(t, 2, options{})
	must(t, os.WriteFile(r.dir()+"/f", []byte("x"), 0o644))
	_, err := os.ReadFile(r.dir() + "/f")
	must(t, err)
	want := stampsOf(t, r.dir()+"/f").a
	r.must(command{Do: "remount", Wait: 5000})
	if got := stampsOf(t, r.opts.Dirs[1]+"/f").a; got != want {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestNoatime_RecordsNoReads(t *testing.T) {
	d := start(t, 1, options{NoAtime: true}).dir()
	must(t, os.WriteFile(d+"/f", []byte("x"), 0o644))
	file, dir := stampsOf(t, d+"/f"), stampsOf(t, d)
	_, err := os.ReadFile(d + "/f")
	must(t, err)
	_, err = os.ReadDir(d)
	must(t, err)
	if stampsOf(t, d+"/f") != file || stampsOf(t, d) != dir {
		t.Error("an atime has changed")
	}
	info, err := os.ReadFile("/proc/self/mountinfo")
	must(t, err)
	for line := range strings.Lines(string(info)) {
		if strings.Contains(line, " "+d+" ") && !strings.Contains(line, "noatime") {
			t.Errorf("the mount says %s", line)
		}
	}
}

// A backup that sets the atime back, as tar --atime-preserve does, is not undone by its own reads.
func TestAtimeSetBackAfterAReadStays(t *testing.T) {
	r := start(t, 2, options{})
	f := r.dir() + "/f"
	must(t, os.WriteFile(f, []byte("x"), 0o644))
	o, err := os.Open(f)
	must(t, err)
	was := stampsOf(t, f)
	_, err = io.ReadAll(o)
	must(t, err)
	must(t, o.Close())
	must(t, unix.UtimesNanoAt(unix.AT_FDCWD, f, []unix.Timespec{was.a, {Nsec: unix.UTIME_OMIT}}, 0))
	r.must(command{Do: "remount", Wait: 5000}) // which tells all reads that are not told yet
	if got := stampsOf(t, r.opts.Dirs[1]+"/f"); got.a != was.a || got.m != was.m {
		t.Errorf("%v, want %v", got, was)
	}
}
