package posix

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// handleOf is name_to_handle_at(2).
func handleOf(t *testing.T, path string) unix.FileHandle {
	t.Helper()
	h, _, err := unix.NameToHandleAt(unix.AT_FDCWD, path, 0)
	must(t, err)
	return h
}

// openHandle is open_by_handle_at(2) on the mount that dir is in.
func openHandle(t *testing.T, dir string, h unix.FileHandle, flags int) (int, error) {
	t.Helper()
	mount, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	must(t, err)
	defer unix.Close(mount)
	return unix.OpenByHandleAt(mount, h, flags)
}

// wantHandle checks that a handle leads to a file with some content, and to nothing for an errno.
func wantHandle(t *testing.T, what, dir string, h unix.FileHandle, content string, errno unix.Errno) {
	t.Helper()
	fd, err := openHandle(t, dir, h, unix.O_RDONLY)
	want(t, what, err, errno)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	buf := make([]byte, 100)
	if n, err := unix.Read(fd, buf); err != nil || string(buf[:n]) != content {
		t.Errorf("%s: %q, %v", what, buf[:n], err)
	}
}

// eventuallyGone waits until what was removed is reaped. To open it, other than as a path, would keep it from that.
func eventuallyGone(t *testing.T, dir string, h unix.FileHandle) {
	t.Helper()
	eventually(t, "a removed file is reaped", func() bool {
		fd, err := openHandle(t, dir, h, unix.O_PATH)
		if err == nil {
			var st unix.Stat_t
			err = unix.Fstat(fd, &st)
			must(t, unix.Close(fd))
		}
		if err != nil {
			want(t, "a removed file", err, unix.ESTALE)
		}
		return err != nil
	})
}

func rooted(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may open by handle")
	}
}

func TestFileHandle_OutlivesTheMount(t *testing.T) {
	rooted(t)
	r := start(t, 2, options{})
	d, other := r.dir(), r.opts.Dirs[1]
	must(t, os.MkdirAll(d+"/a/b", 0o755))
	for _, name := range []string{"/a/b/kept", "/a/b/renamed", "/a/b/removed", "/a/b/held"} {
		must(t, os.WriteFile(d+name, []byte(name), 0o644))
	}
	must(t, os.Symlink("target", d+"/link"))
	must(t, os.Mkdir(d+"/gone", 0o755))
	handles := map[string]unix.FileHandle{}
	for _, name := range []string{"/", "/a", "/a/b", "/a/b/kept", "/a/b/renamed", "/a/b/removed", "/a/b/held", "/link", "/gone"} {
		handles[name] = handleOf(t, d+name)
	}
	for round, remounted := range []bool{false, true, true} {
		if remounted {
			r.must(command{Do: "remount", Wait: 5000})
		}
		if round == 1 {
			must(t, os.Rename(other+"/a/b/renamed", other+"/elsewhere"))
			must(t, os.Rename(other+"/a", other+"/c"))
			must(t, os.Remove(other+"/c/b/removed"))
			must(t, os.Remove(other+"/gone"))
		}
		for _, name := range []string{"/a/b/kept", "/a/b/renamed", "/a/b/held"} {
			wantHandle(t, name, d, handles[name], name, 0)
		}
		if round > 0 {
			eventuallyGone(t, d, handles["/a/b/removed"])
			eventuallyGone(t, d, handles["/gone"])
		}
		testDirHandles(t, d, handles, round > 0)
		fd, err := openHandle(t, d, handles["/link"], unix.O_PATH|unix.O_NOFOLLOW)
		must(t, err)
		buf := make([]byte, 100)
		if n, err := unix.Readlinkat(fd, "", buf); err != nil || string(buf[:n]) != "target" {
			t.Errorf("a symlink: %q, %v", buf[:n], err)
		}
		must(t, unix.Close(fd))
	}
	r.must(command{Do: "check"})
}

// testDirHandles opens the handles of directories, of which the kernel wants to know where they are.
func testDirHandles(t *testing.T, d string, handles map[string]unix.FileHandle, moved bool) {
	t.Helper()
	places := map[string]string{"/": "", "/a": "/a", "/a/b": "/a/b"}
	if moved {
		places["/a"], places["/a/b"] = "/c", "/c/b"
	}
	for name, place := range places {
		fd, err := openHandle(t, d, handles[name], unix.O_RDONLY|unix.O_DIRECTORY)
		must(t, err)
		if got, err := os.Readlink(fdPath(fd)); err != nil || got != d+place {
			t.Errorf("%s is at %s, %v", name, got, err)
		}
		if name == "/a/b" {
			kept, err := unix.Openat(fd, "kept", unix.O_RDONLY, 0)
			must(t, err)
			must(t, unix.Close(kept))
			var up, parent unix.Stat_t
			must(t, unix.Fstatat(fd, "..", &up, 0))
			must(t, unix.Stat(d+places["/a"], &parent))
			if up.Ino != parent.Ino {
				t.Errorf(".. is inode %d, not %d", up.Ino, parent.Ino)
			}
		}
		must(t, unix.Close(fd))
	}
}

func TestFileHandle_OfARemovedFileWorksWhileItIsOpen(t *testing.T) {
	rooted(t)
	r := start(t, 2, options{})
	d, other := r.dir(), r.opts.Dirs[1]
	must(t, os.WriteFile(d+"/f", []byte("orphan"), 0o644))
	h := handleOf(t, d+"/f")
	held, err := unix.Open(other+"/f", unix.O_RDWR, 0)
	must(t, err)
	must(t, os.Remove(d+"/f"))
	r.must(command{Do: "remount", Wait: 5000})
	wantHandle(t, "an orphan", d, h, "orphan", 0)
	must(t, unix.Close(held))
	eventuallyGone(t, d, h)
	wantHandle(t, "what was removed", d, h, "", unix.ESTALE)
}

func TestFileHandle_ShowsWhatOtherMountsWrite(t *testing.T) {
	rooted(t)
	r := start(t, 2, options{})
	must(t, os.WriteFile(r.dir()+"/f", []byte("old"), 0o644))
	h := handleOf(t, r.dir()+"/f")
	wantHandle(t, "before", r.opts.Dirs[1], h, "old", 0) // one filesystem, one handle
	must(t, os.WriteFile(r.opts.Dirs[1]+"/f", []byte("newer"), 0o644))
	wantHandle(t, "after", r.dir(), h, "newer", 0)
	for _, bad := range []unix.FileHandle{unix.NewFileHandle(h.Type(), make([]byte, h.Size())), unix.NewFileHandle(h.Type(), h.Bytes()[:4])} {
		_, err := openHandle(t, r.dir(), bad, unix.O_RDONLY)
		want(t, "rubbish", err, unix.ESTALE)
	}
}
