package state_test

import (
	"testing"

	"dfs/fs"
	"dfs/raftmeta/command"
)

// limit sets the limits of a tree or, for a path that begins with a digit, of a user, and has all of it counted.
func (c *cluster) limit(of fs.QuotaOf, bytes, inodes uint64) {
	c.t.Helper()
	c.do(&command.KeepAccounts{})
	c.do(&command.SetQuota{Of: of, Change: fs.LimitChange{SetBytes: true, SetInodes: true, Limits: fs.Limits{Bytes: bytes, Inodes: inodes}}})
	c.settled()
}

// settled has all of it counted.
func (c *cluster) settled() {
	c.t.Helper()
	for {
		more, err := c.view().Surveying()
		if err != nil {
			c.t.Fatal(err)
		}
		if !more {
			return
		}
		c.do(&command.Survey{Inodes: 2})
	}
}

// uses wants a usage, of the tree that begins at an inode or of a user.
func (c *cluster) uses(id fs.QuotaID, bytes, inodes uint64) {
	c.t.Helper()
	list, err := c.view().Quotas(fs.QuotaID{}, 100, true)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, q := range list {
		if q.ID == id {
			if q.Used != (fs.Usage{Bytes: bytes, Inodes: inodes}) || q.State != fs.QuotaCounted {
				c.t.Errorf("quota %+v, want a usage of %d bytes and %d inodes", q, bytes, inodes)
			}
			return
		}
	}
	if bytes+inodes > 0 {
		c.t.Errorf("no quota %+v among %+v", id, list)
	}
}

func treeID(ino uint64) fs.QuotaID { return fs.QuotaID{Number: ino} }
func userID(uid uint64) fs.QuotaID { return fs.QuotaID{User: true, Number: uid} }

// put is a write of n bytes.
func put(ino fs.Ino, off, n uint64) fs.Op {
	return &fs.Write{Ino: ino, Extents: []fs.Extent{{Off: off, Len: n, Data: make([]byte, n)}}, Time: 9}
}

func size(ino fs.Ino, n uint64) fs.Op {
	return &fs.Setattr{Ino: ino, Set: fs.SetSize, Size: n, Time: 9}
}

func TestQuota_OfATree_BindsBytesExactly(t *testing.T) {
	c := newCluster(t)
	c.dir(2, "d")
	c.limit(fs.QuotaOf{Path: "/d"}, 100, 0)
	c.make(fs.TypeRegular, 2, 3, "f")
	c.make(fs.TypeRegular, 1, 4, "outside")
	c.ok(put(3, 0, 60), put(3, 1000, 40)) // the hole between costs nothing
	c.uses(treeID(2), 100, 2)
	c.refused(fs.CodeQuota, put(3, 60, 1))
	c.refused(fs.CodeQuota, &fs.Clone{Src: 3, Dst: 3, DstOff: 100, Len: 1, Time: 9})
	c.refused(fs.CodeQuota, size(3, 2000), put(4, 0, 5), put(3, 1500, 1)) // as a whole
	c.uses(treeID(2), 100, 2)
	c.ok(put(3, 10, 50), put(4, 0, 500))                          // over what is there, and elsewhere
	c.ok(size(3, 50), put(3, 60, 50))                             // in one transaction, in this order
	c.refused(fs.CodeQuota, put(3, 200, 50), size(3, 60))         // and not in that one
	c.ok(&fs.Allocate{Ino: 3, Off: 0, Len: 30, Mode: 1, Time: 9}) // a hole is made
	c.uses(treeID(2), 70, 2)
	c.ok(&fs.Clone{Src: 4, Dst: 3, DstOff: 500, Len: 30, Time: 9})
	c.uses(treeID(2), 100, 2)
	c.ok(&fs.Unlink{Parent: 2, Name: "f", Time: 9})
	c.uses(treeID(2), 100, 2) // an orphan costs what it did
	c.do(&command.Reap{Inos: []fs.Ino{3}, Extents: 100})
	c.uses(treeID(2), 0, 1)
	c.uses(userID(1), 500, 2)
}

func TestQuota_BindsInodesAndWhatIsBelowUseRefusesOnlyMore(t *testing.T) {
	c := newCluster(t)
	c.dir(2, "d")
	c.make(fs.TypeRegular, 2, 3, "f")
	c.ok(put(3, 0, 50))
	c.limit(fs.QuotaOf{Path: "/d"}, 10, 2)
	c.uses(treeID(2), 50, 2)
	file := &fs.Create{Parent: 2, Name: "g", Ino: 4, Type: fs.TypeRegular, Time: 9}
	c.refused(fs.CodeQuota, file)
	c.refused(fs.CodeQuota, &fs.Create{Parent: 2, Name: "l", Ino: 4, Type: fs.TypeSymlink, Target: "x", Time: 9})
	c.ok(&fs.Setattr{Ino: 3, Set: fs.SetMode, Mode: 0o600, Time: 9}, put(3, 20, 10), size(3, 40), &fs.Link{Ino: 3, Parent: 2, Name: "h", Time: 9})
	c.refused(fs.CodeQuota, put(3, 40, 1))
	c.limit(fs.QuotaOf{Path: "/d"}, 0, 3)
	c.ok(file, put(3, 40, 1000))
	c.uses(treeID(2), 1040, 3)
}

func TestQuota_OfAUserFollowsTheOwner(t *testing.T) {
	c := newCluster(t)
	c.file(2, "a")
	c.ok(put(2, 0, 50))
	c.limit(fs.QuotaOf{User: true, UID: 7}, 60, 1)
	own := func(ino fs.Ino, uid uint32) fs.Op { return &fs.Setattr{Ino: ino, Set: fs.SetUID, UID: uid, Time: 9} }
	c.ok(own(2, 7))
	c.uses(userID(1), 0, 0)
	c.uses(userID(7), 50, 1)
	c.file(3, "b")
	c.refused(fs.CodeQuota, own(3, 7))
	c.refused(fs.CodeQuota, put(2, 50, 11))
	c.ok(put(2, 50, 10), own(2, 1), own(3, 7))
	c.refused(fs.CodeQuota, put(3, 0, 61))
	c.do(&command.SetQuota{Of: fs.QuotaOf{User: true, UID: 7}, Remove: true})
	c.ok(put(3, 0, 61), own(2, 7))
	c.uses(userID(7), 121, 2)
}

func TestQuota_TreesInTreesPayTogether(t *testing.T) {
	c := newCluster(t)
	c.dir(2, "a")
	c.make(fs.TypeDir, 2, 3, "b")
	c.make(fs.TypeRegular, 3, 4, "f")
	c.ok(put(4, 0, 10))
	c.limit(fs.QuotaOf{Path: "/a/b"}, 100, 0)
	c.limit(fs.QuotaOf{Path: "/a"}, 50, 0)
	c.uses(treeID(3), 10, 2)
	c.uses(treeID(2), 10, 3)
	c.refused(fs.CodeQuota, put(4, 10, 41))
	c.ok(put(4, 10, 40))
	whole := fs.Statfs{TotalBytes: 1000, FreeBytes: 900, Inodes: 77}
	if s, err := c.view().Statfs(4, whole); err != nil || s != (fs.Statfs{TotalBytes: 50, Inodes: 77}) {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err := c.view().Statfs(1, whole); err != nil || s != whole {
		t.Errorf("%+v, %v", s, err)
	}
	c.limit(fs.QuotaOf{Path: "/a"}, 0, 10)
	if s, err := c.view().Statfs(4, whole); err != nil || s != (fs.Statfs{TotalBytes: 100, FreeBytes: 50, Inodes: 3, InodesLimit: 10}) {
		t.Errorf("%+v, %v", s, err)
	}
	whole.FreeBytes = 20 // the cluster has less than the quota leaves
	if s, err := c.view().Statfs(4, whole); err != nil || s.TotalBytes != 70 || s.FreeBytes != 20 {
		t.Errorf("%+v, %v", s, err)
	}
	c.do(&command.SetQuota{Of: fs.QuotaOf{Path: "/a/b"}, Remove: true})
	c.settled()
	c.uses(treeID(3), 0, 0)
	c.uses(treeID(2), 50, 3)
}

func TestQuota_NamesDoNotCrossButFilesMove(t *testing.T) {
	c := newCluster(t)
	c.dir(2, "d")
	c.dir(3, "e")
	c.make(fs.TypeRegular, 1, 4, "f")
	c.make(fs.TypeDir, 1, 5, "s")
	c.make(fs.TypeRegular, 2, 6, "in")
	c.ok(put(4, 0, 30))
	c.limit(fs.QuotaOf{Path: "/d"}, 40, 0)
	move := func(from fs.Ino, name string, to fs.Ino) fs.Op {
		return &fs.Rename{Parent: from, Name: name, NewParent: to, NewName: name, Time: 9}
	}
	c.refused(fs.CodeCrossDevice, &fs.Link{Ino: 4, Parent: 2, Name: "f", Time: 9})
	c.refused(fs.CodeCrossDevice, move(1, "s", 2))
	c.ok(move(1, "s", 3), move(1, "f", 2)) // a directory within its tree, a file anywhere
	c.uses(treeID(2), 30, 3)
	c.ok(&fs.Create{Parent: 1, Name: "g", Ino: 7, Type: fs.TypeRegular, Time: 9}, put(7, 0, 11))
	c.refused(fs.CodeQuota, move(1, "g", 2))
	c.refused(fs.CodeCrossDevice, &fs.Rename{Parent: 1, Name: "e", NewParent: 2, NewName: "in", Flags: fs.RenameExchange, Time: 9})
	c.ok(&fs.Rename{Parent: 1, Name: "g", NewParent: 2, NewName: "f", Flags: fs.RenameExchange, Time: 9})
	c.uses(treeID(2), 11, 3)
	c.ok(&fs.Link{Ino: 7, Parent: 2, Name: "twin", Time: 9})
	c.refused(fs.CodeCrossDevice, move(2, "twin", 1))
	c.ok(move(1, "d", 3)) // the tree itself may go anywhere in the one around it
	c.ok(&fs.Create{Ino: 8, Type: fs.TypeRegular, Time: 9}, put(8, 0, 29))
	c.uses(treeID(2), 11, 3)
	c.ok(&fs.Link{Ino: 8, Parent: 2, Name: "tmp", Time: 9}) // made without a name: its first may be anywhere
	c.uses(treeID(2), 40, 4)
}

func TestQuota_OfARemovedDirectoryGoesWithIt(t *testing.T) {
	for what, path := range map[string]string{"counted": "/d", "inside": "/d/e"} {
		c := newCluster(t)
		c.dir(2, "d")
		c.make(fs.TypeDir, 2, 3, "e")
		c.make(fs.TypeRegular, 3, 4, "f")
		c.limit(fs.QuotaOf{Path: path}, 40, 0)
		c.ok(put(4, 0, 30), &fs.Unlink{Parent: 3, Name: "f", Time: 9}, &fs.Rmdir{Parent: 2, Name: "e", Time: 9}, &fs.Rmdir{Parent: 1, Name: "d", Time: 9})
		if list, err := c.view().Quotas(fs.QuotaID{}, 10, false); err != nil || len(list) != 1 || list[0].Path != "" || list[0].Used.Bytes != 30 {
			t.Errorf("%s: while it is open: %+v, %v", what, list, err)
		}
		for range 3 {
			c.do(&command.Reap{Inos: []fs.Ino{2, 3, 4}, Extents: 100})
		}
		if list, err := c.view().Quotas(fs.QuotaID{}, 10, false); err != nil || len(list) != 0 {
			t.Errorf("%s: %+v, %v", what, list, err)
		}
	}
}

// While it waits for its turn, and while it is counted, what is already charged is bound, and nothing else.
func TestQuota_IsBoundByWhatHasBeenCounted(t *testing.T) {
	c := newCluster(t)
	c.do(&command.KeepAccounts{})
	c.settled()
	for n := range fs.Ino(2) {
		c.make(fs.TypeDir, 1, 2+n, string(rune('a'+n)))
		for k := range fs.Ino(3) {
			c.make(fs.TypeRegular, 2+n, 10*(n+1)+k, string(rune('x'+k)))
			c.ok(put(10*(n+1)+k, 0, 10))
		}
	}
	set := func(path string) {
		c.do(&command.SetQuota{Of: fs.QuotaOf{Path: path}, Change: fs.LimitChange{SetBytes: true, Limits: fs.Limits{Bytes: 30}}})
	}
	set("/a")
	set("/b")
	states := func(a, b string) {
		t.Helper()
		list, err := c.view().Quotas(fs.QuotaID{}, 10, false)
		if err != nil || len(list) != 2 || list[0].State != a || list[1].State != b {
			t.Fatalf("%+v, %v, want %s, %s", list, err, a, b)
		}
	}
	states(fs.QuotaCounting, fs.QuotaWaiting)
	c.ok(put(10, 10, 10)) // not counted yet: its tree has used nothing
	c.do(&command.Survey{Inodes: 1})
	c.ok(put(20, 10, 10)) // of the one that waits
	c.settled()
	states(fs.QuotaCounted, fs.QuotaCounted)
	c.refused(fs.CodeQuota, put(10, 20, 1))
	c.refused(fs.CodeQuota, put(20, 20, 1))
	c.do(&command.SetQuota{Of: fs.QuotaOf{Path: "/a"}, Remove: true})
	c.do(&command.SetQuota{Of: fs.QuotaOf{Path: "/b"}, Remove: true})
	states(fs.QuotaLeaving, fs.QuotaLeaving)
	c.ok(put(10, 20, 1), put(20, 20, 1))
	if a := c.send(&command.SetQuota{Of: fs.QuotaOf{Path: "/a"}}); a.Err != fs.CodeBusy {
		t.Errorf("a tree that is being left takes a quota: %+v", a)
	}
	set("/b") // it had to wait: it stays
	c.settled()
	c.uses(treeID(2), 0, 0)
	c.uses(treeID(3), 41, 4)
}

// What a walk has not reached is charged when it is renamed or linked, whatever the limits are: it was there before them.
func TestQuota_TakesInWhatIsRenamedBeforeItIsCounted(t *testing.T) {
	c := newCluster(t)
	c.do(&command.KeepAccounts{})
	c.settled()
	c.dir(2, "d")
	for n := range fs.Ino(6) {
		c.make(fs.TypeRegular, 2, 3+n, string(rune('a'+n)))
		c.ok(put(3+n, 0, 10))
	}
	c.make(fs.TypeDir, 2, 20, "s")
	c.make(fs.TypeRegular, 20, 21, "f")
	c.do(&command.SetQuota{Of: fs.QuotaOf{Path: "/d"}, Change: fs.LimitChange{SetBytes: true, SetInodes: true, Limits: fs.Limits{Bytes: 15, Inodes: 2}}})
	move := func(name, to string, dir fs.Ino) fs.Op {
		return &fs.Rename{Parent: 2, Name: name, NewParent: dir, NewName: to, Time: 9}
	}
	c.ok(move("a", "A", 2))
	c.ok(move("b", "c", 2)) // over another that is not counted either
	c.ok(&fs.Link{Ino: 6, Parent: 2, Name: "twin", Time: 9})
	c.refused(fs.CodeCrossDevice, move("s", "s", 1)) // it lies in the tree, counted or not
	c.ok(move("s", "S", 2), move("e", "e", 1))       // a file takes along what it is charged
	c.settled()
	c.uses(treeID(2), 40, 7) // c, which b has replaced, is an orphan of the tree around
	c.refused(fs.CodeQuota, &fs.Create{Parent: 20, Name: "x", Ino: 30, Type: fs.TypeRegular, Time: 9})
}
