package posix

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// childEnv makes this process do one thing to a file, for tests that need another user or somebody to kill.
const childEnv = "DFS_POSIX_CHILD"

// childMain does what env says: a verb and a path.
func childMain(env string) int {
	verb, path, _ := strings.Cut(env, " ")
	if err := childDo(verb, path); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func childDo(verb, path string) error {
	switch verb {
	case "stat":
		_, err := os.Stat(path)
		return err
	case "chmod":
		return os.Chmod(path, 0o777)
	case "unlink":
		return os.Remove(path)
	case "create":
		return onFile(path, os.O_CREATE|os.O_EXCL, func(*os.File) error { return nil })
	case "open-truncate":
		return onFile(path, os.O_TRUNC, func(*os.File) error { return nil })
	case "truncate":
		return onFile(path, 0, func(f *os.File) error { return f.Truncate(1) })
	case "fallocate":
		return onFile(path, 0, func(f *os.File) error { return syscall.Fallocate(int(f.Fd()), 0, 0, 10) })
	case "write":
		return onFile(path, 0, func(f *os.File) error { _, err := f.Write([]byte("x")); return err })
	case "write-twice":
		return onFile(path, 0, writeTwice)
	case "hold":
		return onFile(path, 0, hold)
	case "locks":
		return lockLoop(path)
	case "rename-all":
		return renameAll(path)
	}
	return fmt.Errorf("unknown verb %q", verb)
}

// onFile opens a file for writing, and closes it after fn.
func onFile(path string, flags int, fn func(*os.File) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY|flags, 0o666)
	if err != nil {
		return err
	}
	return errors.Join(fn(f), f.Close())
}

// writeTwice writes, says so, waits for a byte, and writes again.
func writeTwice(f *os.File) error {
	if _, err := f.Write([]byte("x")); err != nil {
		return err
	}
	if err := hold(f); err != nil {
		return err
	}
	_, err := f.Write([]byte("y"))
	return err
}

// renameAll renames each entry of a directory as it reads it, by the smallest reads that there are, and says how many
// that were. It gives up at twice as many as there can be.
func renameAll(dir string) error {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	renamed := 0
	for buf := make([]byte, 64); ; {
		n, err := unix.Getdents(fd, buf)
		if err != nil || n == 0 {
			fmt.Print(renamed)
			return err
		}
		for rest := buf[:n]; len(rest) > 0; {
			var e fuse.DirEntry
			rest = rest[e.Parse(rest):]
			if e.Name == "." || e.Name == ".." {
				continue
			}
			if renamed++; renamed > 2*renameAllFiles {
				return errors.New("the listing does not end")
			}
			if err := os.Rename(dir+"/"+e.Name, dir+"/"+e.Name+"+"); err != nil {
				return err
			}
		}
	}
}

// renameAllFiles is how many entries renameAll finds: more than one answer of the leader holds.
const renameAllFiles = 1500

// hold says that it is there and waits for a byte.
func hold(*os.File) error {
	fmt.Print("1")
	_, err := os.Stdin.Read(make([]byte, 1))
	return err
}

// child returns a command that does verb to path as uid.
func child(verb, path string, uid uint32) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), childEnv+"="+verb+" "+path)
	if uid != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	}
	return cmd
}

// nobody is a user without privileges.
const nobody = 65534

// asNobody does verb to path as an unprivileged user and returns what that user was told.
func asNobody(t *testing.T, verb, path string) error {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can become somebody else")
	}
	out, err := child(verb, path, nobody).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s as nobody: %s", verb, strings.TrimSpace(string(out)))
	}
	return nil
}
