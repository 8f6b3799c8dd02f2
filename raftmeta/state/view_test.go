package state_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"dfs/fs"
	"dfs/raftmeta/state"
)

func TestView_Errors(t *testing.T) {
	c := newCluster(t)
	c.file(2, "a")
	c.make(fs.TypeSymlink, 1, 3, "l")
	v := c.view()
	lookup := func(dir fs.Ino, name string) error { _, err := v.Lookup(dir, name); return err }
	readdir := func(dir fs.Ino, limit int) error { _, err := v.Readdir(dir, 0, limit); return err }
	layout := func(ino fs.Ino) error { _, err := v.Layout(ino, 0, 1); return err }
	second := func(_ any, err error) error { return err }
	for name, test := range map[string]struct{ got, want error }{
		"lookup nothing":      {lookup(1, "none"), fs.ErrNotExist},
		"lookup in nothing":   {lookup(99, "a"), fs.ErrNotExist},
		"lookup in a file":    {lookup(2, "a"), fs.ErrNotDir},
		"lookup dot":          {lookup(1, "."), fs.ErrInvalid},
		"lookup a long name":  {lookup(1, strings.Repeat("x", 256)), fs.ErrNameTooLong},
		"getattr nothing":     {second(v.Getattr(99)), fs.ErrNotExist},
		"list a file":         {readdir(2, 1), fs.ErrNotDir},
		"list nothing":        {readdir(99, 1), fs.ErrNotExist},
		"list no entries":     {readdir(1, 0), fs.ErrInvalid},
		"list too many":       {readdir(1, fs.ReaddirMax+1), fs.ErrInvalid},
		"readlink a file":     {second(v.Readlink(2)), fs.ErrInvalid},
		"readlink nothing":    {second(v.Readlink(99)), fs.ErrNotExist},
		"layout of nothing":   {layout(99), fs.ErrNotExist},
		"layout of a dir":     {layout(1), fs.ErrIsDir},
		"layout of a symlink": {layout(3), fs.ErrInvalid},
		"xattrs of nothing":   {second(v.Listxattr(99)), fs.ErrNotExist},
		"parents of nothing":  {second(v.Parents(99)), fs.ErrNotExist},
		"homes of nothing":    {second(v.Homes(99)), fs.ErrNotExist},
		"no orphans":          {second(v.Orphans(0, 0)), fs.ErrInvalid},
		"no blobs":            {second(v.Blobs(fs.BlobID{}, 0)), fs.ErrInvalid},
		"no garbage":          {second(v.Garbage(fs.BlobID{}, 0)), fs.ErrInvalid},
	} {
		if !errors.Is(test.got, test.want) {
			t.Errorf("%s: %v, want %v", name, test.got, test.want)
		}
	}
	if target, err := v.Readlink(3); err != nil || target != "target" {
		t.Errorf("target %q, %v", target, err)
	}
}

func TestView_ReaddirPages(t *testing.T) {
	c := newCluster(t)
	var want []string
	for n := range 10 {
		name := fmt.Sprintf("f%d", 9-n)
		c.file(fs.Ino(2+n), name)
		want = append(want, name)
	}
	var got []string
	after := fs.Cookie(0)
	for {
		list, err := c.view().Readdir(1, after, 3)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range list.Entries {
			got, after = append(got, d.Name), d.Cookie
			if d.Attr != c.attr(d.Attr.Ino) {
				t.Errorf("%q listed with %+v", d.Name, d.Attr)
			}
			if d.Name == "f7" { // what was listed or lies ahead may go meanwhile
				c.ok(&fs.Unlink{Parent: 1, Name: "f9"}, &fs.Unlink{Parent: 1, Name: "f1"})
				want = slices.DeleteFunc(want, func(s string) bool { return s == "f1" })
			}
		}
		if len(list.Entries) < 3 {
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("listed %q, want %q", got, want)
	}
}

func TestView_LayoutTellsARangeWithItsBlobs(t *testing.T) {
	c := newCluster(t)
	c.file(2, "a")
	one, two := c.info(10), c.info(10)
	c.store(2, 0, one)
	c.store(2, 20, two)
	c.ok(&fs.Clone{Src: 2, Dst: 2, DstOff: 40, Len: 10})
	for _, test := range []struct {
		off, length uint64
		extents     string
		blobs       int
	}{
		{0, 1, "0+10:1@0", 1},
		{9, 11, "0+10:1@0", 1},
		{9, 12, "0+10:1@0 20+10:2@0", 2},
		{10, 10, "", 0},
		{0, ^uint64(0), "0+10:1@0 20+10:2@0 40+10:1@0", 2},
		{25, ^uint64(0), "20+10:2@0 40+10:1@0", 2},
		{49, 1, "40+10:1@0", 1},
		{50, 10, "", 0},
		{^uint64(0), 10, "", 0},
		{0, 0, "", 0},
	} {
		l, err := c.view().Layout(2, test.off, test.length)
		if err != nil || spell(l.Extents) != test.extents || len(l.Blobs) != test.blobs || l.More != 0 || l.Attr != c.attr(2) {
			t.Errorf("[%d, +%d): %+v, %v; want %s", test.off, test.length, l, err, test.extents)
		}
	}
}

func TestView_LayoutIsCutAndContinued(t *testing.T) {
	c := newCluster(t)
	c.file(2, "many")
	c.scattered(2, fs.LayoutMax+10)
	c.file(3, "long")
	piece := strings.Repeat("x", 700<<10)
	c.ok(&fs.Write{Ino: 3, Extents: []fs.Extent{inline(0, piece)}})
	c.ok(&fs.Write{Ino: 3, Extents: []fs.Extent{inline(1<<20, piece)}})
	for ino, want := range map[fs.Ino][]int{2: {fs.LayoutMax, 10}, 3: {1, 1}} {
		first, err := c.view().Layout(ino, 0, fs.SizeMax)
		if err != nil || len(first.Extents) != want[0] || first.More == 0 {
			t.Fatalf("%d: first %d extents, more at %d, %v", ino, len(first.Extents), first.More, err)
		}
		rest, err := c.view().Layout(ino, first.More, fs.SizeMax)
		if err != nil || len(rest.Extents) != want[1] || rest.More != 0 || rest.Extents[0].Off < first.More {
			t.Errorf("%d: then %d extents, more at %d, %v", ino, len(rest.Extents), rest.More, err)
		}
	}
}

func TestView_PathAndParents(t *testing.T) {
	c := newCluster(t)
	c.dir(2, "a")
	c.make(fs.TypeDir, 2, 3, "b")
	c.make(fs.TypeDir, 3, 4, "c d")
	for ino, want := range map[fs.Ino]string{1: "/", 2: "/a", 4: "/a/b/c d"} {
		if path, err := c.view().Path(ino); err != nil || path != want {
			t.Errorf("path of %d: %q, %v; want %q", ino, path, err, want)
		}
	}
	if list, err := c.view().Parents(4); err != nil || !slices.Equal(list, []fs.Ino{3, 2, 1}) {
		t.Errorf("parents %v, %v", list, err)
	}
}

func TestView_PagesOverBlobsAndOrphans(t *testing.T) {
	c := newCluster(t)
	for n := range 7 {
		c.ok(&fs.Create{Ino: fs.Ino(2 + n), Type: fs.TypeRegular})
		c.store(fs.Ino(2+n), 0, c.info(5, "n1", "n2"))
	}
	lists := map[string]func(after uint64) (next uint64, n int, err error){
		"orphans": func(after uint64) (uint64, int, error) {
			l, err := c.view().Orphans(fs.Ino(after), 3)
			return lastOf(l, func(i fs.Ino) uint64 { return uint64(i) }), len(l), err
		},
		"blobs": func(after uint64) (uint64, int, error) {
			l, err := c.view().Blobs(fs.BlobID{Session: 1, Counter: after}, 3)
			return lastOf(l, func(b state.BlobRecord) uint64 { return b.ID.Counter }), len(l), err
		},
		"debt": func(after uint64) (uint64, int, error) {
			l, err := c.view().Debt(fs.BlobID{Session: 1, Counter: after}, 3)
			return lastOf(l, func(b fs.BlobInfo) uint64 { return b.ID.Counter }), len(l), err
		},
	}
	for name, list := range lists {
		var pages []int
		for after := uint64(0); ; {
			next, n, err := list(after)
			if err != nil {
				t.Fatal(err)
			}
			if pages = append(pages, n); n == 0 {
				break
			}
			after = next
		}
		if !slices.Equal(pages, []int{3, 3, 1, 0}) {
			t.Errorf("%s: pages of %v", name, pages)
		}
	}
}

func lastOf[T any](list []T, number func(T) uint64) uint64 {
	if len(list) == 0 {
		return 0
	}
	return number(list[len(list)-1])
}
