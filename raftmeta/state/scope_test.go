package state_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"dfs/fs"
	"dfs/raftmeta/command"
	"dfs/raftmeta/state"
	"dfs/raftmeta/state/statetest"
)

// as does something in the name of another session, which asked for a subtree.
func (c *cluster) as(s fs.Session, do func()) {
	before, seq := c.s, c.seq
	c.s, c.seq = s, uint64(c.index)
	do()
	c.s, c.seq = before, seq
}

// bind opens a session of a subtree with 100 inode numbers.
func (c *cluster) bind(m fs.Mount) (fs.Session, fs.Ino) {
	c.t.Helper()
	s := c.do(&command.OpenSession{Mount: m}).Session
	if m.ReadOnly {
		return s, 0
	}
	return s, c.do(&command.AllocInos{Session: s.ID, Epoch: s.Epoch, N: 100}).Inos.From
}

// grove is a cluster with a directory 2 (/in) and a directory 3 (/out), a file in each (10, 11), one with a name in both (12),
// and a directory in the first (4).
func grove(t *testing.T) *cluster {
	c := newCluster(t)
	c.dir(2, "in")
	c.dir(3, "out")
	c.make(fs.TypeDir, 2, 4, "sub")
	c.make(fs.TypeRegular, 2, 10, "f")
	c.make(fs.TypeRegular, 3, 11, "f")
	c.make(fs.TypeRegular, 3, 12, "both")
	c.ok(&fs.Link{Ino: 12, Parent: 4, Name: "both", Time: 5})
	return c
}

func TestOpenSession_FindsItsRoot(t *testing.T) {
	c := grove(t)
	c.make(fs.TypeSymlink, 1, 20, "link")
	for path, want := range map[string]any{
		"": fs.RootIno, "/": fs.RootIno, "/in": fs.Ino(2), "/in/sub": fs.Ino(4),
		"/none": fs.CodeNotExist, "/in/none/x": fs.CodeNotExist, "/in/f": fs.CodeNotDir, "/in/f/x": fs.CodeNotDir,
		"/link": fs.CodeNotDir, "in": fs.CodeInvalid, "/in/": fs.CodeInvalid, "/in/../out": fs.CodeInvalid,
	} {
		a := c.send(&command.OpenSession{Mount: fs.Mount{Subtree: path}})
		if ino, ok := want.(fs.Ino); ok && (a.Err != fs.CodeOK || a.Session.Root != ino) || !ok && a.Err != want {
			t.Errorf("%q: root %d, %v; want %v", path, a.Session.Root, fs.FromCode(a.Err), want)
		}
	}
}

// Every operation, about what lies inside, outside and nowhere.
func TestBoundSession_TouchesNothingOutside(t *testing.T) {
	type kind struct {
		op   func(dir, file fs.Ino) fs.Op // about a directory and a file that may be outside
		uses string                       // which of the two it names
	}
	var own fs.Ino
	for name, k := range map[string]kind{
		"create":      {func(d, _ fs.Ino) fs.Op { return &fs.Create{Parent: d, Name: "n", Ino: own, Type: fs.TypeFIFO} }, "d"},
		"link":        {func(d, f fs.Ino) fs.Op { return &fs.Link{Ino: f, Parent: d, Name: "n"} }, "df"},
		"unlink":      {func(d, _ fs.Ino) fs.Op { return &fs.Unlink{Parent: d, Name: "f"} }, "d"},
		"rmdir":       {func(d, _ fs.Ino) fs.Op { return &fs.Rmdir{Parent: d, Name: "e"} }, "d"},
		"rename from": {func(d, _ fs.Ino) fs.Op { return &fs.Rename{Parent: d, Name: "f", NewParent: 4, NewName: "n"} }, "d"},
		"rename to":   {func(d, _ fs.Ino) fs.Op { return &fs.Rename{Parent: 4, Name: "both", NewParent: d, NewName: "n"} }, "d"},
		"exchange": {func(d, _ fs.Ino) fs.Op {
			return &fs.Rename{Parent: d, Name: "f", NewParent: 4, NewName: "both", Flags: fs.RenameExchange}
		}, "d"},
		"setattr":      {func(_, f fs.Ino) fs.Op { return &fs.Setattr{Ino: f, Set: fs.SetMode, Mode: 0o600} }, "f"},
		"setattr dir":  {func(d, _ fs.Ino) fs.Op { return &fs.Setattr{Ino: d, Set: fs.SetMode, Mode: 0o700} }, "d"},
		"write":        {func(_, f fs.Ino) fs.Op { return &fs.Write{Ino: f, Extents: []fs.Extent{{Len: 1, Data: []byte("x")}}} }, "f"},
		"allocate":     {func(_, f fs.Ino) fs.Op { return &fs.Allocate{Ino: f, Len: 5} }, "f"},
		"clone from":   {func(_, f fs.Ino) fs.Op { return &fs.Clone{Src: f, Dst: 12, Len: 1} }, "f"},
		"clone to":     {func(_, f fs.Ino) fs.Op { return &fs.Clone{Src: 12, Dst: f, Len: 1} }, "f"},
		"setxattr":     {func(_, f fs.Ino) fs.Op { return &fs.Setxattr{Ino: f, Name: "user.b"} }, "f"},
		"removexattr":  {func(_, f fs.Ino) fs.Op { return &fs.Removexattr{Ino: f, Name: "user.a"} }, "f"},
		"check":        {func(_, f fs.Ino) fs.Op { return &fs.Check{Ino: f, Version: 1} }, "f"},
		"create, then": {func(d, f fs.Ino) fs.Op { return &fs.Setattr{Ino: f} }, "f"},
	} {
		for _, place := range []struct {
			dir, file fs.Ino
			inside    bool
		}{{2, 10, true}, {3, 10, false}, {2, 11, false}, {3, 11, false}, {99, 10, false}, {2, 99, false}, {1, 10, false}} {
			c := grove(t)
			c.make(fs.TypeDir, 2, 30, "e")
			c.make(fs.TypeDir, 3, 31, "e")
			for _, ino := range []fs.Ino{10, 11} {
				c.ok(&fs.Setxattr{Ino: ino, Name: "user.a", Time: 5})
			}
			var s fs.Session
			s, own = c.bind(fs.Mount{Subtree: "/in"})
			outside := !bytes.ContainsAny([]byte(k.uses), "d") || place.dir == 2
			outside = !(outside && (!bytes.ContainsAny([]byte(k.uses), "f") || place.file == 10))
			before := c.digest()
			c.as(s, func() {
				r := c.try(k.op(place.dir, place.file))
				want := r.Err == fs.CodeOK || name == "check" && r.Err == fs.CodeConflict
				if outside {
					want = r.Err == fs.CodeAccess
				}
				if !want {
					t.Errorf("%s in %d of %d: %v", name, place.dir, place.file, fs.FromCode(r.Err))
				}
			})
			if outside && c.digest() == before {
				t.Errorf("%s: the refusal is not remembered", name)
			}
		}
	}
}

func TestBoundSession_MakesInodesOfItsOwnNumbersOnly(t *testing.T) {
	c := grove(t)
	s, own := c.bind(fs.Mount{Subtree: "/in"})
	c.as(s, func() {
		for _, ino := range []fs.Ino{50, 11, own + 100} { // another session's, used, and not allotted
			c.refused(fs.CodeAccess, &fs.Create{Parent: 2, Name: "n", Ino: ino, Type: fs.TypeFIFO})
		}
		c.ok(&fs.Create{Parent: 2, Name: "n", Ino: own, Type: fs.TypeDir},
			&fs.Create{Parent: own, Name: "n", Ino: own + 1, Type: fs.TypeRegular}, // within what the Tx itself made
			&fs.Setattr{Ino: own + 1, Set: fs.SetMode},
			&fs.Create{Ino: own + 2, Type: fs.TypeRegular}, // without a name
			&fs.Setattr{Ino: own + 2, Set: fs.SetMode},
			&fs.Link{Ino: own + 2, Parent: own, Name: "named"})
	})
}

// A blob may hold the bytes of any file; a session knows only of its own what is in it.
func TestBoundSession_MapsItsOwnBlobsOnly(t *testing.T) {
	c := grove(t)
	secret := c.info(10)
	c.store(11, 0, secret)
	s, _ := c.bind(fs.Mount{Subtree: "/in"})
	c.as(s, func() {
		c.refused(fs.CodeAccess, &fs.Write{Ino: 10, Extents: []fs.Extent{{Len: 10, Blob: secret.ID}}})
		c.store(10, 0, c.info(10))
	})
}

func TestBoundSession_SeesNoParentOfItsRoot(t *testing.T) {
	c := grove(t)
	s, own := c.bind(fs.Mount{Subtree: "/in/sub"})
	c.as(s, func() {
		r := c.ok(&fs.Create{Parent: 4, Name: "n", Ino: own, Type: fs.TypeDir})
		if r.Parent.Parent != 4 || r.Attr.Parent != 4 {
			t.Errorf("made in %d, which lies in %d", r.Attr.Parent, r.Parent.Parent)
		}
	})
	record, _, err := c.view().Session(s.ID)
	if err != nil {
		t.Fatal(err)
	}
	if a, err := c.view().As(&record).Getattr(4); err != nil || a.Parent != 4 {
		t.Errorf("the root lies in %d, %v", a.Parent, err)
	}
}

func TestReadOnlySession_ChangesNothing(t *testing.T) {
	c := grove(t)
	for _, m := range []fs.Mount{{ReadOnly: true}, {ReadOnly: true, Subtree: "/in"}} {
		s, _ := c.bind(m)
		before := c.digest()
		c.as(s, func() {
			for _, cmd := range []command.Command{c.newTx(), c.newTx(&fs.Check{Ino: 10}), c.newTx(&fs.Setattr{Ino: 10}),
				&command.AllocInos{Session: s.ID, Epoch: s.Epoch, N: 1}} {
				if a := c.send(cmd); a.Err != fs.CodeReadOnly {
					t.Errorf("%T: %+v", cmd, a)
				}
			}
		})
		if c.digest() != before {
			t.Error("something has changed")
		}
	}
}

// What is moved out is out for every transaction that is decided behind the move, however it was checked before.
func TestBoundSession_LosesWhatIsMovedOut(t *testing.T) {
	c := grove(t)
	s, own := c.bind(fs.Mount{Subtree: "/in"})
	write := &fs.Create{Parent: 4, Name: "n", Ino: own, Type: fs.TypeFIFO}
	c.ok(&fs.Rename{Parent: 2, Name: "sub", NewParent: 3, NewName: "sub", Time: 5})
	c.as(s, func() { c.refused(fs.CodeAccess, write) })
	c.ok(&fs.Rename{Parent: 3, Name: "sub", NewParent: 2, NewName: "sub", Time: 5})
	c.as(s, func() { c.ok(write) })
	// The session is bound to the directory, whatever it is called.
	c.ok(&fs.Rename{Parent: 1, Name: "in", NewParent: 3, NewName: "moved", Time: 5})
	c.as(s, func() { c.ok(&fs.Setattr{Ino: own, Set: fs.SetMode}) })
}

func TestBoundSession_GoesOnWithWhatItHasOpen(t *testing.T) {
	c := grove(t)
	s, own := c.bind(fs.Mount{Subtree: "/in"})
	c.ok(&fs.Unlink{Parent: 3, Name: "f", Time: 5})
	c.as(s, func() {
		c.ok(&fs.Create{Parent: 2, Name: "t", Ino: own, Type: fs.TypeDir}, &fs.Create{Parent: own, Name: "t", Ino: own + 1, Type: fs.TypeRegular})
		c.ok(&fs.Unlink{Parent: own, Name: "t"}, &fs.Rmdir{Parent: 2, Name: "t"})
	})
	c.do(&command.Reap{Inos: []fs.Ino{own}, Extents: 9})
	c.as(s, func() {
		c.ok(&fs.Setattr{Ino: own + 1, Set: fs.SetSize, Size: 9})
		c.refused(fs.CodeAccess, &fs.Setattr{Ino: 11, Set: fs.SetSize, Size: 9}) // an orphan from outside
	})
}

// A session whose root is gone for good makes nothing, and breaks nothing.
func TestBoundSession_OutlivesItsRoot(t *testing.T) {
	c := grove(t)
	c.dir(40, "gone")
	s, own := c.bind(fs.Mount{Subtree: "/gone"})
	c.ok(&fs.Rmdir{Parent: 1, Name: "gone", Time: 5})
	c.do(&command.Reap{Inos: []fs.Ino{40}, Extents: 9})
	c.as(s, func() {
		c.refused(fs.CodeNotExist, &fs.Create{Ino: own, Type: fs.TypeRegular})
		c.refused(fs.CodeNotExist, &fs.Create{Parent: 40, Name: "n", Ino: own, Type: fs.TypeRegular})
	})
}

func TestBound_ReadsNothingOutside(t *testing.T) {
	c := grove(t)
	secret := c.info(10)
	c.store(10, 0, secret)
	c.ok(&fs.Setxattr{Ino: 10, Name: "user.a", Time: 5})
	c.make(fs.TypeSymlink, 2, 20, "l")
	s := c.do(&command.OpenSession{Mount: fs.Mount{Subtree: "/in"}, Owner: fs.Owner{Scope: fs.Scope{Subtree: "/in"}}}).Session
	record, _, err := c.view().Session(s.ID)
	if err != nil {
		t.Fatal(err)
	}
	b := c.view().As(&record)
	reads := map[string]func(dir, file fs.Ino) error{
		"lookup":    func(d, _ fs.Ino) error { return errOf(b.Lookup(d, "f")) },
		"getattr":   func(_, f fs.Ino) error { return errOf(b.Getattr(f)) },
		"readdir":   func(d, _ fs.Ino) error { return errOf(b.Readdir(d, 0, 9)) },
		"layout":    func(_, f fs.Ino) error { return errOf(b.Layout(f, 0, 9)) },
		"getxattr":  func(_, f fs.Ino) error { return errOf(b.Getxattr(f, "user.a")) },
		"listxattr": func(_, f fs.Ino) error { return errOf(b.Listxattr(f)) },
		"readlink":  func(_, f fs.Ino) error { return errOf(b.Readlink(f + 10)) },
	}
	for name, read := range reads {
		if err := read(2, 10); err != nil {
			t.Errorf("%s inside: %v", name, err)
		}
		for _, at := range [][2]fs.Ino{{3, 11}, {1, 1}, {98, 99}} {
			if err := read(at[0], at[1]); !errors.Is(err, fs.ErrAccess) {
				t.Errorf("%s of %v: %v", name, at, err)
			}
		}
	}
	if l, err := b.Layout(10, 0, 9); err != nil || l.Blobs[0].Sum != 0 || secret.Sum == 0 {
		t.Errorf("the layout tells the checksum: %+v, %v", l, err)
	}
}

func TestMaps_WantsExactlyThoseBytes(t *testing.T) {
	c := newCluster(t)
	c.file(2, "f")
	info, other := c.info(100), c.info(100)
	tx := c.newTx(&fs.Write{Ino: 2, Time: 5, Extents: []fs.Extent{{Off: 10, Len: 20, Blob: info.ID, BlobOff: 5}, {Off: 30, Len: 5, Blob: info.ID, BlobOff: 50},
		{Off: 35, Len: 5, Blob: other.ID, BlobOff: 55}, {Off: 50, Len: 5, Blob: other.ID, BlobOff: 60}, {Off: 60, Len: 2, Data: []byte("ab")}}},
		&fs.Write{Ino: 2, Time: 5, Extents: []fs.Extent{{Off: 20, Len: 2, Blob: other.ID, BlobOff: 99 - 1}}},
		&fs.Write{Ino: 2, Time: 5, Extents: []fs.Extent{{Off: 20, Len: 2, Blob: info.ID, BlobOff: 15}}}) // back again: perhaps three extents
	tx.Blobs = []fs.BlobInfo{info, other}
	if r := c.do(tx).Tx; r.Err != fs.CodeOK {
		t.Fatal(fs.FromCode(r.Err))
	}
	for _, test := range []struct {
		off        uint64
		blob       fs.BlobID
		blobOff, n uint32
		want       bool
	}{
		{10, info.ID, 5, 20, true}, {12, info.ID, 7, 3, true}, {29, info.ID, 24, 1, true},
		{10, info.ID, 5, 21, false}, {9, info.ID, 4, 3, false}, {12, info.ID, 8, 3, false}, {12, other.ID, 7, 3, false},
		{30, info.ID, 50, 6, false}, {36, other.ID, 56, 4, true}, {36, other.ID, 56, 15, false}, {60, fs.BlobID{}, 0, 2, false},
		{10, info.ID, 5, 0, false}, {80, info.ID, 5, 1, false},
	} {
		if got, err := c.view().Maps(2, test.off, test.blob, test.blobOff, test.n); err != nil || got != test.want {
			t.Errorf("%+v: %v, %v", test, got, err)
		}
	}
}

// keys are all keys and values that are about an inode.
func keys(t interface{ Fatal(...any) }, kv *state.Memory) map[string]string {
	all := map[string]string{}
	for _, kind := range "acinopx" {
		err := kv.Scan([]byte{byte(kind)}, []byte{byte(kind) + 1}, func(key, value []byte) bool {
			all[string(key)] = string(value)
			return true
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// checkConfined applies a Tx and finds keys of inodes that lie outside of its session's subtree and were changed by it.
func checkConfined(w *world, cmd command.Command, before map[string]string, beneath map[fs.Ino]bool, answer state.Answer, after map[string]string) error {
	for key := range after {
		ino := fs.Ino(binary.BigEndian.Uint64([]byte(key[1:])))
		_, existed := before[string(binary.BigEndian.AppendUint64([]byte("i"), uint64(ino)))]
		if after[key] != before[key] && existed && !beneath[ino] {
			return fmt.Errorf("key %q of inode %d, outside, was changed by %+v (%+v)", key, ino, cmd, answer.Tx)
		}
	}
	for key := range before {
		if ino := fs.Ino(binary.BigEndian.Uint64([]byte(key[1:]))); after[key] == "" && !beneath[ino] {
			return fmt.Errorf("key %q of inode %d, outside, was removed by %+v", key, ino, cmd)
		}
	}
	return nil
}

// confined runs commands, and checks each transaction of a bound session. It returns how many were carried out.
func confined(t interface{ Fatal(...any) }, choose statetest.Chooser, steps int) (done int) {
	g, w := statetest.NewGenerator(choose), newWorld()
	for range steps {
		cmd := g.Next()
		var root fs.Ino
		if tx, ok := cmd.(*command.Tx); ok {
			record, live, err := state.NewView(w.kv).Session(tx.ID.Session)
			if err != nil {
				t.Fatal(err)
			}
			if live && record.Root != fs.RootIno {
				root = record.Root
			}
		}
		var before map[string]string
		beneath := map[fs.Ino]bool{}
		if root != 0 {
			before = keys(t, w.kv)
			inos, err := state.AllInos(w.kv)
			if err != nil {
				t.Fatal(err)
			}
			for _, ino := range inos {
				if beneath[ino], err = state.NewView(w.kv).Within(ino, root); err != nil { // the model agrees, see Compare
					t.Fatal(err)
				}
			}
		}
		answer, err := w.apply(cmd)
		if err != nil {
			t.Fatal(err)
		}
		g.Observe(cmd, answer)
		if root == 0 {
			continue
		}
		if err := checkConfined(w, cmd, before, beneath, answer, keys(t, w.kv)); err != nil {
			t.Fatal(err)
		}
		if answer.Tx != nil && answer.Tx.Err == fs.CodeOK {
			done++
		}
	}
	return done
}

func TestBoundSession_NeverChangesAKeyOutside(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		confined(t, func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "n") }, 60)
	})
	done := 0
	for seed := range uint64(16) {
		done += confined(t, rand.New(rand.NewPCG(seed, 7)).IntN, 250)
	}
	if done < 40 {
		t.Errorf("only %d transactions of bound sessions were carried out: that proves nothing", done)
	}
}

// Each operation of a bound session looks for its way to the root. A file with many names, or at the bottom of a deep tree, must
// not make a transaction take minutes on every node.
func TestBoundSession_ClimbsNoMoreThanSoMuch(t *testing.T) {
	c := grove(t)
	own := c.do(&command.AllocInos{Session: c.s.ID, Epoch: c.s.Epoch, N: 8000}).Inos
	for done := 0; done < own.N; {
		var ops []fs.Op
		for ; done < own.N && len(ops) < fs.TxOpsMax-1; done++ {
			dir := own.From + fs.Ino(done)
			ops = append(ops, &fs.Create{Parent: 2, Name: fmt.Sprint("d", done), Ino: dir, Type: fs.TypeDir, Time: 5}, &fs.Link{Ino: 10, Parent: dir, Name: "f", Time: 5})
		}
		c.ok(ops...)
	}
	s, _ := c.bind(fs.Mount{Subtree: "/in"})
	ops := make([]fs.Op, fs.TxOpsMax)
	for n := range ops {
		ops[n] = &fs.Setattr{Ino: 10, Set: fs.SetMode, Mode: 0o600, Time: 5}
	}
	c.as(s, func() {
		if r := c.try(ops[:8]...); r.Err != fs.CodeOK {
			t.Errorf("a few: %v", fs.FromCode(r.Err))
		}
		if r := c.try(ops...); r.Err != fs.CodeTooManyExtents || r.Failed < 8 {
			t.Errorf("as many as a transaction may have: %v at %d", fs.FromCode(r.Err), r.Failed)
		}
	})
	if r := c.try(ops...); r.Err != fs.CodeOK {
		t.Errorf("of a session that is not bound: %v", fs.FromCode(r.Err))
	}
}

// An operation that admit forgets would be allowed everything.
func TestEveryOperation_HasSubjects(t *testing.T) {
	for _, op := range []fs.Op{&fs.Create{Parent: 99}, &fs.Link{}, &fs.Unlink{}, &fs.Rmdir{}, &fs.Rename{}, &fs.Setattr{}, &fs.Write{}, &fs.Allocate{},
		&fs.Clone{}, &fs.Setxattr{}, &fs.Removexattr{}, &fs.Check{}} {
		c := grove(t)
		s, _ := c.bind(fs.Mount{Subtree: "/in"})
		c.as(s, func() {
			if r := c.try(op); r.Err != fs.CodeAccess {
				t.Errorf("%v about nothing: %v", reflect.TypeOf(op), fs.FromCode(r.Err))
			}
		})
	}
}

func errOf[T any](_ T, err error) error { return err }
