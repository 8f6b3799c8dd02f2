package state_test

import (
	"slices"
	"testing"

	"dfs/fs"
	"dfs/raftmeta/command"
	"dfs/raftmeta/state"
)

func (c *cluster) blob(id fs.BlobID) state.BlobRecord {
	c.t.Helper()
	list, err := c.view().Blobs(fs.BlobID{}, 1000)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, b := range list {
		if b.ID == id {
			return b
		}
	}
	return state.BlobRecord{}
}

func (c *cluster) debt() []fs.BlobID {
	c.t.Helper()
	list, err := c.view().Debt(fs.BlobID{}, 1000)
	if err != nil {
		c.t.Fatal(err)
	}
	var ids []fs.BlobID
	for _, b := range list {
		ids = append(ids, b.ID)
	}
	return ids
}

func TestBlob_LivesFromItsFirstExtentToForget(t *testing.T) {
	c := newCluster(t)
	c.file(2, "a")
	c.file(3, "b")
	info := c.info(10, "n1", "n2")
	c.store(2, 0, info)
	c.ok(&fs.Clone{Src: 2, Dst: 3, Len: 10, Time: 9})
	if b := c.blob(info.ID); b.LiveBytes != 20 || b.Wanted != 3 || !slices.Equal(c.debt(), []fs.BlobID{info.ID}) {
		t.Errorf("mapped twice: %+v, debt %v", b, c.debt())
	}
	c.ok(&fs.Setattr{Ino: 2, Set: fs.SetSize, Size: 0, Time: 9})
	c.do(&command.Forget{Blobs: []fs.BlobID{info.ID}})
	if b := c.blob(info.ID); b.LiveBytes != 10 {
		t.Errorf("a live blob after Forget: %+v", b)
	}
	c.ok(&fs.Setattr{Ino: 3, Set: fs.SetSize, Size: 4, Time: 9})
	c.ok(&fs.Setattr{Ino: 3, Set: fs.SetSize, Size: 0, Time: 9})
	garbage, err := c.view().Garbage(fs.BlobID{}, 10)
	if err != nil || len(garbage) != 1 || garbage[0].ID != info.ID || garbage[0].Index != c.index || len(c.debt()) != 0 {
		t.Errorf("garbage %+v, %v, debt %v", garbage, err, c.debt())
	}
	if s := c.stats(); s.Blobs != 1 || s.BlobBytes != 10 || s.LiveBytes != 0 || s.UnderReplicated != 0 {
		t.Errorf("counts %+v", s)
	}
	c.do(&command.Forget{Blobs: []fs.BlobID{info.ID, info.ID, {Session: 9, Counter: 9}}})
	if _, there, err := c.view().Blob(info.ID); there || err != nil {
		t.Errorf("after Forget: %v, %v", there, err)
	}
	if s := c.stats(); s.Blobs+s.BlobBytes+s.Garbage != 0 {
		t.Errorf("counts %+v", s)
	}
}

func TestBlob_NotMappedByItsTransactionIsGarbageAtOnce(t *testing.T) {
	c := newCluster(t)
	c.file(2, "a")
	kept, lost := c.info(10, "n1", "n2"), c.info(10, "n1", "n2")
	tx := c.newTx(
		&fs.Write{Ino: 2, Extents: []fs.Extent{{Len: 10, Blob: lost.ID}}, Time: 9},
		&fs.Setattr{Ino: 2, Set: fs.SetSize, Size: 0, Time: 9},
		&fs.Write{Ino: 2, Extents: []fs.Extent{{Len: 10, Blob: kept.ID}}, Time: 9},
		&fs.Setattr{Ino: 2, Set: fs.SetSize, Size: 0, Time: 9}, // through 0 and back in one transaction
		&fs.Write{Ino: 2, Extents: []fs.Extent{{Len: 5, Blob: kept.ID}}, Time: 9})
	tx.Blobs = []fs.BlobInfo{lost, kept}
	if r := c.do(tx).Tx; r.Err != fs.CodeOK {
		t.Fatal(fs.FromCode(r.Err))
	}
	garbage, err := c.view().Garbage(fs.BlobID{}, 10)
	if err != nil || len(garbage) != 1 || garbage[0].ID != lost.ID {
		t.Errorf("garbage %+v, %v", garbage, err)
	}
	if !slices.Equal(c.debt(), []fs.BlobID{kept.ID}) {
		t.Errorf("debt %v", c.debt())
	}
}

func TestSetReplicas_KeepsDebtAndNeverTheLastReplica(t *testing.T) {
	c := newCluster(t)
	c.file(2, "a")
	info := c.info(10, "n1", "n2", "n2")
	c.store(2, 0, info)
	set := func(add, remove []fs.NodeID, want fs.Code, replicas []fs.NodeID, owed bool) {
		t.Helper()
		if a := c.send(&command.SetReplicas{Blob: info.ID, Add: add, Remove: remove}); a.Err != want {
			t.Errorf("+%v -%v: %v, want %v", add, remove, fs.FromCode(a.Err), fs.FromCode(want))
		}
		if b := c.blob(info.ID); !slices.Equal(b.Replicas, replicas) || (len(c.debt()) == 1) != owed {
			t.Errorf("+%v -%v: replicas %v, debt %v", add, remove, b.Replicas, c.debt())
		}
	}
	type ids = []fs.NodeID
	set(nil, nil, 0, ids{"n1", "n2"}, true)
	set(ids{"n3", "n3", "n1"}, nil, 0, ids{"n1", "n2", "n3"}, false)
	set(nil, ids{"n2", "n9"}, 0, ids{"n1", "n3"}, true)
	set(nil, ids{"n1", "n3"}, fs.CodeInvalid, ids{"n1", "n3"}, true)
	set(ids{"n4"}, ids{"n1", "n3"}, 0, ids{"n4"}, true)
	set(ids{""}, nil, fs.CodeInvalid, ids{"n4"}, true)
	if a := c.send(&command.SetReplicas{Blob: fs.BlobID{Session: 9}, Add: ids{"n1"}}); a.Err != fs.CodeNotExist {
		t.Errorf("of no blob: %+v", a)
	}
}

func TestRemoveNode_MakesDebtOfWhatLayThere(t *testing.T) {
	c := newCluster(t)
	c.file(2, "a")
	for _, id := range []fs.NodeID{"n1", "n2", "n3"} {
		c.do(&command.PutNode{Node: fs.NodeInfo{ID: id, Addr: string(id) + ":1", Zone: "z"}})
	}
	all, lone, elsewhere := c.info(10), c.info(10, "n1", "n3"), c.info(10, "n2", "n3", "n4")
	for n, info := range []fs.BlobInfo{all, lone, elsewhere} {
		c.store(2, uint64(10*n), info)
	}
	c.do(&command.SetReplicas{Blob: lone.ID, Remove: []fs.NodeID{"n3"}})
	c.do(&command.RemoveNode{Node: "n1"})
	c.do(&command.RemoveNode{Node: "n1"})
	c.do(&command.RemoveNode{Node: "never was"})
	if got := c.blob(all.ID).Replicas; !slices.Equal(got, []fs.NodeID{"n2", "n3"}) {
		t.Errorf("replicas %v", got)
	}
	if got := c.blob(lone.ID).Replicas; !slices.Equal(got, []fs.NodeID{"n1"}) {
		t.Errorf("the last replica went off the list: %v", got)
	}
	if got := c.debt(); !slices.Equal(got, []fs.BlobID{all.ID, lone.ID}) {
		t.Errorf("debt %v", got)
	}
	nodes, err := c.view().Nodes()
	want := []fs.NodeInfo{{ID: "n2", Addr: "n2:1", Zone: "z"}, {ID: "n3", Addr: "n3:1", Zone: "z"}}
	if err != nil || !slices.Equal(nodes, want) {
		t.Errorf("nodes %+v, %v", nodes, err)
	}
	if a := c.send(&command.SetReplicas{Blob: elsewhere.ID, Add: []fs.NodeID{"n1"}}); a.Err != fs.CodeConflict {
		t.Errorf("a removed node got a replica: %+v", a)
	}
	if a := c.send(&command.PutNode{}); a.Err != fs.CodeInvalid {
		t.Errorf("a node without a name: %+v", a)
	}
}

// The name of a removed node is used up: its bytes count no more, whoever comes under it.
func TestPutNode_NeverBringsARemovedNodeBack(t *testing.T) {
	c := newCluster(t)
	c.file(2, "a")
	info := c.info(10, "n1", "n2")
	tx := c.newTx(&fs.Write{Ino: 2, Extents: []fs.Extent{{Len: 10, Blob: info.ID}}, Time: 9})
	tx.Blobs, tx.Replicas = []fs.BlobInfo{info}, 1
	c.do(tx)
	c.do(&command.SetReplicas{Blob: info.ID, Remove: []fs.NodeID{"n2"}})
	if len(c.debt()) != 0 {
		t.Fatalf("debt %v", c.debt())
	}
	c.do(&command.RemoveNode{Node: "n1"})
	if len(c.debt()) != 1 {
		t.Errorf("the only replica is on a removed node: debt %v", c.debt())
	}
	if a := c.send(&command.SetReplicas{Blob: info.ID}); a.Err != fs.CodeInvalid {
		t.Errorf("a list on which nothing counts: %+v", a)
	}
	if a := c.send(&command.PutNode{Node: fs.NodeInfo{ID: "n1", Addr: "new"}, Storing: true}); a.Err != fs.CodeRemoved {
		t.Errorf("the node is back: %+v", a)
	}
	if removed, err := c.view().Removed("n1"); err != nil || !removed {
		t.Errorf("removed: %v, %v", removed, err)
	}
	if removed, err := c.view().Removed("n2"); err != nil || removed {
		t.Errorf("a member is removed: %v, %v", removed, err)
	}
}

// least is what a commit needs now, as a session, a view and a transaction of so many votes see it.
func (c *cluster) least(want int) {
	c.t.Helper()
	least, err := c.view().MinReplicas()
	s, ok, errSession := c.view().Session(c.s.ID)
	if err != nil || errSession != nil || !ok || least != want || s.MinReplicas != want {
		c.t.Errorf("at least %d replicas, %d in the session (%v, %v), want %d", least, s.MinReplicas, err, errSession, want)
	}
	for n := 1; n <= 3; n++ {
		wantCode := fs.CodeOK
		if n < want {
			wantCode = fs.CodeConflict
		}
		tx := c.newTx()
		tx.Blobs = []fs.BlobInfo{c.info(10, []fs.NodeID{"v1", "v2", "v3"}[:n]...)}
		if r := c.do(tx).Tx; r.Err != wantCode {
			c.t.Errorf("%d votes, %d needed: %v", n, want, fs.FromCode(r.Err))
		}
	}
}

func TestMinReplicas_FollowTheNodesThatStore(t *testing.T) {
	c := newCluster(t)
	c.least(2) // three founders
	one := &cluster{t: t, kv: state.NewMemory(), now: 100}
	one.do(&command.Init{Cluster: "c", Replicas: 3, MinReplicas: 2, SessionTimeout: 500, Founders: []fs.NodeInfo{{ID: "n1"}}})
	one.s = one.do(&command.OpenSession{}).Session
	one.least(1)
	one.do(&command.PutNode{Node: fs.NodeInfo{ID: "n2"}})
	one.least(1) // it has only joined
	one.do(&command.PutNode{Node: fs.NodeInfo{ID: "n2"}, Storing: true})
	one.do(&command.PutNode{Node: fs.NodeInfo{ID: "n2", Addr: "moved"}})
	one.least(2)
	one.do(&command.PutNode{Node: fs.NodeInfo{ID: "n3"}, Storing: true})
	one.least(2) // no more than is wanted
	one.do(&command.RemoveNode{Node: "n1"})
	one.least(2)
	one.do(&command.RemoveNode{Node: "n1"})
	one.do(&command.RemoveNode{Node: "n2"})
	one.least(1)
	one.do(&command.RemoveNode{Node: "n3"})
	one.least(1) // never less
	if err := state.Check(one.kv); err != nil {
		t.Error(err)
	}
}
