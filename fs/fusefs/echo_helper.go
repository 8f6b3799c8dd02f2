package fusefs

import (
	"encoding/binary"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"

	"dfs/fs"

	"golang.org/x/sys/unix"
)

// helperHello is what a helper needs to know.
type helperHello struct {
	Mount string // the mount point
	Dev   uint64 // st_dev: whatever else is mounted there is left alone
}

// helperReply answers an echo, and the hello; empty for no error.
type helperReply struct{ Err string }

// EchoHelper is the helper process: it makes the calls that it is told by in, on the thread that main runs on, and answers on out, until in ends.
// It must be called by main, first of all.
//
// It is a process of its own since a process that serves a mount must not call into it: killed, it would wait for itself.
func EchoHelper(in io.Reader, out io.Writer) error {
	runtime.LockOSThread()
	if unix.Gettid() != unix.Getpid() {
		return fmt.Errorf("the helper does not run on the process's first thread: %w", fs.ErrInternal)
	}
	from, to := gob.NewDecoder(in), gob.NewEncoder(out)
	var hello helperHello
	if err := from.Decode(&hello); err != nil {
		return err
	}
	if err := to.Encode(helperReply{}); err != nil {
		return err
	}
	for {
		var e echo
		if err := from.Decode(&e); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		var r helperReply
		if err := hello.make(&e); err != nil {
			r.Err = err.Error()
		}
		if err := to.Encode(r); err != nil {
			return err
		}
	}
}

// fds are descriptors that are closed together: while one is open the mount is busy.
type fds []int

func (f *fds) close() {
	for _, fd := range *f {
		_ = unix.Close(fd) // nothing was written
	}
}

func (f *fds) keep(fd int, err error) (int, error) {
	if err == nil {
		*f = append(*f, fd)
	}
	return fd, err
}

// make makes the call.
func (h *helperHello) make(e *echo) error {
	var open fds
	defer open.close()
	root, err := open.keep(unix.Open(h.Mount, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0))
	if err != nil {
		return fmt.Errorf("open the mount point: %w", err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(root, &st); err != nil {
		return fmt.Errorf("stat the mount point: %w", err)
	}
	if st.Dev != h.Dev {
		return fmt.Errorf("something else is mounted there: %w", fs.ErrBusy)
	}
	dir, err := h.dir(&open, root, e.Dir, e.ByNode)
	if err != nil {
		return err
	}
	switch e.Kind {
	case echoMake:
		return rejoin(dir, e.Name, e, makeName(dir, e))
	case echoRemove:
		flags := 0
		if e.Type == fs.TypeDir {
			flags = unix.AT_REMOVEDIR
		}
		return rejoin(dir, e.Name, e, unix.Unlinkat(dir, e.Name, flags))
	case echoMove:
		to, err := h.dir(&open, root, e.ToDir, false)
		if err != nil {
			return err
		}
		err = unix.Renameat(dir, e.Name, to, e.ToName)
		return rejoin(dir, e.Name, e, rejoin(to, e.ToName, e, err))
	}
	return touch(&open, root, dir, e)
}

// dir opens a directory: that of a node, which the kernel has in memory since somebody watches it, or the aside.
func (h *helperHello) dir(open *fds, root int, node uint64, none bool) (int, error) {
	switch {
	case none:
		return -1, nil
	case node == 0:
		fd, err := open.keep(unix.Openat(root, asideDir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0))
		if err != nil {
			return -1, fmt.Errorf("open the aside: %w", err)
		}
		return fd, nil
	}
	return byNode(open, root, node)
}

// fuseHandle is the kernel's FILEID_INO64_GEN: a node id, high half first, and a generation.
const fuseHandle = 0x81

// byNode opens an inode by its node id, which the kernel must have in memory.
func byNode(open *fds, root int, node uint64) (int, error) {
	b := make([]byte, 12)
	for i, half := range []uint32{uint32(node >> 32), uint32(node), generation} {
		binary.NativeEndian.PutUint32(b[4*i:], half)
	}
	fd, err := open.keep(unix.OpenByHandleAt(root, unix.NewFileHandle(fuseHandle, b), unix.O_PATH|unix.O_CLOEXEC))
	if err != nil {
		return -1, fmt.Errorf("open inode %d: %w", node, err)
	}
	return fd, nil
}

func makeName(dir int, e *echo) error {
	if e.Type == fs.TypeDir {
		return unix.Mkdirat(dir, e.Name, 0o700)
	}
	return unix.Mknodat(dir, e.Name, unix.S_IFREG|0o600, 0)
}

// rejoin has the kernel look up what really stands there: a directory that it remembers gets its place in the tree back.
func rejoin(dir int, name string, e *echo, err error) error {
	if e.Type != fs.TypeDir {
		return err
	}
	var st unix.Stat_t
	_ = unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT) // most often nothing does
	return err
}

// touch makes the kernel believe that a file was written to, or its attributes changed.
func touch(open *fds, root, dir int, e *echo) (err error) {
	fd := -1
	if e.ByNode {
		fd, err = byNode(open, root, e.Node)
	} else {
		fd, err = open.keep(unix.Openat(dir, e.Name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0))
	}
	if err != nil {
		return err
	}
	path := "/proc/self/fd/" + strconv.Itoa(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	// A program that is open for writing cannot be run: that of programs is told as a change of attributes.
	if e.Kind == echoAttrib || st.Mode&unix.S_IFMT != unix.S_IFREG || st.Mode&0o111 != 0 {
		return unix.Removexattr(path, echoXattr)
	}
	written, err := open.keep(unix.Open(path, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0))
	if err != nil {
		return fmt.Errorf("open for writing: %w", err)
	}
	return os.NewSyscallError("fallocate", unix.Fallocate(written, unix.FALLOC_FL_KEEP_SIZE, 0, 1))
}
