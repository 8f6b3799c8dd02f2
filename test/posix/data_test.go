package posix

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// noise is n bytes that do not repeat, the same ones for the same seed.
func noise(seed uint64, n int) []byte {
	b := make([]byte, n)
	rng := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	rng.Read(b) // never fails
	return b
}

func content(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	return b
}

func wantContent(t *testing.T, path string, wanted []byte) {
	t.Helper()
	if got := content(t, path); !bytes.Equal(got, wanted) {
		at := 0
		for at < min(len(got), len(wanted)) && got[at] == wanted[at] {
			at++
		}
		t.Errorf("%s: %d bytes, want %d; they differ at %d", path, len(got), len(wanted), at)
	}
}

func TestLargeFile_ComesBackAsWritten(t *testing.T) {
	d := start(t, 1, options{}).dir()
	data := noise(1, 40<<20+123)
	must(t, os.WriteFile(d+"/f", data, 0o644))
	wantContent(t, d+"/f", data)
	f, err := os.Open(d + "/f")
	must(t, err)
	defer f.Close()
	for range 200 {
		off := rand.Int64N(int64(len(data)))
		p := make([]byte, rand.IntN(300_000))
		n, err := f.ReadAt(p, off)
		if err != nil && err != io.EOF {
			t.Fatal(err)
		}
		if !bytes.Equal(p[:n], data[off:off+int64(n)]) || n < len(p) && off+int64(n) != int64(len(data)) {
			t.Fatalf("%d bytes at %d are wrong", n, off)
		}
	}
}

func TestRandomWrites_MatchAModel(t *testing.T) {
	d := start(t, 1, options{}).dir()
	f, err := os.Create(d + "/f")
	must(t, err)
	defer f.Close()
	var model []byte
	grow := func(n int) {
		if n > len(model) {
			model = append(model, make([]byte, n-len(model))...)
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 400 {
		off, n := rng.IntN(3<<20), rng.IntN(200_000)
		switch rng.IntN(12) {
		case 0:
			must(t, f.Truncate(int64(off)))
			grow(off)
			model = model[:off]
		case 1:
			must(t, f.Sync())
		case 2:
			must(t, unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, int64(off), int64(n+1)))
			if off < len(model) {
				clear(model[off:min(off+n+1, len(model))])
			}
		default:
			p := noise(uint64(i), n)
			_, err := f.WriteAt(p, int64(off))
			must(t, err)
			if n > 0 {
				grow(off + n)
				copy(model[off:], p)
			}
		}
		if i%20 == 0 {
			wantContent(t, d+"/f", model)
		}
	}
	wantContent(t, d+"/f", model)
}

func TestAppend_OfManyLosesNothing(t *testing.T) {
	d := start(t, 1, options{}).dir()
	const writers, each = 8, 100
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			f, err := os.OpenFile(d+"/log", os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
			if err != nil {
				t.Error(err)
				return
			}
			defer f.Close()
			for i := range each {
				if _, err := fmt.Fprintf(f, "%d.%03d\n", w, i); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	lines := bytes.Split(bytes.TrimSpace(content(t, d+"/log")), []byte("\n"))
	seen := make(map[string]bool)
	for _, l := range lines {
		seen[string(l)] = true
	}
	if len(lines) != writers*each || len(seen) != writers*each {
		t.Errorf("%d lines, %d different ones, want %d", len(lines), len(seen), writers*each)
	}
}

func TestAppendHandle_ReadsAndMaps(t *testing.T) {
	d := start(t, 1, options{}).dir()
	must(t, os.WriteFile(d+"/f", []byte("head "), 0o644))
	f, err := os.OpenFile(d+"/f", os.O_APPEND|os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	_, err = f.WriteString("tail")
	must(t, err)
	// pwrite(2) on it appends as well, on Linux.
	_, err = unix.Pwrite(int(f.Fd()), []byte("!"), 0)
	must(t, err)
	got := make([]byte, 10)
	_, err = f.ReadAt(got, 0)
	must(t, err)
	m, err := unix.Mmap(int(f.Fd()), 0, 10, unix.PROT_READ, unix.MAP_SHARED)
	must(t, err)
	defer unix.Munmap(m)
	if string(got) != "head tail!" || string(m) != "head tail!" {
		t.Errorf("read %q, mapped %q", got, m)
	}
}

func TestAppendFlag_SetLaterWorks(t *testing.T) {
	d := start(t, 1, options{}).dir()
	must(t, os.WriteFile(d+"/f", []byte("0123456789"), 0o644))
	f, err := os.OpenFile(d+"/f", os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	_, err = unix.FcntlInt(f.Fd(), unix.F_SETFL, unix.O_APPEND)
	must(t, err)
	_, err = f.Write([]byte("abc")) // at position 0, but appended
	must(t, err)
	_, err = unix.FcntlInt(f.Fd(), unix.F_SETFL, 0)
	must(t, err)
	_, err = unix.Pwrite(int(f.Fd()), []byte("X"), 1)
	must(t, err)
	wantContent(t, d+"/f", []byte("0X23456789abc"))
}

func TestAppendFlag_TakenAwayWorks(t *testing.T) {
	d := start(t, 1, options{}).dir()
	must(t, os.WriteFile(d+"/f", []byte("0123456789"), 0o644))
	f, err := os.OpenFile(d+"/f", os.O_RDWR|os.O_APPEND, 0)
	must(t, err)
	defer f.Close()
	_, err = unix.FcntlInt(f.Fd(), unix.F_SETFL, 0)
	must(t, err)
	_, err = unix.Pwrite(int(f.Fd()), []byte("X"), 1)
	must(t, err)
	must(t, unix.Fsync(int(f.Fd())))
	wantContent(t, d+"/f", []byte("0X23456789"))
}

func TestMapping_ReadsAndWrites(t *testing.T) {
	d := start(t, 1, options{}).dir()
	data := noise(3, 300_000)
	must(t, os.WriteFile(d+"/f", data, 0o644))
	f, err := os.OpenFile(d+"/f", os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	m, err := unix.Mmap(int(f.Fd()), 0, len(data), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	must(t, err)
	if !bytes.Equal(m, data) {
		t.Error("the mapping shows something else")
	}
	copy(m[100_000:], "stored through a mapping")
	copy(data[100_000:], "stored through a mapping")
	must(t, unix.Msync(m, unix.MS_SYNC))
	must(t, unix.Munmap(m))
	wantContent(t, d+"/f", data)
}

func TestMapping_WritesAfterClose(t *testing.T) {
	d := start(t, 1, options{}).dir()
	must(t, os.WriteFile(d+"/f", make([]byte, 8192), 0o644))
	f, err := os.OpenFile(d+"/f", os.O_RDWR, 0)
	must(t, err)
	m, err := unix.Mmap(int(f.Fd()), 0, 8192, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	must(t, err)
	must(t, f.Close())
	m[5000] = 'x'
	must(t, unix.Munmap(m))
	eventually(t, "the store reaches the file", func() bool { return content(t, d+"/f")[5000] == 'x' })
}

func TestHoles_ReadAsZerosAndAreFound(t *testing.T) {
	d := start(t, 1, options{}).dir()
	f, err := os.Create(d + "/f")
	must(t, err)
	defer f.Close()
	_, err = f.WriteAt([]byte("end"), 10<<20)
	must(t, err)
	must(t, f.Sync())
	fd := int(f.Fd())
	for _, s := range []struct {
		off    int64
		whence int
		want   int64
	}{{0, unix.SEEK_HOLE, 0}, {0, unix.SEEK_DATA, 10 << 20}, {10 << 20, unix.SEEK_HOLE, 10<<20 + 3}, {0, unix.SEEK_END, 10<<20 + 3}} {
		if at, err := unix.Seek(fd, s.off, s.whence); err != nil || at != s.want {
			t.Errorf("seek %d whence %d: %d, %v; want %d", s.off, s.whence, at, err, s.want)
		}
	}
	_, err = unix.Seek(fd, 10<<20+3, unix.SEEK_DATA)
	want(t, "SEEK_DATA at the end", err, unix.ENXIO)
	_, err = unix.Seek(fd, 11<<20, unix.SEEK_HOLE)
	want(t, "SEEK_HOLE behind the end", err, unix.ENXIO)
	wantContent(t, d+"/f", append(make([]byte, 10<<20), "end"...))
	if st := lstat(t, d+"/f"); st.Blocks > 100 {
		t.Errorf("%d blocks of a file that is a hole", st.Blocks)
	}
}

func TestHugeSparseFile_HasItsBytes(t *testing.T) {
	d := start(t, 1, options{}).dir()
	f, err := os.Create(d + "/f")
	must(t, err)
	defer f.Close()
	const last = 1<<60 - 5
	_, err = f.WriteAt([]byte("tail!"), last)
	must(t, err)
	must(t, f.Sync())
	if st := lstat(t, d+"/f"); st.Size != 1<<60 {
		t.Errorf("size %d", st.Size)
	}
	got := make([]byte, 20)
	n, err := f.ReadAt(got, last-10)
	if err != io.EOF || string(got[:n]) != string(make([]byte, 10))+"tail!" {
		t.Errorf("got %q, %v", got[:n], err)
	}
	_, err = f.WriteAt([]byte("x"), 1<<60)
	want(t, "write beyond the largest size", err, unix.EFBIG)
	if at, err := unix.Seek(int(f.Fd()), 0, unix.SEEK_DATA); err != nil || at < last-4096 || at > last {
		t.Errorf("data at %d, %v", at, err)
	}
}

func TestUnlinkedOpenFile_LivesOn(t *testing.T) {
	r := start(t, 1, options{})
	d := r.dir()
	before := inodes(t, d)
	f, err := os.Create(d + "/f")
	must(t, err)
	must(t, os.Remove(d+"/f"))
	data := noise(4, 500_000)
	_, err = f.Write(data)
	must(t, err)
	must(t, f.Sync())
	var st unix.Stat_t
	must(t, unix.Fstat(int(f.Fd()), &st))
	if st.Nlink != 0 || st.Size != int64(len(data)) {
		t.Errorf("nlink %d, size %d", st.Nlink, st.Size)
	}
	got := make([]byte, len(data))
	if _, err := f.ReadAt(got, 0); err != nil || !bytes.Equal(got, data) {
		t.Errorf("read back: %v", err)
	}
	must(t, f.Truncate(3))
	must(t, f.Chmod(0o600))
	must(t, f.Close())
	eventually(t, "it is reaped", func() bool { return inodes(t, d) == before })
	r.must(command{Do: "check"})
}

// inodes is how many inodes the filesystem has.
func inodes(t *testing.T, d string) uint64 {
	t.Helper()
	var st unix.Statfs_t
	must(t, unix.Statfs(d, &st))
	return st.Files - st.Ffree
}

func TestTmpfile_GetsANameByLink(t *testing.T) {
	d := start(t, 1, options{}).dir()
	fd, err := unix.Open(d, unix.O_TMPFILE|unix.O_RDWR, 0o640)
	must(t, err)
	defer unix.Close(fd)
	_, err = unix.Write(fd, []byte("nameless"))
	must(t, err)
	must(t, unix.Linkat(unix.AT_FDCWD, fdPath(fd), unix.AT_FDCWD, d+"/named", unix.AT_SYMLINK_FOLLOW))
	wantContent(t, d+"/named", []byte("nameless"))
	if st := lstat(t, d+"/named"); st.Nlink != 1 || st.Mode&0o777 != 0o640 {
		t.Errorf("nlink %d, mode %o", st.Nlink, st.Mode)
	}
}

func TestOpenTruncate_EmptiesTheFileInOneRequest(t *testing.T) {
	r := start(t, 1, options{})
	d := r.dir()
	must(t, os.WriteFile(d+"/f", noise(5, 100_000), 0o644))
	must(t, os.WriteFile(d+"/f", []byte("short"), 0o644))
	wantContent(t, d+"/f", []byte("short"))
	if n := r.stats().Ops["setattr"]; n != 0 {
		t.Errorf("%d requests to truncate besides the open", n)
	}
}

func TestSyncWrites_AreDurableAtOnce(t *testing.T) {
	r := start(t, 2, options{})
	for name, flags := range map[string]int{
		"sync": unix.O_SYNC, "dsync": unix.O_DSYNC, "append": unix.O_SYNC | unix.O_APPEND, "direct": unix.O_SYNC | unix.O_DIRECT,
	} {
		fd, err := unix.Open(r.opts.Dirs[0]+"/"+name, unix.O_CREAT|unix.O_WRONLY|flags, 0o644)
		must(t, err)
		page, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
		must(t, err)
		page[0] = 'x'
		_, err = unix.Write(fd, page)
		must(t, err)
		// Not closed, not fsynced; yet the other mount has it.
		wantContent(t, r.opts.Dirs[1]+"/"+name, page)
		must(t, unix.Munmap(page))
		must(t, unix.Close(fd))
	}
}
