package fusefs

import (
	"testing"

	"dfs/fs"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// kernel counts what it is told to drop, and answers status.
type kernel struct {
	dropped map[uint64]int
	status  fuse.Status
}

func (k *kernel) InodeNotify(node uint64, _, _ int64) fuse.Status {
	k.dropped[node]++
	return k.status
}

func TestPages_AreDroppedWhenOnlyTheVersionChanged(t *testing.T) {
	r := newRig(t, nil)
	k := &kernel{dropped: make(map[uint64]int)}
	r.kernel = k
	ino, fh, _ := r.create("f", 0)
	a, err := r.fs.Getattr(t.Context(), fs.Ino(ino))
	if err != nil {
		t.Fatal(err)
	}
	step := func(what string, drops int) {
		t.Helper()
		r.tell(&a)
		if k.dropped[ino] != drops {
			t.Errorf("%s: dropped %d times, want %d", what, k.dropped[ino], drops)
		}
	}
	step("nothing new", 0)
	a.Version++
	step("another version", 1)
	step("the same again", 1)
	a.Version, a.Mtime = a.Version+1, a.Mtime+1
	step("another mtime, which the kernel sees itself", 1)
	a.Version, a.Size = a.Version+1, a.Size+1
	step("another size, which the kernel sees itself", 1)
	a.Version++
	k.status = fuse.EIO
	step("another version, and the kernel refuses", 2)
	k.status = fuse.OK
	step("it is told again", 3)
	step("and then no more", 3)
	a.Version, a.Mtime = a.Version+1, a.Mtime+1
	r.pages.changed(&a)
	step("a change that the kernel made, and took the mtime of", 4)

	r.Release(nil, &fuse.ReleaseIn{InHeader: header(ino), Fh: fh})
	a.Version++
	step("a file that is not open", 4)
	if len(r.pages.open) != 0 {
		t.Errorf("%d files are remembered", len(r.pages.open))
	}
}

func TestPages_OfAFileOpenTwiceAreRememberedUntilTheLastClose(t *testing.T) {
	var p pages
	a := fs.Attr{Ino: 5, Version: 1}
	p.opened(&a)
	a.Version = 2
	p.opened(&a) // its pages are dropped only once the kernel has the answer: the version is not taken over
	p.released(5)
	if !p.look(&a) {
		t.Error("pages of the first open are forgotten")
	}
	p.dropped(5, 2)
	if p.look(&a) {
		t.Error("dropped pages are dropped again")
	}
	p.released(5)
	p.released(5)
	if len(p.open) != 0 {
		t.Error("still remembered")
	}
}
