package posix

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// entries reads up to max entries from where an open directory is; max < 0: all.
func entries(t *testing.T, fd, max int) []fuse.DirEntry {
	t.Helper()
	var all []fuse.DirEntry
	for buf := make([]byte, 2048); max < 0 || len(all) < max; {
		n, err := unix.Getdents(fd, buf)
		must(t, err)
		if n == 0 {
			break
		}
		for rest := buf[:n]; len(rest) > 0; {
			var e fuse.DirEntry
			rest = rest[e.Parse(rest):]
			all = append(all, e)
		}
	}
	return all
}

func names(list []fuse.DirEntry) []string {
	var all []string
	for _, e := range list {
		all = append(all, e.Name)
	}
	return all
}

func openDir(t *testing.T, dir string) int {
	t.Helper()
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	must(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

func fill(t *testing.T, dir string, n int, prefix string) {
	t.Helper()
	for i := range n {
		must(t, unix.Mknod(fmt.Sprintf("%s/%s%d", dir, prefix, i), unix.S_IFREG|0o644, 0))
	}
}

func TestListing_HasEveryNameOnceWithItsType(t *testing.T) {
	for name, opts := range map[string]options{"plain": {}, "plus": {CacheMillis: 1000}} {
		t.Run(name, func(t *testing.T) {
			d := filepath.Join(start(t, 1, opts).dir(), "d")
			must(t, os.Mkdir(d, 0o755))
			fill(t, d, 3000, strings.Repeat("n", 250))
			must(t, os.Mkdir(d+"/sub", 0o755))
			must(t, os.Symlink("x", d+"/link"))
			got := entries(t, openDir(t, d), -1)
			if got[0].Name != "." || got[1].Name != ".." {
				t.Errorf("begins with %v", names(got[:2]))
			}
			if got[0].Ino != lstat(t, d).Ino || got[1].Ino != lstat(t, filepath.Dir(d)).Ino {
				t.Error(`the inodes of "." and ".." are wrong`)
			}
			seen := make(map[string]uint32)
			for _, e := range got {
				if _, twice := seen[e.Name]; twice {
					t.Errorf("%s came twice", e.Name)
				}
				seen[e.Name] = e.Mode
			}
			if len(seen) != 3004 || seen["sub"] != unix.S_IFDIR || seen["link"] != unix.S_IFLNK || seen[strings.Repeat("n", 250)+"7"] != unix.S_IFREG {
				t.Errorf("%d names; sub %o, link %o", len(seen), seen["sub"], seen["link"])
			}
		})
	}
}

func TestSeekdir_FindsItsPlaceWhileEntriesGo(t *testing.T) {
	d := start(t, 1, options{}).dir()
	fill(t, d, 500, "f")
	fd := openDir(t, d)
	first := entries(t, fd, 100)
	place := int64(first[len(first)-1].Off)
	rest := names(entries(t, fd, -1))
	// What is removed before and behind the place shifts nothing.
	for _, e := range first[2:50] {
		must(t, os.Remove(d+"/"+e.Name))
	}
	must(t, os.Remove(d+"/"+rest[0]))
	must(t, os.Remove(d+"/"+rest[10]))
	_, err := unix.Seek(fd, place, unix.SEEK_SET)
	must(t, err)
	if again := names(entries(t, fd, -1)); !slices.Equal(again, append(slices.Clone(rest[1:10]), rest[11:]...)) {
		t.Errorf("%d names behind the place, want %d", len(again), len(rest)-2)
	}
	// The entry that the place is named after may go too.
	must(t, os.Remove(d+"/"+first[len(first)-1].Name))
	_, err = unix.Seek(fd, place, unix.SEEK_SET)
	must(t, err)
	if again := names(entries(t, fd, -1)); len(again) != len(rest)-2 {
		t.Errorf("%d names behind a removed one, want %d", len(again), len(rest)-2)
	}
	_, err = unix.Seek(fd, 0, unix.SEEK_SET)
	must(t, err)
	if again := entries(t, fd, -1); len(again) != 502-51 || again[0].Name != "." {
		t.Errorf("%d names after rewinding, want %d", len(again), 502-51)
	}
}

func TestListing_WhileRemoving_MissesNothing(t *testing.T) {
	d := start(t, 1, options{}).dir()
	fill(t, d, 1000, "f")
	fd := openDir(t, d)
	removed := 0
	for {
		some := entries(t, fd, 1)
		if len(some) == 0 {
			break
		}
		for _, e := range some {
			if e.Name != "." && e.Name != ".." {
				must(t, os.Remove(d+"/"+e.Name))
				removed++
			}
		}
	}
	if removed != 1000 {
		t.Errorf("removed %d of 1000", removed)
	}
}

func TestListing_WhileRenaming_EndsAndHasEachNameOnce(t *testing.T) {
	d := start(t, 1, options{}).dir()
	fill(t, d, renameAllFiles, "f")
	out, err := child("rename-all", d, 0).CombinedOutput()
	if err != nil || string(out) != fmt.Sprint(renameAllFiles) {
		t.Fatalf("renamed %s of %d entries: %v", out, renameAllFiles, err)
	}
	for _, name := range names(entries(t, openDir(t, d), -1))[2:] {
		if strings.Count(name, "+") != 1 {
			t.Errorf("%s was renamed more or less than once", name)
		}
	}
}

func TestRemovedDirectory_StaysWhileOpen(t *testing.T) {
	d := start(t, 1, options{}).dir()
	must(t, os.Mkdir(d+"/d", 0o755))
	fd := openDir(t, d+"/d")
	must(t, os.Remove(d+"/d"))
	// Linux answers ENOENT itself, which readdir(3) shows as the end.
	_, err := unix.Getdents(fd, make([]byte, 1000))
	want(t, "list it", err, unix.ENOENT)
	var st unix.Stat_t
	must(t, unix.Fstat(fd, &st))
	if st.Nlink != 0 {
		t.Errorf("nlink %d", st.Nlink)
	}
	_, err = unix.Openat(fd, "f", unix.O_CREAT|unix.O_WRONLY, 0o644)
	want(t, "create in a removed directory", err, unix.ENOENT)
}

func TestRemoveAll_OfManyFilesLeavesNothing(t *testing.T) {
	r := start(t, 1, options{})
	d := r.dir() + "/d"
	for i := range 20 {
		sub := fmt.Sprintf("%s/%d", d, i)
		must(t, os.MkdirAll(sub, 0o755))
		fill(t, sub, 500, "f")
	}
	out, err := exec.Command("rm", "-rf", d).CombinedOutput()
	if err != nil {
		t.Errorf("rm: %v %.500s", err, out)
	}
	want(t, "stat", stat(d), unix.ENOENT)
	r.must(command{Do: "check"})
}

func TestLargeDirectory_IsListedInLittleMemory(t *testing.T) {
	r := start(t, 1, options{})
	d := r.dir()
	fill(t, d, 20_000, "f")
	fd := openDir(t, d)
	before := r.stats()
	n := len(entries(t, fd, -1))
	after := r.stats()
	if n != 20_002 {
		t.Errorf("%d entries", n)
	}
	if grown := int64(after.Heap) - int64(before.Heap); grown > 32<<20 {
		t.Errorf("the server's heap has grown by %d MiB", grown>>20)
	}
	if asked := after.Ops["readdir"] - before.Ops["readdir"]; asked < 10 {
		t.Errorf("only %d requests: it did not stream", asked)
	}
}
