package posix

import (
	"bytes"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestFallocate_DoesEachMode(t *testing.T) {
	d := start(t, 1, options{}).dir()
	f, err := os.Create(d + "/f")
	must(t, err)
	defer f.Close()
	fd, data := int(f.Fd()), bytes.Repeat([]byte("x"), 100_000)
	_, err = f.Write(data)
	must(t, err)

	must(t, unix.Fallocate(fd, 0, 90_000, 20_000))
	data = append(data, make([]byte, 10_000)...)
	wantContent(t, d+"/f", data)

	must(t, unix.Fallocate(fd, unix.FALLOC_FL_KEEP_SIZE, 0, 1<<20))
	wantContent(t, d+"/f", data)

	must(t, unix.Fallocate(fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 1000, 50_000))
	clear(data[1000:51_000])
	wantContent(t, d+"/f", data)

	must(t, unix.Fallocate(fd, unix.FALLOC_FL_ZERO_RANGE, 99_000, 20_000))
	data = append(data[:99_000], make([]byte, 20_000)...)
	wantContent(t, d+"/f", data)

	must(t, unix.Fallocate(fd, unix.FALLOC_FL_ZERO_RANGE|unix.FALLOC_FL_KEEP_SIZE, 60_000, 1<<20))
	clear(data[60_000:])
	wantContent(t, d+"/f", data)

	want(t, "collapse", unix.Fallocate(fd, unix.FALLOC_FL_COLLAPSE_RANGE, 0, 4096), unix.EOPNOTSUPP)
	want(t, "insert", unix.Fallocate(fd, unix.FALLOC_FL_INSERT_RANGE, 0, 4096), unix.EOPNOTSUPP)
	want(t, "beyond the largest size", unix.Fallocate(fd, 0, 1<<60, 1), unix.EFBIG)
	want(t, "of nothing", unix.Fallocate(fd, 0, 0, 0), unix.EINVAL)
}

func TestCopyFileRange_CopiesAnyBytes(t *testing.T) {
	d := start(t, 1, options{}).dir()
	src := noise(6, 10<<20+77)
	must(t, os.WriteFile(d+"/src", src, 0o644))
	dst := noise(7, 3<<20)
	must(t, os.WriteFile(d+"/dst", dst, 0o644))
	in, err := os.OpenFile(d+"/src", os.O_RDWR, 0)
	must(t, err)
	defer in.Close()
	out, err := os.OpenFile(d+"/dst", os.O_RDWR, 0)
	must(t, err)
	defer out.Close()
	for _, c := range []struct{ from, to, n int }{{0, 1 << 20, 5 << 20}, {12345, 54321, 67}, {10 << 20, 100, 1000}, {1 << 20, 9<<20 + 1, 1<<20 + 1}} {
		from, to := int64(c.from), int64(c.to)
		n, err := unix.CopyFileRange(int(in.Fd()), &from, int(out.Fd()), &to, c.n, 0)
		must(t, err)
		if wantN := min(c.n, len(src)-c.from); n != wantN {
			t.Fatalf("copied %d of %+v, want %d", n, c, wantN)
		}
		if end := c.to + n; end > len(dst) {
			dst = append(dst, make([]byte, end-len(dst))...)
		}
		copy(dst[c.to:], src[c.from:c.from+n])
		wantContent(t, d+"/dst", dst)
	}
	from := int64(len(src))
	n, err := unix.CopyFileRange(int(in.Fd()), &from, int(out.Fd()), nil, 100, 0)
	if n != 0 || err != nil {
		t.Errorf("at the end: %d, %v", n, err)
	}
	same := int64(100)
	from = 0
	_, err = unix.CopyFileRange(int(in.Fd()), &from, int(in.Fd()), &same, 1000, 0)
	want(t, "overlapping ranges of one file", err, unix.EINVAL)
	wantContent(t, d+"/src", src)
}

func TestClone_IsRefusedByTheKernelAndCpFallsBack(t *testing.T) {
	d := start(t, 1, options{}).dir()
	must(t, os.WriteFile(d+"/a", []byte("x"), 0o644))
	a, err := os.Open(d + "/a")
	must(t, err)
	defer a.Close()
	b, err := os.Create(d + "/b")
	must(t, err)
	defer b.Close()
	want(t, "FICLONE", unix.IoctlFileClone(int(b.Fd()), int(a.Fd())), unix.EOPNOTSUPP)
}
