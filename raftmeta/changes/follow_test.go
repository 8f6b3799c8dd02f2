package changes

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"dfs/fs"
	"dfs/raftmeta/command"
	"dfs/raftmeta/state"
	"dfs/raftmeta/state/statetest"
)

// Whoever does what he is told has the tree that the state has, after each entry: nothing is told too early, too late, twice, or
// under a wrong name.
func TestChanges_LeadToTheTreeThatTheStateHas(t *testing.T) {
	renames, kinds := 0, map[fs.ChangeKind]int{}
	for seed := range uint64(40) {
		w := newWorld(t)
		g := statetest.NewGenerator(rand.New(rand.NewPCG(seed, 7)).IntN)
		watcher, tr := w.watch(fs.RootIno, fs.Position{}, ""), tree{}
		for range 300 {
			cmd := g.Next()
			g.Observe(cmd, w.apply(cmd)[0])
			list, missing := told(t, watcher)
			if missing {
				t.Fatal("something is missing")
			}
			for _, c := range list {
				tr.follow(t, c)
				kinds[c.Kind]++
				if c.Kind == fs.ChangeRename && c.Dir != c.ToDir {
					renames++
				}
			}
			if want := walk(t, state.NewView(w.kv), fs.RootIno, "", tree{}); !maps.Equal(tr, want) {
				t.Fatalf("seed %d, after %+v: %v leads to %v, the state has %v", seed, cmd, paths(list), tr, want)
			}
		}
	}
	t.Log(kinds)
	if len(kinds) < 11 || renames < 20 {
		t.Errorf("the run was too dull: %v, %d renames between directories", kinds, renames)
	}
}

// Who begins to watch late learns the names from the state.
func TestChanges_AreNamedRightFromTheMiddleOn(t *testing.T) {
	for seed := range uint64(40) {
		w := newWorld(t)
		g := statetest.NewGenerator(rand.New(rand.NewPCG(seed, 8)).IntN)
		for range 100 {
			cmd := g.Next()
			g.Observe(cmd, w.apply(cmd)[0])
		}
		tr := walk(t, state.NewView(w.kv), fs.RootIno, "", tree{})
		watcher := w.watch(fs.RootIno, fs.Position{}, "")
		for range 100 {
			cmd := g.Next()
			g.Observe(cmd, w.apply(cmd)[0])
			list, _ := told(t, watcher)
			for _, c := range list {
				tr.follow(t, c)
			}
		}
		if want := walk(t, state.NewView(w.kv), fs.RootIno, "", tree{}); !maps.Equal(tr, want) {
			t.Fatalf("seed %d: %v, want %v", seed, tr, want)
		}
	}
}

// A watcher of a directory is told what somebody who is told everything would pick out by the directory's path.
func TestChanges_OfADirectoryAreThoseBelowItsPath(t *testing.T) {
	some := 0
	for seed := range uint64(40) {
		w := newWorld(t)
		g := statetest.NewGenerator(rand.New(rand.NewPCG(seed, 9)).IntN)
		all, tr := w.watch(fs.RootIno, fs.Position{}, ""), tree{}
		var part *Watcher
		var top fs.Ino
		for range 300 {
			cmd := g.Next()
			g.Observe(cmd, w.apply(cmd)[0])
			list, _ := told(t, all)
			want := map[fs.Position]bool{}
			for _, c := range list {
				at := pathOf(tr, top)
				tr.follow(t, c)
				to := pathOf(tr, top)
				if c.Nlink > 1 && c.Type != fs.TypeDir {
					continue // what has many names is told by one of them
				}
				if top != 0 && (c.Ino == top || c.Replaced == top || at != "" && strings.HasPrefix(c.Path, at+"/") || to != "" && strings.HasPrefix(c.To, to+"/")) {
					want[c.Position] = true
				}
			}
			if part == nil {
				if part, top = w.anyDir(tr); part != nil {
					told(t, part)
				}
				continue
			}
			got, _ := told(t, part)
			for _, c := range got {
				if !want[c.Position] && !(c.Nlink > 1 && c.Type != fs.TypeDir) {
					t.Fatalf("seed %d: %+v does not lie below %s", seed, c, pathOf(tr, top))
				}
				delete(want, c.Position)
				some++
			}
			if len(want) > 0 {
				t.Fatalf("seed %d: %v of %v are not told below inode %d", seed, want, paths(list), top)
			}
		}
	}
	if some < 100 {
		t.Errorf("only %d changes were told", some)
	}
}

func pathOf(tr tree, ino fs.Ino) string {
	for path, i := range tr {
		if i == ino {
			return path
		}
	}
	return ""
}

// anyDir watches the first directory that there is.
func (w *world) anyDir(tr tree) (*Watcher, fs.Ino) {
	for _, path := range slices.Sorted(maps.Keys(tr)) {
		if a, err := state.NewView(w.kv).Getattr(tr[path]); err == nil && a.IsDir() {
			return w.watch(a.Ino, fs.Position{}, ""), a.Ino
		}
	}
	return nil, 0
}

func mkdir(dir fs.Ino, name string, ino fs.Ino) fs.Op {
	return &fs.Create{Parent: dir, Name: name, Ino: ino, Type: fs.TypeDir, Mode: 0o755, Time: 5}
}

func mkfile(dir fs.Ino, name string, ino fs.Ino) fs.Op {
	return &fs.Create{Parent: dir, Name: name, Ino: ino, Type: fs.TypeRegular, Mode: 0o644, Time: 5}
}

func inline(ino fs.Ino) fs.Op {
	return &fs.Write{Ino: ino, Time: 6, Extents: []fs.Extent{{Len: 1, Data: []byte("x")}}}
}

// begun is a world with an allotted range of inode numbers, from 2 up.
func begun(t *testing.T) *world {
	w := opened(t)
	w.apply(&command.AllocInos{Session: 1, Epoch: 2, N: 1000})
	return w
}

func TestTransaction_IsToldInOrderWithThePathsOfEachMoment(t *testing.T) {
	w := begun(t)
	watcher := w.watch(fs.RootIno, fs.Position{}, "")
	a := w.apply(w.tx(1, mkdir(1, "d", 2), mkfile(2, "f", 3), inline(3), &fs.Rename{Parent: 1, Name: "d", NewParent: 1, NewName: "e", Time: 7}, inline(3),
		&fs.Link{Ino: 3, Parent: 1, Name: "l", Time: 8}, &fs.Rename{Parent: 2, Name: "f", NewParent: 1, NewName: "l", Time: 8},
		&fs.Unlink{Parent: 2, Name: "f", Time: 9}, &fs.Setattr{Ino: 3, Set: fs.SetSize, Time: 10}, &fs.Setxattr{Ino: 3, Name: "user.x", Value: []byte("v"), Time: 11},
		&fs.Setattr{Ino: 3, Set: fs.SetMode, Mode: 0o600, Time: 12}, &fs.Rmdir{Parent: 1, Name: "e", Time: 13}))
	if a[0].Tx == nil || a[0].Tx.Err != fs.CodeOK {
		t.Fatal(a[0])
	}
	list, missing := told(t, watcher)
	same(t, "the transaction", list, "mkdir /d", "create /d/f", "write /d/f", "rename /d /e", "link /l", "unlink /e/f", "truncate /l", "xattr /l",
		"attributes /l", "rmdir /e")
	if c := list[1]; missing || c.Session != 1 || c.Host != "h" || c.Mount != "/mnt" || c.Ino != 3 || c.Type != fs.TypeRegular || c.Time != 5 || c.Dir != 2 {
		t.Errorf("%+v", c)
	}
}

func TestTransaction_IsToldOnceHoweverOftenItIsRepeated_AndNotIfRefused(t *testing.T) {
	w := begun(t)
	watcher := w.watch(fs.RootIno, fs.Position{}, "")
	tx := w.tx(1, mkdir(1, "d", 2))
	w.apply(tx, tx)
	w.apply(tx)
	w.apply(w.tx(2, mkfile(1, "f", 3), mkdir(1, "d", 4)))
	list, _ := told(t, watcher)
	same(t, "the second is refused", list, "mkdir /d")
}

func TestFileWithoutAName_IsToldWhenItGetsOne(t *testing.T) {
	w := begun(t)
	watcher := w.watch(fs.RootIno, fs.Position{}, "")
	w.apply(w.tx(1, mkfile(0, "", 2), inline(2)))
	w.apply(w.tx(2, &fs.Link{Ino: 2, Parent: 1, Name: "f", Time: 5}))
	list, _ := told(t, watcher)
	same(t, "O_TMPFILE", list, "link /f")
}

func TestFileWithTwoNamesInADirectory_IsToldByTheOneThatIsLeft(t *testing.T) {
	w := begun(t)
	w.apply(w.tx(1, mkfile(1, "f", 2), &fs.Link{Ino: 2, Parent: 1, Name: "l", Time: 5}))
	watcher := w.watch(fs.RootIno, fs.Position{}, "")
	w.apply(w.tx(2, inline(2)))
	list, _ := told(t, watcher)
	gone, left := list[0].Path, "/f"
	if gone == left {
		left = "/l"
	}
	w.apply(w.tx(3, &fs.Unlink{Parent: 1, Name: gone[1:], Time: 6}))
	w.apply(w.tx(4, inline(2)))
	list, _ = told(t, watcher)
	same(t, "afterwards", list, "unlink "+gone, "write "+left)
}

// The name of a file is looked for in its directory, a part for each transaction.
func TestLargeDirectory_IsReadInPartsAndOnce(t *testing.T) {
	w := begun(t)
	const files = scanMax + 100
	for at := 0; at < files; at += 1000 {
		a := w.apply(&command.AllocInos{Session: 1, Epoch: 2, N: 1000})
		var ops []fs.Op
		for i := range 1000 {
			ops = append(ops, mkfile(1, "f"+string(rune('a'+at/1000))+strings.Repeat("x", i%200)+string(rune(0x4e00+i)), a[0].Inos.From+fs.Ino(i)))
		}
		if a := w.apply(w.tx(uint64(at+1), ops...)); a[0].Tx == nil || a[0].Tx.Err != fs.CodeOK {
			t.Fatal(a[0])
		}
	}
	list, err := state.NewView(w.kv).Names(1, 0, fs.ReaddirMax*10)
	if err != nil || len(list) < files {
		t.Fatal(len(list), err)
	}
	last := list[len(list)-1]
	watcher := w.watch(fs.RootIno, fs.Position{}, "")
	w.apply(w.tx(1_000_001, inline(last.Attr.Ino)))
	w.apply(w.tx(1_000_002, inline(last.Attr.Ino)))
	got, _ := told(t, watcher)
	same(t, "a file at the end", got, "write /?", "write /"+last.Name)
}
