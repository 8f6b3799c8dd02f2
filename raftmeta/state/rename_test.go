package state_test

import (
	"fmt"
	"sort"
	"strings"
	"testing"

	"dfs/fs"
)

// tree spells the whole tree, one "path type nlink" a line.
func (c *cluster) tree() string {
	c.t.Helper()
	var lines []string
	var walk func(dir fs.Ino, path string)
	walk = func(dir fs.Ino, path string) {
		list, err := c.view().Readdir(dir, 0, fs.ReaddirMax)
		if err != nil {
			c.t.Fatal(err)
		}
		for _, d := range list.Entries {
			kind := "f"
			if d.Attr.IsDir() {
				kind = "d"
				walk(d.Attr.Ino, path+d.Name+"/")
			}
			lines = append(lines, fmt.Sprintf("%s%s=%d%s%d", path, d.Name, d.Attr.Ino, kind, d.Attr.Nlink))
		}
	}
	walk(1, "")
	sort.Strings(lines)
	return strings.Join(lines, " ")
}

// The tree of every case: files f=2 (with a second name g) and h=3, directories d=4 with d/e=5 with d/e/x=6, and empty
// directories p=7, q=8.
func newTree(t *testing.T) *cluster {
	c := newCluster(t)
	c.file(2, "f")
	c.ok(&fs.Link{Ino: 2, Parent: 1, Name: "g", Time: 5})
	c.file(3, "h")
	c.dir(4, "d")
	c.make(fs.TypeDir, 4, 5, "e")
	c.make(fs.TypeRegular, 5, 6, "x")
	c.dir(7, "p")
	c.dir(8, "q")
	return c
}

const before = "d/e/x=6f1 d/e=5d2 d=4d3 f=2f2 g=2f2 h=3f1 p=7d2 q=8d2"

func TestRename_AllCases(t *testing.T) {
	const swap, keep = fs.RenameExchange, fs.RenameNoReplace
	for _, test := range []struct {
		name     string
		dir      fs.Ino
		from     string
		newDir   fs.Ino
		to       string
		flags    fs.RenameFlags
		want     fs.Code
		tree     string // "" for unchanged
		replaced fs.Ino
	}{
		{"file to a free name", 1, "h", 1, "new", 0, 0,
			"d/e/x=6f1 d/e=5d2 d=4d3 f=2f2 g=2f2 new=3f1 p=7d2 q=8d2", 0},
		{"file to another directory", 1, "h", 5, "h", keep, 0,
			"d/e/h=3f1 d/e/x=6f1 d/e=5d2 d=4d3 f=2f2 g=2f2 p=7d2 q=8d2", 0},
		{"file over a file", 1, "h", 5, "x", 0, 0,
			"d/e/x=3f1 d/e=5d2 d=4d3 f=2f2 g=2f2 p=7d2 q=8d2", 6},
		{"file over one of two names", 1, "h", 1, "f", 0, 0,
			"d/e/x=6f1 d/e=5d2 d=4d3 f=3f1 g=2f1 p=7d2 q=8d2", 2},
		{"to itself", 1, "h", 1, "h", 0, 0, "", 0},
		{"directory to itself", 1, "d", 1, "d", 0, 0, "", 0},
		{"to another name of the same file", 1, "f", 1, "g", 0, 0, "", 0},
		{"exchange with another name of the same file", 1, "f", 1, "g", swap, 0, "", 0},
		{"directory to a free name", 1, "d", 1, "new", 0, 0,
			"f=2f2 g=2f2 h=3f1 new/e/x=6f1 new/e=5d2 new=4d3 p=7d2 q=8d2", 0},
		{"directory to another directory", 4, "e", 7, "e", 0, 0,
			"d=4d2 f=2f2 g=2f2 h=3f1 p/e/x=6f1 p/e=5d2 p=7d3 q=8d2", 0},
		{"directory over an empty one", 1, "d", 1, "p", 0, 0,
			"f=2f2 g=2f2 h=3f1 p/e/x=6f1 p/e=5d2 p=4d3 q=8d2", 7},
		{"directory over an empty one elsewhere", 4, "e", 1, "p", 0, 0,
			"d=4d2 f=2f2 g=2f2 h=3f1 p/x=6f1 p=5d2 q=8d2", 7},
		{"exchange of files", 1, "h", 5, "x", swap, 0,
			"d/e/x=3f1 d/e=5d2 d=4d3 f=2f2 g=2f2 h=6f1 p=7d2 q=8d2", 6},
		{"exchange of a file and a directory", 1, "h", 4, "e", swap, 0,
			"d/e=3f1 d=4d2 f=2f2 g=2f2 h/x=6f1 h=5d2 p=7d2 q=8d2", 5},
		{"exchange of directories", 4, "e", 1, "p", swap, 0,
			"d/e=7d2 d=4d3 f=2f2 g=2f2 h=3f1 p/x=6f1 p=5d2 q=8d2", 7},
		{"exchange in one directory", 1, "d", 1, "h", swap, 0,
			"d=3f1 f=2f2 g=2f2 h/e/x=6f1 h/e=5d2 h=4d3 p=7d2 q=8d2", 3},

		{"of nothing", 1, "none", 1, "new", 0, fs.CodeNotExist, "", 0},
		{"from no directory", 2, "x", 1, "new", 0, fs.CodeNotDir, "", 0},
		{"into no directory", 1, "h", 2, "x", 0, fs.CodeNotDir, "", 0},
		{"into nothing", 1, "h", 99, "x", 0, fs.CodeNotExist, "", 0},
		{"to dot", 1, "h", 1, ".", 0, fs.CodeInvalid, "", 0},
		{"of dot", 1, ".", 1, "x", 0, fs.CodeInvalid, "", 0},
		{"to a long name", 1, "h", 1, strings.Repeat("x", 256), 0, fs.CodeNameTooLong, "", 0},
		{"with both flags", 1, "h", 1, "x", swap | keep, fs.CodeInvalid, "", 0},
		{"with an unknown flag", 1, "h", 1, "x", 8, fs.CodeInvalid, "", 0},
		{"that must not replace", 1, "h", 1, "f", keep, fs.CodeExist, "", 0},
		{"to itself that must not replace", 1, "h", 1, "h", keep, fs.CodeExist, "", 0},
		{"exchange with nothing", 1, "h", 1, "x", swap, fs.CodeNotExist, "", 0},
		{"directory over a file", 1, "p", 1, "h", 0, fs.CodeNotDir, "", 0},
		{"file over a directory", 1, "h", 1, "p", 0, fs.CodeIsDir, "", 0},
		{"directory over a full one", 1, "p", 1, "d", 0, fs.CodeNotEmpty, "", 0},
		{"of a directory over its parent", 4, "e", 1, "d", 0, fs.CodeNotEmpty, "", 0},
		{"into itself", 1, "d", 4, "x", 0, fs.CodeLoop, "", 0},
		{"into its own child", 1, "d", 5, "new", 0, fs.CodeLoop, "", 0},
		{"into its own child over a file", 1, "d", 5, "x", 0, fs.CodeLoop, "", 0},
		{"exchange with what is below", 1, "d", 5, "x", swap, fs.CodeLoop, "", 0},
		{"exchange with what is above", 5, "x", 1, "d", swap, fs.CodeLoop, "", 0},
		{"exchange of a child with its parent", 4, "e", 1, "d", swap, fs.CodeLoop, "", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newTree(t)
			if got := c.tree(); got != before {
				t.Fatalf("the tree is %s", got)
			}
			r := c.try(&fs.Rename{Parent: test.dir, Name: test.from, NewParent: test.newDir, NewName: test.to,
				Flags: test.flags, Time: 500})
			if r.Err != test.want {
				t.Fatalf("%v, want %v", fs.FromCode(r.Err), fs.FromCode(test.want))
			}
			want := test.tree
			if want == "" {
				want = before
			}
			if got := c.tree(); got != want {
				t.Errorf("the tree is\n%s, want\n%s", got, want)
			}
			if r.Err == fs.CodeOK && r.Results[0].Replaced.Ino != test.replaced {
				t.Errorf("replaced %+v, want %d", r.Results[0].Replaced, test.replaced)
			}
			if changed := c.attr(1).Ctime == 500 || c.attr(test.dir).Ctime == 500; changed != (test.tree != "") && test.want == 0 {
				t.Errorf("the directories' ctime changed: %v", changed)
			}
		})
	}
}

func TestRename_StampsWhatItTouched(t *testing.T) {
	c := newTree(t)
	c.ok(&fs.Rename{Parent: 4, Name: "e", NewParent: 1, NewName: "p", Time: 500})
	for ino, want := range map[fs.Ino][2]bool{1: {true, true}, 4: {true, true}, 5: {false, true}, 7: {false, true}, 6: {false, false}} {
		a := c.attr(ino)
		if got := [2]bool{a.Mtime == 500, a.Ctime == 500}; got != want {
			t.Errorf("inode %d: mtime and ctime set %v, want %v", ino, got, want)
		}
	}
	if a := c.attr(5); a.Parent != 1 {
		t.Errorf("the moved directory's parent is %d", a.Parent)
	}
	if a := c.attr(7); a.Nlink != 0 || a.Parent != 0 || c.stats().Orphans != 1 {
		t.Errorf("the replaced directory: %+v", a)
	}
	if path, err := c.view().Path(5); err != nil || path != "/p" {
		t.Errorf("path %q, %v", path, err)
	}
}

func TestRename_NamesThatStayAndEntriesThatStayKeepTheirCookies(t *testing.T) {
	c := newTree(t)
	names := func() string {
		list, err := c.view().Readdir(1, 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		out := ""
		for _, d := range list.Entries {
			out += fmt.Sprintf("%s%d ", d.Name, d.Cookie)
		}
		return out + fmt.Sprint(list.End)
	}
	if got := names(); got != "f3 g4 h5 d6 p7 q8 9" {
		t.Fatalf("at first %s", got)
	}
	c.ok(&fs.Rename{Parent: 1, Name: "g", NewParent: 1, NewName: "a", Time: 9})
	c.ok(&fs.Rename{Parent: 1, Name: "q", NewParent: 1, NewName: "p", Time: 9})
	c.ok(&fs.Rename{Parent: 1, Name: "f", NewParent: 1, NewName: "h", Flags: fs.RenameExchange, Time: 9})
	c.ok(&fs.Rename{Parent: 1, Name: "a", NewParent: 4, NewName: "a", Time: 9})
	c.ok(&fs.Rename{Parent: 4, Name: "a", NewParent: 1, NewName: "a", Time: 9})
	if got := names(); got != "f3 h5 d6 p7 a9 10" {
		t.Errorf("after the renames %s", got)
	}
}
