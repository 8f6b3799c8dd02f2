package posix

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// call is one system call in a fresh directory d that setup has prepared, and what it must answer.
type call struct {
	name  string
	setup func(d string) error
	do    func(d string) error
	want  syscall.Errno
}

func runCalls(t *testing.T, calls []call) {
	r := start(t, 1, options{})
	for _, c := range calls {
		t.Run(c.name, func(t *testing.T) {
			d, err := os.MkdirTemp(r.dir(), "")
			must(t, err)
			if c.setup != nil {
				must(t, c.setup(d))
			}
			want(t, c.name, c.do(d), c.want)
		})
	}
	r.must(command{Do: "check"})
}

var (
	long    = strings.Repeat("n", 255)
	tooLong = strings.Repeat("n", 256)
)

func touch(names ...string) func(string) error {
	return func(d string) error {
		for _, n := range names {
			if err := os.WriteFile(filepath.Join(d, n), []byte("data"), 0o644); err != nil {
				return err
			}
		}
		return nil
	}
}

func mkdir(names ...string) func(string) error {
	return func(d string) error {
		for _, n := range names {
			if err := os.MkdirAll(filepath.Join(d, n), 0o755); err != nil {
				return err
			}
		}
		return nil
	}
}

func both(fs ...func(string) error) func(string) error {
	return func(d string) error {
		for _, f := range fs {
			if err := f(d); err != nil {
				return err
			}
		}
		return nil
	}
}

func open(d, name string, flags int) (int, error) {
	return unix.Open(filepath.Join(d, name), flags|unix.O_CLOEXEC, 0o644)
}

// opening is a call that opens and closes.
func opening(name string, flags int) func(string) error {
	return func(d string) error {
		fd, err := open(d, name, flags)
		if err != nil {
			return err
		}
		return unix.Close(fd)
	}
}

// with runs fn on an open file.
func with(name string, flags int, fn func(fd int) error) func(string) error {
	return func(d string) error {
		fd, err := open(d, name, flags)
		if err != nil {
			return err
		}
		err = fn(fd)
		if e := unix.Close(fd); err == nil {
			err = e
		}
		return err
	}
}

func TestNames_AnswerAsTheManualSays(t *testing.T) {
	runCalls(t, []call{
		{"stat", touch("f"), func(d string) error { return stat(d + "/f") }, 0},
		{"stat of nothing", nil, func(d string) error { return stat(d + "/f") }, unix.ENOENT},
		{"stat below a file", touch("f"), func(d string) error { return stat(d + "/f/g") }, unix.ENOTDIR},
		{"stat of the longest name", touch(long), func(d string) error { return stat(d + "/" + long) }, 0},
		{"stat of a longer name", nil, func(d string) error { return stat(d + "/" + tooLong) }, unix.ENAMETOOLONG},
		{"create", nil, opening("f", unix.O_CREAT|unix.O_WRONLY), 0},
		{"create with a longer name", nil, opening(tooLong, unix.O_CREAT|unix.O_WRONLY), unix.ENAMETOOLONG},
		{"create what exists", touch("f"), opening("f", unix.O_CREAT|unix.O_WRONLY), 0},
		{"create exclusively what exists", touch("f"), opening("f", unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY), unix.EEXIST},
		{"create below nothing", nil, opening("d/f", unix.O_CREAT|unix.O_WRONLY), unix.ENOENT},
		{"create through a dangling symlink", symlink("x", "l"), opening("l", unix.O_CREAT|unix.O_WRONLY), 0},
		{"create exclusively on a symlink", symlink("x", "l"), opening("l", unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY), unix.EEXIST},
		{"open a directory to write", mkdir("d"), opening("d", unix.O_WRONLY), unix.EISDIR},
		{"open a file as a directory", touch("f"), opening("f", unix.O_DIRECTORY), unix.ENOTDIR},
		{"open a symlink as such", symlink("x", "l"), opening("l", unix.O_NOFOLLOW), unix.ELOOP},
		{"mkdir", nil, func(d string) error { return unix.Mkdir(d+"/d", 0o755) }, 0},
		{"mkdir of what exists", touch("f"), func(d string) error { return unix.Mkdir(d+"/f", 0o755) }, unix.EEXIST},
		{"mkdir below a file", touch("f"), func(d string) error { return unix.Mkdir(d+"/f/d", 0o755) }, unix.ENOTDIR},
		{"mkdir with a longer name", nil, func(d string) error { return unix.Mkdir(d+"/"+tooLong, 0o755) }, unix.ENAMETOOLONG},
		{"rmdir", mkdir("d"), func(d string) error { return unix.Rmdir(d + "/d") }, 0},
		{"rmdir of nothing", nil, func(d string) error { return unix.Rmdir(d + "/d") }, unix.ENOENT},
		{"rmdir of a file", touch("f"), func(d string) error { return unix.Rmdir(d + "/f") }, unix.ENOTDIR},
		{"rmdir of a full one", mkdir("d/e"), func(d string) error { return unix.Rmdir(d + "/d") }, unix.ENOTEMPTY},
		{"unlink", touch("f"), func(d string) error { return unix.Unlink(d + "/f") }, 0},
		{"unlink of nothing", nil, func(d string) error { return unix.Unlink(d + "/f") }, unix.ENOENT},
		{"unlink of a directory", mkdir("d"), func(d string) error { return unix.Unlink(d + "/d") }, unix.EISDIR},
		{"link", touch("f"), func(d string) error { return unix.Link(d+"/f", d+"/g") }, 0},
		{"link to what exists", touch("f", "g"), func(d string) error { return unix.Link(d+"/f", d+"/g") }, unix.EEXIST},
		{"link of a directory", mkdir("d"), func(d string) error { return unix.Link(d+"/d", d+"/e") }, unix.EPERM},
		{"link of nothing", nil, func(d string) error { return unix.Link(d+"/f", d+"/g") }, unix.ENOENT},
		{"link across filesystems", touch("f"), func(d string) error { return unix.Link("/proc/self/stat", d+"/g") }, unix.EXDEV},
		{"symlink", nil, func(d string) error { return unix.Symlink("x", d+"/l") }, 0},
		{"symlink to what exists", touch("l"), func(d string) error { return unix.Symlink("x", d+"/l") }, unix.EEXIST},
		{"readlink of a file", touch("f"), func(d string) error { _, err := unix.Readlink(d+"/f", make([]byte, 9)); return err }, unix.EINVAL},
		{"mkfifo", nil, func(d string) error { return unix.Mkfifo(d+"/p", 0o644) }, 0},
		{"mknod of what exists", touch("f"), func(d string) error { return unix.Mknod(d+"/f", unix.S_IFREG|0o644, 0) }, unix.EEXIST},
		{"mknod of a directory", nil, func(d string) error { return unix.Mknod(d+"/f", unix.S_IFDIR|0o644, 0) }, unix.EPERM},
		{"chmod of nothing", nil, func(d string) error { return unix.Chmod(d+"/f", 0o600) }, unix.ENOENT},
		{"truncate of a directory", mkdir("d"), func(d string) error { return unix.Truncate(d+"/d", 0) }, unix.EISDIR},
		{"truncate below zero", touch("f"), func(d string) error { return unix.Truncate(d+"/f", -1) }, unix.EINVAL},
		{"truncate beyond the largest size", touch("f"), func(d string) error { return unix.Truncate(d+"/f", 1<<60+1) }, unix.EFBIG},
		{"truncate to the largest size", touch("f"), func(d string) error { return unix.Truncate(d+"/f", 1<<60) }, 0},
		{"write to a read-only handle", touch("f"), with("f", unix.O_RDONLY, func(fd int) error { _, err := unix.Write(fd, []byte("x")); return err }), unix.EBADF},
		{"ioctl", touch("f"), with("f", unix.O_RDWR, func(fd int) error { _, err := unix.IoctlGetTermios(fd, unix.TCGETS); return err }), unix.ENOTTY},
		{"fsync of a directory", mkdir("d"), with("d", unix.O_RDONLY, unix.Fsync), 0},
		{"fdatasync", touch("f"), with("f", unix.O_RDWR, unix.Fdatasync), 0},
		{"syncfs", touch("f"), with("f", unix.O_RDWR, unix.Syncfs), 0},
		{"whiteout", touch("f"), func(d string) error {
			return unix.Renameat2(unix.AT_FDCWD, d+"/f", unix.AT_FDCWD, d+"/g", unix.RENAME_WHITEOUT)
		}, unix.EINVAL},
	})
}

func stat(path string) error {
	var st unix.Stat_t
	return unix.Lstat(path, &st)
}

func symlink(target, name string) func(string) error {
	return func(d string) error { return unix.Symlink(target, filepath.Join(d, name)) }
}

func rename(from, to string, flags uint) func(string) error {
	return func(d string) error {
		return unix.Renameat2(unix.AT_FDCWD, filepath.Join(d, from), unix.AT_FDCWD, filepath.Join(d, to), flags)
	}
}

func TestRename_AnswersAsTheManualSays(t *testing.T) {
	runCalls(t, []call{
		{"file", touch("a"), rename("a", "b", 0), 0},
		{"nothing", nil, rename("a", "b", 0), unix.ENOENT},
		{"over a file", touch("a", "b"), rename("a", "b", 0), 0},
		{"over a directory", both(touch("a"), mkdir("b")), rename("a", "b", 0), unix.EISDIR},
		{"directory over a file", both(mkdir("a"), touch("b")), rename("a", "b", 0), unix.ENOTDIR},
		{"directory over an empty one", mkdir("a", "b"), rename("a", "b", 0), 0},
		{"directory over a full one", mkdir("a", "b/c"), rename("a", "b", 0), unix.ENOTEMPTY},
		{"directory into itself", mkdir("a/b"), rename("a", "a/b/c", 0), unix.EINVAL},
		{"onto itself", touch("a"), rename("a", "a", 0), 0},
		{"longer name", touch("a"), rename("a", tooLong, 0), unix.ENAMETOOLONG},
		{"noreplace", touch("a"), rename("a", "b", unix.RENAME_NOREPLACE), 0},
		{"noreplace over a file", touch("a", "b"), rename("a", "b", unix.RENAME_NOREPLACE), unix.EEXIST},
		{"exchange", both(touch("a"), mkdir("b")), rename("a", "b", unix.RENAME_EXCHANGE), 0},
		{"exchange with nothing", touch("a"), rename("a", "b", unix.RENAME_EXCHANGE), unix.ENOENT},
		{"exchange with the own subtree", mkdir("a/b"), rename("a", "a/b", unix.RENAME_EXCHANGE), unix.EINVAL},
		{"exchange and noreplace", touch("a", "b"), rename("a", "b", unix.RENAME_EXCHANGE|unix.RENAME_NOREPLACE), unix.EINVAL},
	})
}
