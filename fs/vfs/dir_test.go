package vfs

import (
	"context"
	"fmt"
	"testing"

	"dfs/fs"
	"dfs/raftmeta/localmeta"
)

// fill makes n files in the root directory.
func (m *mount) fill(n int) {
	m.t.Helper()
	m.fillNamed("f", n)
}

func (m *mount) fillNamed(prefix string, n int) {
	m.t.Helper()
	for i := range n {
		if _, err := m.Mknod(ctxT(m.t), Caller{}, fs.RootIno, fmt.Sprint(prefix, i), fs.TypeFIFO, 0, 0); err != nil {
			m.t.Fatal(err)
		}
	}
}

func (m *mount) openRoot() *DirHandle {
	m.t.Helper()
	d, err := m.OpenDir(ctxT(m.t), fs.RootIno)
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(d.Release)
	return d
}

// readSome reads up to k entries behind after.
func (d *DirHandle) readSome(t *testing.T, after fs.Cookie, k int) []fs.Dirent {
	t.Helper()
	var list []fs.Dirent
	err := d.Read(ctxT(t), after, func(e fs.Dirent) bool {
		if len(list) == k {
			return false
		}
		list = append(list, e)
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// renameAll lists the root directory, renaming each entry when it has been read, and returns how often each inode came.
func (m *mount) renameAll(t *testing.T, d *DirHandle, k, most int) map[fs.Ino]int {
	t.Helper()
	seen, total, after := map[fs.Ino]int{}, 0, fs.Cookie(0)
	for {
		some := d.readSome(t, after, k)
		if len(some) == 0 {
			return seen
		}
		for _, e := range some {
			seen[e.Attr.Ino]++
			after = e.Cookie
			if total++; total > most {
				t.Fatalf("%d entries of a directory that has had %d", total, most)
			}
			if err := m.Rename(ctxT(t), fs.RootIno, e.Name, fs.RootIno, e.Name+"+", 0); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestListing_OfADirectoryWhoseEntriesAreRenamedEndsAndHasEachOnce(t *testing.T) {
	const n = 2500 // several answers of the leader, the largest of them 1024 entries
	w := newWorld(t, localmeta.Config{})
	m := w.mount(t, Config{})
	m.fill(n)
	for _, k := range []int{1, 100} {
		if seen := m.renameAll(t, m.openRoot(), k, n); len(seen) != n {
			t.Errorf("read %d at once: %d entries of %d", k, len(seen), n)
		}
	}
}

func TestListing_HasWhatStaysAndEndsWhereTheDirectoryEndedWhenItBegan(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m := w.mount(t, Config{})
	m.fill(1500)
	d := m.openRoot()
	first := d.readSome(t, 0, 10)
	rename := func(name, to string) {
		t.Helper()
		if err := m.Rename(ctxT(t), fs.RootIno, name, fs.RootIno, to, 0); err != nil {
			t.Fatal(err)
		}
	}
	rename("f700", "other")  // stays, under another name
	rename("f0", "f1499")    // the name stays: what saving a file does
	rename("f1", "f2")       // behind the reader, both
	m.fillNamed("new", 2000) // comes too late
	place := first[9].Cookie
	rest := d.readSome(t, place, 5000)
	if len(rest) != 1490 || rest[690].Name != "other" || rest[1489].Name != "f1499" || rest[1489].Attr.Ino != first[0].Attr.Ino {
		t.Errorf("%d entries follow the first ten", len(rest))
	}
	// telldir and seekdir: a place stays valid, and the end where it was.
	if again := d.readSome(t, first[4].Cookie, 5000); len(again) != 1495 || again[0].Name != "f5" {
		t.Errorf("%d entries behind the fifth", len(again))
	}
	if rewound := d.readSome(t, 0, 5000); len(rewound) != 3498 {
		t.Errorf("%d entries after rewinding", len(rewound))
	}
	if seen := m.renameAll(t, d, 7, 3498); len(seen) != 3498 {
		t.Errorf("%d entries were renamed", len(seen))
	}
}

// ghosts lists an entry, first of all, of an inode that is no more.
type ghosts struct{ fs.Meta }

func (g ghosts) Readdir(ctx context.Context, dir fs.Ino, after fs.Cookie, limit int) (fs.Listing, error) {
	l, err := g.Meta.Readdir(ctx, dir, after, limit)
	gone := fs.Dirent{Name: "gone", Cookie: fs.FirstCookie, Attr: fs.Attr{Ino: 1 << 40, Type: fs.TypeRegular}}
	l.Entries = append([]fs.Dirent{gone}, l.Entries...)
	return l, err
}

func TestList_LeavesOutOnlyWhatIsGone(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	w.wrap = func(m fs.Meta) fs.Meta { return ghosts{m} }
	m := w.mount(t, Config{})
	m.fill(3)
	l, err := m.List(ctxT(t), fs.RootIno, 0, 10)
	if err != nil || len(l.Entries) != 3 {
		t.Fatalf("%d entries, %v", len(l.Entries), err)
	}
	for _, e := range l.Entries {
		if e.Attr.Ino == 0 || e.Attr.Nlink != 1 {
			t.Errorf("%s has the attributes %+v", e.Name, e.Attr)
		}
	}
}
