package state

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"dfs/fs"
	"dfs/raftmeta/command"
)

// sample is a state with a record of every kind; no two of its inodes are alike.
func sample(t *testing.T) *Memory {
	t.Helper()
	kv := NewMemory()
	index := uint64(0)
	do := func(cmd command.Command) {
		t.Helper()
		index++
		a, err := Apply(kv, index, cmd)
		if err != nil || a.Err != fs.CodeOK || a.Tx != nil && a.Tx.Err != fs.CodeOK {
			t.Fatalf("%+v: %+v, %v", cmd, a, err)
		}
	}
	do(&command.Init{Cluster: "c", Time: 1, Replicas: 3, MinReplicas: 2, InlineMax: 8, SessionTimeout: 9,
		Founders: []fs.NodeInfo{{ID: "n1", Addr: "h:1", Zone: "z"}, {ID: "n2", Addr: "h:1"}}})
	do(&command.OpenSession{Mount: fs.Mount{Host: "h", PID: 1, Path: "/p", Version: "v", Opened: 2}})
	do(&command.AllocInos{Session: 1, Epoch: 2, N: 20})
	for _, id := range []fs.NodeID{"n3", "n4"} {
		do(&command.PutNode{Node: fs.NodeInfo{ID: id, Addr: "h:1", Zone: "z"}, Storing: true})
	}
	do(&command.RemoveNode{Node: "n4"})
	do(&command.PutToken{Token: fs.JoinToken{ID: "0123456789abcdef", Role: "r", Expires: 9, Uses: 2}, Now: 1})
	blobID := func(n uint64) fs.BlobID { return fs.BlobID{Session: 1, Counter: n} }
	tx := &command.Tx{Tx: fs.Tx{ID: fs.TxID{Session: 1, Seq: 1}, Epoch: 2, Replicas: 3, Ops: []fs.Op{
		&fs.Create{Parent: 1, Name: "d", Ino: 2, Type: fs.TypeDir, Mode: 0o755, Time: 3},
		&fs.Create{Parent: 2, Name: "f", Ino: 3, Type: fs.TypeRegular, Mode: 0o644, Time: 3},
		&fs.Create{Parent: 1, Name: "l", Ino: 4, Type: fs.TypeSymlink, Target: "t", Time: 3},
		&fs.Create{Ino: 5, Type: fs.TypeRegular, Time: 3},
		&fs.Create{Parent: 2, Name: "o", Ino: 6, Type: fs.TypeFIFO, Time: 3},
		&fs.Unlink{Parent: 2, Name: "o", Time: 3},
		&fs.Create{Parent: 2, Name: "h", Ino: 7, Type: fs.TypeFIFO, Time: 3},
		&fs.Link{Ino: 7, Parent: 1, Name: "h", Time: 3},
		&fs.Write{Ino: 3, Extents: []fs.Extent{{Len: 5, Blob: blobID(1)}, {Off: 9, Len: 2, Data: []byte("ab")}}, Time: 4},
		&fs.Write{Ino: 5, Extents: []fs.Extent{{Len: 5, Blob: blobID(2)}}, Time: 4},
		&fs.Setxattr{Ino: 3, Name: "user.x", Value: []byte("v"), Time: 5},
		&fs.Setxattr{Ino: 3, Name: fs.XattrACLAccess, Value: sampleACL.encode(), Time: 5},
		&fs.Create{Parent: 2, Name: "s", Ino: 8, Type: fs.TypeDir, Time: 3, UID: 7},
	}}}
	for n, replicas := range [][]fs.NodeID{{"n1", "n2", "n3"}, {"n1", "n2"}, {"n1", "n3"}} {
		tx.Blobs = append(tx.Blobs, fs.BlobInfo{ID: blobID(uint64(n + 1)), Length: 10, Sum: 5, Replicas: replicas})
	}
	do(tx)
	do(&command.KeepAccounts{})
	do(&command.Survey{Inodes: 100})
	do(&command.SetQuota{Of: fs.QuotaOf{User: true, UID: 7}, Change: fs.LimitChange{SetBytes: true, Limits: fs.Limits{Bytes: 9}}})
	do(&command.SetQuota{Of: fs.QuotaOf{Path: "/d"}, Change: fs.LimitChange{SetInodes: true, Limits: fs.Limits{Inodes: 90}}})
	if err := Check(kv); err != nil {
		t.Fatal(err)
	}
	return kv
}

// sampleACL is what the file's mode, 0640, shows as rw-r-----.
var sampleACL = acl{{aclUserObj, 6, aclNobody}, {aclUser, 6, 7}, {aclGroupObj, 4, aclNobody}, {aclMask, 4, aclNobody}, {aclOther, 0, aclNobody}}

// Whatever single record goes missing, or is not what it should be, Check notices.
func TestCheck_NoticesEveryLostRecord(t *testing.T) {
	kv := sample(t)
	kinds := map[byte]bool{}
	err := kv.Scan([]byte(keysFrom), []byte(keysTo), func(key, _ []byte) bool {
		kinds[key[0]] = true
		if key[0] == keyAnswer || key[0] == keyNode || key[0] == keyToken { // nothing else tells that they were there
			return true
		}
		broken := kv.Clone()
		_ = broken.Delete(key)
		if err := Check(broken); !errors.Is(err, ErrBroken) {
			t.Errorf("without key %q: %v", key, err)
		}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(kinds) != 18 {
		t.Errorf("the sample has %d kinds of keys: %v", len(kinds), kinds)
	}
}

func TestCheck_NoticesWrongRecords(t *testing.T) {
	kv := sample(t)
	id := func(n uint64) fs.BlobID { return fs.BlobID{Session: 1, Counter: n} }
	// alter changes one record of an intact copy and expects a fault.
	alter := func(what string, key []byte, r record, change func()) {
		t.Helper()
		broken := kv.Clone()
		if ok, err := get(broken, key, r); err != nil || !ok {
			t.Fatalf("%s: %v, %v", what, ok, err)
		}
		change()
		_ = broken.Set(key, encode(r))
		if err := Check(broken); !errors.Is(err, ErrBroken) {
			t.Errorf("%s: %v", what, err)
		}
	}
	plant := func(what string, key []byte, r record) {
		t.Helper()
		broken := kv.Clone()
		_ = broken.Set(key, encode(r))
		if err := Check(broken); !errors.Is(err, ErrBroken) {
			t.Errorf("%s: %v", what, err)
		}
	}
	var i inode
	for what, change := range map[string]func(){
		"number": func() { i.Ino = 9 }, "nlink": func() { i.Nlink++ }, "type": func() { i.Type = fs.TypeFIFO },
		"size": func() { i.Size = 10 }, "used": func() { i.Used++ }, "version": func() { i.Version = 0 },
		"future version": func() { i.Version += 1000 }, "parent": func() { i.Parent = 1 },
		"nameless": func() { i.nameless = true }, "xattrs": func() { i.xattrBytes++ },
		"home": func() { i.home = 1 }, "no home": func() { i.home = 0 }, "wards": func() { i.wards++ },
		"not the ACL's mode": func() { i.Mode ^= 0o10 },
	} {
		i = inode{}
		alter("file: "+what, inodeKey(3), &i, change)
	}
	for what, change := range map[string]func(){
		"nlink": func() { i.Nlink++ }, "parent": func() { i.Parent = 2 }, "entries": func() { i.entries++ },
		"cookie": func() { i.nextCookie-- }, "home": func() { i.home = 1 }, "wards": func() { i.wards-- },
	} {
		i = inode{}
		alter("directory: "+what, inodeKey(2), &i, change)
	}
	for what, change := range map[string]func(){
		"orphan: no home": func() { i.home = 0 }, "orphan: another home": func() { i.home = 1 },
		"orphan: no directory": func() { i.home = 3 },
	} {
		i = inode{}
		alter(what, inodeKey(6), &i, change)
	}
	i = inode{}
	alter("hard link: home", inodeKey(7), &i, func() { i.home = 2 })
	for what, change := range map[string]func(){
		"not counted": func() { i.counted, i.tree = false, 0 }, "tree": func() { i.tree = 2 }, "no tree": func() { i.tree = 8 },
	} {
		i = inode{}
		alter("charged: "+what, inodeKey(3), &i, change)
	}
	for _, key := range [][]byte{userKey(0), userKey(7), treeKey(2)} {
		var b account
		for what, change := range map[string]func(){
			"bytes": func() { b.used.Bytes++ }, "inodes": func() { b.used.Inodes-- }, "outer": func() { b.outer = 2 },
			"phase": func() { b.phase = treeLeaving }, "doomed": func() { b.phase, b.doomed = treeCounted, true },
		} {
			b = account{}
			alter(fmt.Sprintf("account %q: %s", key, what), key, &b, change)
		}
	}
	var now accounting
	for what, change := range map[string]func(){
		"walking": func() { now.walking = 0 }, "waiting": func() { now.waiting++ }, "limited": func() { now.limited++ }, "sweep": func() { now.walking, now.sweep = 0, 1 },
	} {
		now = accounting{}
		alter("accounting: "+what, []byte(keyAccounting), &now, change)
	}
	plant("account of what is no directory", treeKey(3), &account{})
	plant("walk through what is no directory", walkKey(3), &progress{})
	var h homeCount
	alter("hard link: count", homeKey(7, 2), &h, func() { h.n++ })
	plant("home of nothing", homeKey(19, 2), &homeCount{1})
	plant("home of what has one name", homeKey(3, 2), &homeCount{1})
	var d dentry
	for what, change := range map[string]func(){
		"ino": func() { d.ino = 4 }, "type": func() { d.typ = fs.TypeDir }, "cookie": func() { d.cookie++ },
	} {
		d = dentry{}
		alter("dentry: "+what, nameKey(2, "f"), &d, change)
	}
	var e entry
	alter("entry: name", cookieKey(2, 3), &e, func() { e.name = "g" })
	var x extent
	alter("extent: blob offset", extentKey(3, 5), &x, func() { x.BlobOff = 6 })
	alter("extent: blob", extentKey(3, 5), &x, func() { x.Blob.Counter = 2 })
	var v xattr
	for what, change := range map[string]func(){
		"others first": func() { v.value[4], v.value[len(v.value)-8] = aclOther, aclUserObj },
		"other mode":   func() { v.value[len(v.value)-6] = 1 },
		"version":      func() { v.value[0] = 3 },
	} {
		v = xattr{}
		alter("ACL: "+what, xattrKey(3, fs.XattrACLAccess), &v, change)
	}
	var j token
	for what, change := range map[string]func(){
		"no use": func() { j.uses = 0 }, "less than none": func() { j.uses, j.keys = -1, make([]fs.TokenHash, 2) },
		"many": func() { j.uses = fs.TokenUsesMax + 1 }, "one key twice": func() { j.keys = make([]fs.TokenHash, 2) },
	} {
		j = token{}
		alter("token: "+what, tokenKey("0123456789abcdef"), &j, change)
	}
	alter("extent: unknown blob", extentKey(3, 5), &x, func() { x.Blob.Counter = 77 })
	var b BlobRecord
	for what, change := range map[string]func(){
		"id": func() { b.ID.Counter = 9 }, "length": func() { b.Length++ }, "live": func() { b.LiveBytes++ },
		"wanted": func() { b.Wanted = 9 }, "debt": func() { b.debt = !b.debt },
		"no replica": func() { b.Replicas = nil }, "twice": func() { b.Replicas[1] = "n1" },
		"on a removed node": func() { b.Replicas[1] = "n4" },
	} {
		b = BlobRecord{}
		alter("blob: "+what, blobKey(keyBlob, id(1)), &b, change)
	}
	var n counters
	for what, change := range map[string]func(){
		"inodes": func() { n.stats.Inodes++ }, "live": func() { n.stats.LiveBytes++ }, "debt": func() { n.stats.UnderReplicated-- },
		"next ino": func() { n.nextIno = 5 }, "next session": func() { n.nextSession = 1 },
		"storing": func() { n.storing++ },
	} {
		n = counters{}
		alter("counters: "+what, []byte(keyCounters), &n, change)
	}
	var s SessionRecord
	alter("session: done", sessionKey(1), &s, func() { s.Done = 2 })
	plant("orphan that has a name", orphanKey(3), &mark{})
	plant("orphan that is absent", orphanKey(19), &mark{})
	plant("debt of a satisfied blob", blobKey(keyDebt, id(1)), &mark{})
	plant("garbage that lives", blobKey(keyGarbage, id(1)), &garbage{})
	plant("garbage that is absent", blobKey(keyGarbage, id(7)), &garbage{})
	plant("overlapping extent", extentKey(3, 6), &extent{fs.Extent{Off: 4, Len: 2, Data: []byte("xy")}})
	plant("extent beyond the size", extentKey(3, 20), &extent{fs.Extent{Off: 18, Len: 2, Data: []byte("xy")}})
	plant("extent of a directory", extentKey(2, 2), &extent{fs.Extent{Off: 0, Len: 2, Data: []byte("xy")}})
	plant("xattr of nothing", xattrKey(19, "user.x"), &xattr{})
	plant("name in a file", nameKey(3, "x"), &dentry{ino: 4, typ: fs.TypeSymlink, cookie: 3})
	plant("entry without a name", cookieKey(1, 99), &entry{name: "x", ino: 3, typ: fs.TypeRegular})
	plant("answer of no session", answerKey(9, 1), &answer{})
	plant("inode of no name", inodeKey(8), &inode{Attr: fs.Attr{Ino: 8, Type: fs.TypeFIFO, Nlink: 1, Version: 2}})
	plant("key of no kind", []byte("zzz"), &mark{})
	plant("global of no kind", []byte("!zzz"), &mark{})
}

func TestCheck_NoticesALoopOfDirectories(t *testing.T) {
	kv := sample(t)
	// Directory 2 holds itself instead of being held by the root.
	_, _ = kv.Delete(nameKey(1, "d")), kv.Delete(cookieKey(1, 3))
	_ = kv.Set(nameKey(2, "d"), encode(&dentry{2, fs.TypeDir, 4}))
	_ = kv.Set(cookieKey(2, 4), encode(&entry{"d", 2, fs.TypeDir}))
	rewrite := func(ino fs.Ino, change func(*inode)) {
		i, err := readInode(kv, ino)
		if err != nil {
			t.Fatal(err)
		}
		change(i)
		_ = kv.Set(inodeKey(ino), encode(i))
	}
	rewrite(1, func(i *inode) { i.Nlink--; i.entries-- })
	rewrite(2, func(i *inode) { i.Nlink++; i.entries++; i.nextCookie++; i.Parent = 2 })
	err := Check(kv)
	if !errors.Is(err, ErrBroken) || !bytes.Contains([]byte(err.Error()), []byte("does not lie below the root")) {
		t.Errorf("a loop: %v", err)
	}
	if _, err := NewView(kv).Path(2); !errors.Is(err, ErrBroken) {
		t.Errorf("the path of a directory in itself: %v", err)
	}
	move := &command.Tx{Tx: fs.Tx{ID: fs.TxID{Session: 1, Seq: 9}, Epoch: 2, Ops: []fs.Op{
		&fs.Create{Parent: 1, Name: "n", Ino: 10, Type: fs.TypeDir},
		&fs.Rename{Parent: 1, Name: "n", NewParent: 2, NewName: "n"}}}}
	if _, err := Apply(kv, 99, move); !errors.Is(err, ErrBroken) {
		t.Errorf("a rename into the loop ends with %v", err)
	}
}

func TestApply_ABrokenReferenceStopsTheNode(t *testing.T) {
	good := sample(t)
	for what, test := range map[string]struct {
		lost []byte
		cmd  command.Command
	}{
		"a named inode": {inodeKey(3), tx(&fs.Unlink{Parent: 2, Name: "f"})},
		"a mapped blob": {blobKey(keyBlob, fs.BlobID{Session: 1, Counter: 1}), tx(&fs.Setattr{Ino: 3, Set: fs.SetSize})},
		"an orphan":     {inodeKey(5), &command.Reap{Inos: []fs.Ino{5}, Extents: 9}},
		"the counters":  {[]byte(keyCounters), tx()},
	} {
		kv := good.Clone()
		_ = kv.Delete(test.lost)
		if a, err := Apply(kv, 99, test.cmd); !errors.Is(err, ErrBroken) {
			t.Errorf("without %s: %+v, %v", what, a, err)
		}
	}
}

func tx(ops ...fs.Op) command.Command {
	return &command.Tx{Tx: fs.Tx{ID: fs.TxID{Session: 1, Seq: 2}, Epoch: 2, Replicas: 3, Ops: ops}}
}

func TestCheck_ReportsABoundedNumberOfFaults(t *testing.T) {
	kv := sample(t)
	for n := range uint64(100) {
		_ = kv.Set(fmt.Appendf(nil, "z%d", n), []byte{1})
	}
	err := Check(kv)
	if n := bytes.Count([]byte(fmt.Sprint(err)), []byte("\n")); n >= faultsMax {
		t.Errorf("%d faults", n)
	}
}
