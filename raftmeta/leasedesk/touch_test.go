package leasedesk

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"dfs/fs"
	"dfs/raftmeta/command"
	"dfs/raftmeta/state"
	"dfs/raftmeta/state/statetest"
)

// all is everything that a transaction may change.
func all(tx *fs.Tx, stray bool, now Resolver) (map[fs.Ino]bool, error) {
	t := touch(tx, stray)
	found, err := resolve(tx, now)
	set := maps.Clone(t.changes)
	maps.Copy(set, found)
	maps.Copy(set, t.born)
	return set, err
}

func TestTouch_ListsWhatEachOperationChanges(t *testing.T) {
	dirs := map[name]fs.Ino{{1, "a"}: 10, {1, "b"}: 11, {1, "c"}: 10, {2, "x"}: 20}
	for _, x := range []struct {
		ops  []fs.Op
		want []fs.Ino
	}{
		{[]fs.Op{&fs.Create{Parent: 1, Name: "n", Ino: 30}}, []fs.Ino{1, 30}},
		{[]fs.Op{&fs.Create{Ino: 30}}, []fs.Ino{30}},
		{[]fs.Op{&fs.Link{Ino: 10, Parent: 2, Name: "n"}}, []fs.Ino{2, 10}},
		{[]fs.Op{&fs.Unlink{Parent: 1, Name: "a"}}, []fs.Ino{1, 10}},
		{[]fs.Op{&fs.Unlink{Parent: 1, Name: "none"}}, []fs.Ino{1}},
		{[]fs.Op{&fs.Rmdir{Parent: 1, Name: "b"}}, []fs.Ino{1, 11}},
		{[]fs.Op{&fs.Rename{Parent: 1, Name: "a", NewParent: 2, NewName: "n"}}, []fs.Ino{1, 2, 10}},
		{[]fs.Op{&fs.Rename{Parent: 1, Name: "a", NewParent: 2, NewName: "x"}}, []fs.Ino{1, 2, 10, 20}},
		{[]fs.Op{&fs.Rename{Parent: 1, Name: "b", NewParent: 2, NewName: "x", Flags: fs.RenameExchange}}, []fs.Ino{1, 2, 11, 20}},
		{[]fs.Op{&fs.Write{Ino: 10}}, []fs.Ino{10}},
		{[]fs.Op{&fs.Clone{Src: 11, Dst: 10}}, []fs.Ino{10}},
		{[]fs.Op{&fs.Setattr{Ino: 10}, &fs.Allocate{Ino: 11}, &fs.Setxattr{Ino: 20}, &fs.Removexattr{Ino: 21}}, []fs.Ino{10, 11, 20, 21}},
		{[]fs.Op{&fs.Check{Ino: 10}}, nil},
		{[]fs.Op{&fs.Access{Ino: 10}}, nil},
		// What went before counts.
		{[]fs.Op{&fs.Create{Parent: 1, Name: "n", Ino: 30}, &fs.Unlink{Parent: 1, Name: "n"}}, []fs.Ino{1, 30}},
		{[]fs.Op{&fs.Rename{Parent: 1, Name: "a", NewParent: 1, NewName: "n"}, &fs.Rename{Parent: 1, Name: "n", NewParent: 2, NewName: "x"}},
			[]fs.Ino{1, 2, 10, 20}},
		{[]fs.Op{&fs.Rename{Parent: 1, Name: "a", NewParent: 1, NewName: "b", Flags: fs.RenameExchange}, &fs.Unlink{Parent: 1, Name: "a"}},
			[]fs.Ino{1, 10, 11}},
		{[]fs.Op{&fs.Rename{Parent: 1, Name: "a", NewParent: 1, NewName: "c"}, &fs.Unlink{Parent: 1, Name: "a"}}, []fs.Ino{1, 10}},
	} {
		set, err := all(&fs.Tx{Ops: x.ops}, false, func(dir fs.Ino, n string) (fs.Ino, error) { return dirs[name{dir, n}], nil })
		if got := slices.Sorted(maps.Keys(set)); err != nil || !slices.Equal(got, x.want) {
			t.Errorf("%+v touches %v (%v), want %v", x.ops, got, err, x.want)
		}
	}
}

func TestTouch_ListsWhatIsOnlyRead(t *testing.T) {
	got := touch(&fs.Tx{Ops: []fs.Op{&fs.Clone{Src: 1, Dst: 2}, &fs.Check{Ino: 3}, &fs.Create{Near: 4, Ino: 9}, &fs.Access{Ino: 5}}}, false).looks
	if want := map[fs.Ino]bool{1: true, 3: true, 4: true}; !maps.Equal(got, want) {
		t.Errorf("reads %v, want %v", got, want)
	}
}

func TestTouch_AStrayIsOneOnlyIfNothingElseIsDoneToTheInode(t *testing.T) {
	got := touch(&fs.Tx{Ops: []fs.Op{&fs.Write{Ino: 1}, &fs.Write{Ino: 2}, &fs.Setattr{Ino: 2}, &fs.Setattr{Ino: 3}, &fs.Write{Ino: 3}}}, true).changes
	if want := map[fs.Ino]bool{1: true, 2: false, 3: false}; !maps.Equal(got, want) {
		t.Errorf("strays %v, want %v", got, want)
	}
}

// All else rests on this: no inode changes that its transaction did not wait for.
func TestTouch_LeavesOutNothingThatTheStateMachineChanges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		follow(t, statetest.NewGenerator(func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "n") }), 60)
	})
	changes := 0
	for seed := range uint64(6) {
		changes += follow(t, statetest.NewGenerator(rand.New(rand.NewPCG(seed, 1)).IntN), 250)
	}
	if changes < 300 {
		t.Errorf("only %d inodes were changed: this shows nothing", changes)
	}
}

// follow applies random commands and compares what each changes with what it touches. It returns how many inodes were changed.
func follow(t rapid.TB, g *statetest.Generator, steps int) (changes int) {
	kv := state.NewMemory()
	before, end := map[fs.Ino]any{}, fs.RootIno+1
	for index := range uint64(steps) {
		cmd := g.Next()
		may := func(ino fs.Ino) bool { return false }
		switch m := cmd.(type) {
		case *command.Init:
			may = func(ino fs.Ino) bool { return true }
		case *command.Reap: // of orphans, which have no names, and which nobody has open
			may = func(ino fs.Ino) bool { return slices.Contains(m.Inos, ino) }
		case *command.Tx:
			set, err := all(&m.Tx, false, func(dir fs.Ino, n string) (fs.Ino, error) {
				a, err := state.NewView(kv).Lookup(dir, n)
				if err != nil {
					return 0, nil
				}
				return a.Ino, nil
			})
			if err != nil {
				t.Fatal(err)
			}
			may = func(ino fs.Ino) bool { _, ok := set[ino]; return ok }
		}
		answer, err := state.Apply(kv, index+1, cmd)
		if err != nil {
			t.Fatal(err)
		}
		g.Observe(cmd, answer)
		end = max(end, answer.Inos.From+fs.Ino(answer.Inos.N))
		after := inodes(t, state.NewView(kv), end)
		for ino := range union(before, after) {
			if reflect.DeepEqual(before[ino], after[ino]) {
				continue
			}
			changes++
			if !may(ino) {
				t.Fatalf("%T %+v has changed inode %d\n%+v\n%+v", cmd, cmd, ino, before[ino], after[ino])
			}
		}
		before = after
	}
	return changes
}

func union(a, b map[fs.Ino]any) map[fs.Ino]any {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// inodes is all that a mount could know of each inode with a number below end.
func inodes(t rapid.TB, v state.View, end fs.Ino) map[fs.Ino]any {
	all := map[fs.Ino]any{}
	for ino := fs.RootIno; ino < end; ino++ {
		a, err := v.Getattr(ino)
		if err != nil {
			continue
		}
		a.Atime = 0 // but for a read's, of which others may hear late, it changes with the Version
		known := []any{a}
		names, err := v.Listxattr(ino)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range names {
			value, err := v.Getxattr(ino, n)
			if err != nil {
				t.Fatal(err)
			}
			known = append(known, n, value)
		}
		switch a.Type {
		case fs.TypeDir:
			list, err := v.Readdir(ino, 0, fs.ReaddirMax)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range list.Entries {
				known = append(known, fmt.Sprint(e.Name, e.Cookie, e.Attr.Ino))
			}
		case fs.TypeRegular:
			l, err := v.Layout(ino, 0, math.MaxUint64)
			if err != nil {
				t.Fatal(err)
			}
			known = append(known, l.Extents)
		}
		all[ino] = known
	}
	return all
}
