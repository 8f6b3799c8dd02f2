package raftmeta

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"dfs/fs"
	"dfs/raftmeta/command"
	"dfs/raftmeta/state"
)

// fill makes a directory in the root with directories of files in it, and returns how many inodes that are.
func (c *testCluster) fill(s *testSession, name string, dirs, files int) (top fs.Ino, inodes uint64) {
	c.t.Helper()
	root := s.create(name)
	root.Type = fs.TypeDir
	c.must(c.leader(), s.tx(root))
	for d := range dirs {
		dir := s.create(fmt.Sprint("d", d))
		dir.Parent, dir.Type = root.Ino, fs.TypeDir
		ops := []fs.Op{dir}
		for f := range files {
			file := s.create(fmt.Sprint("f", f))
			file.Parent = dir.Ino
			ops = append(ops, file, &fs.Write{Ino: file.Ino, Extents: []fs.Extent{{Len: 3, Data: []byte("abc")}}, Time: 5})
		}
		c.must(c.leader(), s.tx(ops...))
	}
	return root.Ino, uint64(1 + dirs + dirs*files)
}

// quota is a tree's, at the leader.
func (c *testCluster) quota(path string) (q fs.Quota) {
	c.t.Helper()
	c.eventually("the quotas are listed", func() bool {
		list, err := c.leader().Quotas(c.ctx(), fs.QuotaID{}, 100, true)
		for _, one := range list {
			if one.Path == path {
				q = one
			}
		}
		return err == nil
	})
	return q
}

var tenMillion = fs.LimitChange{SetBytes: true, SetInodes: true, Limits: fs.Limits{Bytes: 10e6, Inodes: 10e6}}

// A tree is being counted when its leader dies; the next one goes on where it was, while files come and go.
func TestSurvey_GoesOnUnderTheNextLeader(t *testing.T) {
	c := newCluster(t, 3, nil)
	s := c.session()
	r, err := c.leader().AllocInos(c.ctx(), s.Session, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	s.next = r.From
	top, inodes := c.fill(s, "t", 9, 400) // more than three surveys of surveyInodes
	old := c.leader()
	var steps atomic.Int64
	second := make(chan struct{})
	c.onStep(old.cfg.ID, "survey.propose", func() error {
		if steps.Add(1) == 2 {
			close(second)
		}
		if steps.Load() >= 2 {
			return fs.ErrUnavailable
		}
		return nil
	})
	if err := old.SetQuota(c.ctx(), fs.QuotaOf{Path: "/t"}, tenMillion); err != nil {
		t.Fatal(err)
	}
	<-second
	if q := c.quota("/t"); q.State != fs.QuotaCounting || q.Used.Inodes < 2 || q.Used.Inodes >= inodes {
		t.Fatalf("of %d inodes: %+v", inodes, q)
	}
	more := s.create("new")
	c.must(old, s.tx(more, &fs.Rename{Parent: fs.RootIno, Name: "new", NewParent: top, NewName: "new", Time: 9}))
	c.stop(old.cfg.ID)
	c.eventually("it is counted", func() bool { return c.quota("/t").State == fs.QuotaCounted })
	if q := c.quota("/t"); q.Used != (fs.Usage{Bytes: 9 * 400 * 3, Inodes: inodes + 1}) || q.Limits != tenMillion.Limits {
		t.Errorf("of %d inodes: %+v", inodes+1, q)
	}
	if err := c.leader().RemoveQuota(c.ctx(), fs.QuotaOf{Path: "/t"}); err != nil {
		t.Fatal(err)
	}
	c.eventually("it is left", func() bool { return c.quota("/t").Path == "" })
	if err := c.leader().local(func(s *snapshot) error { return state.Check(s.reader) }); err != nil {
		t.Error(err)
	}
}

func TestQuota_IsRefusedInTheTransactionAndToldToMounts(t *testing.T) {
	c := newCluster(t, 1, nil)
	s := c.session()
	st := c.attach(s.Session)
	if n, err := st.Recv(); err != nil || n.Limits {
		t.Fatal(n, err)
	}
	n := c.leader()
	of := fs.QuotaOf{User: true, UID: 7}
	if err := n.SetQuota(c.ctx(), of, fs.LimitChange{SetInodes: true, Limits: fs.Limits{Inodes: 1}}); err != nil {
		t.Fatal(err)
	}
	c.eventually("the mount hears of it", func() bool {
		n, err := st.Recv()
		return err == nil && n.Limits
	})
	mine, second := s.create("a"), s.create("b")
	mine.UID, second.UID = 7, 7
	c.must(n, s.tx(mine))
	if r, err := n.Commit(c.ctx(), s.tx(s.create("c"), second)); err != nil || r.Err != fs.CodeQuota || r.Failed != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	for what, err := range map[string]error{
		"another user":   n.RemoveQuota(c.ctx(), fs.QuotaOf{User: true, UID: 8}),
		"no quota":       n.RemoveQuota(c.ctx(), fs.QuotaOf{}),
		"no directory":   n.SetQuota(c.ctx(), fs.QuotaOf{Path: "/none"}, tenMillion),
		"not absolute":   n.RemoveQuota(c.ctx(), fs.QuotaOf{Path: "x/../y"}),
		"no directory 2": n.SetQuota(c.ctx(), fs.QuotaOf{Path: "/a"}, tenMillion),
	} {
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrInvalid) && !errors.Is(err, fs.ErrNotDir) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// A state that is older than quotas begins to keep accounts with the first one, and counts what was there.
func TestSetQuota_BeginsTheAccountsOfAnOlderState(t *testing.T) {
	c := newCluster(t, 1, nil)
	n := c.leader()
	if kept, err := ask(c.ctx(), n, func(s *snapshot) (bool, error) { return s.Accounting() }); err != nil || !kept {
		t.Fatal("a new cluster keeps no accounts", err)
	}
	kv := state.NewMemory()
	for index, cmd := range []command.Command{&command.Init{Cluster: "c", Replicas: 1, MinReplicas: 1, SessionTimeout: 1},
		&command.SetQuota{Of: fs.QuotaOf{User: true}, Change: tenMillion}} {
		a, err := state.Apply(kv, uint64(index+1), cmd)
		if err != nil || index == 1 && a.Err != fs.CodeNotSupported {
			t.Fatal(a, err)
		}
	}
}

func TestRoom_IsGrantedAgainstTheQuotaAndToSessionsOfTheirOwners(t *testing.T) {
	c := newCluster(t, 1, nil)
	n, s, other := c.leader(), c.session(), c.session()
	file := s.create("a")
	c.must(n, s.tx(file))
	space := func(free uint64, readOnly bool) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.gossip[nodeID(0)] = fs.NodeInfo{ID: nodeID(0), State: fs.NodeAlive,
			Load: fs.Load{DiskTotalBytes: 1 << 40, DiskFreeBytes: free, ReadOnly: readOnly}}
	}
	space(1<<40, true)
	if r, err := n.Room(c.ctx(), s.Session, file.Ino, 1000, fs.Return{}); err != nil || r.Bytes != 0 {
		t.Errorf("no node takes blobs: %+v, %v", r, err)
	}
	space(spaceMargin+4000, false)
	if r, err := n.Room(c.ctx(), s.Session, file.Ino, 1000, fs.Return{}); err != nil || r.Bytes != 2000 || r.Left != 4000 {
		t.Errorf("little space: %+v, %v", r, err)
	}
	space(1<<40, false)
	if r, err := n.Room(c.ctx(), s.Session, file.Ino, 1000, fs.Return{}); err != nil || r.Bytes < 1<<20 {
		t.Errorf("enough space: %+v, %v", r, err)
	}
	if r, err := n.Room(c.ctx(), s.Session, file.Ino, 1000, fs.Return{}); err != nil || r.Bytes < 1<<20 {
		t.Errorf("without a quota: %+v, %v", r, err)
	}
	if err := n.SetQuota(c.ctx(), fs.QuotaOf{}, fs.LimitChange{SetBytes: true, Limits: fs.Limits{Bytes: 4000}}); err != nil {
		t.Fatal(err)
	}
	c.eventually("it is counted", func() bool { return c.quota("/").State == fs.QuotaCounted })
	if r, err := n.Room(c.ctx(), s.Session, file.Ino, 1000, fs.Return{}); err != nil || r.Bytes != 2000 || r.Left != 4000 {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := n.Room(c.ctx(), other.Session, file.Ino, 1500, fs.Return{}); err != nil || r.Bytes != 0 || !r.Wait {
		t.Errorf("beside another's grant: %+v, %v", r, err)
	}
	if r, err := n.Room(c.ctx(), s.Session, file.Ino, 4000, fs.Return{All: true}); err != nil || r.Bytes != 0 || r.Wait {
		t.Errorf("more than is left: %+v, %v", r, err)
	}
	gone := s.Session
	gone.Epoch++
	if _, err := n.Room(c.ctx(), gone, file.Ino, 1, fs.Return{}); !errors.Is(err, fs.ErrFenced) {
		t.Error(err)
	}
	if _, err := n.Room(c.ctx(), s.Session, 999, 1, fs.Return{}); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
