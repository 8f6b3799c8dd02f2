package raftmeta

import (
	"errors"
	"fmt"
	"testing"

	"dfs/fs"
)

func TestSingleNode_CommitsReadsAndComesBack(t *testing.T) {
	c := newCluster(t, 1, nil)
	s := c.session()
	n := c.leader()
	r := c.must(n, s.tx(s.create("a")))
	if got := r.Results[0].Attr.Ino; got == 0 {
		t.Fatal("no inode in the result")
	}
	a, err := n.Lookup(c.ctx(), fs.RootIno, "a")
	if err != nil || a.Ino != r.Results[0].Attr.Ino {
		t.Fatalf("lookup: %v %v", a, err)
	}
	want := digest(t, n)
	c.stop("n1")
	n = c.start("n1")
	if n.ClusterID() != "test-cluster" {
		t.Errorf("cluster id %q after the restart", n.ClusterID())
	}
	n = c.leader()
	if _, err := n.Lookup(c.ctx(), fs.RootIno, "a"); err != nil {
		t.Fatal(err)
	}
	if digest(t, n) != want {
		t.Error("the state has changed over the restart")
	}
}

func TestThreeNodes_ReplicateAndSurviveTheLeader(t *testing.T) {
	c := newCluster(t, 3, nil)
	s := c.session()
	for i := range 20 {
		c.must(c.leader(), s.tx(s.create(fmt.Sprint("f", i))))
	}
	c.converge()
	old := c.leader().cfg.ID
	f := c.follower()
	if _, err := f.Getattr(c.ctx(), fs.RootIno); !isNotLeader(err, addrOf(old)) {
		t.Errorf("a follower's answer to a read: %v", err)
	}
	if _, err := f.Commit(c.ctx(), s.tx()); !isNotLeader(err, addrOf(old)) {
		t.Errorf("a follower's answer to a commit: %v", err)
	}
	c.stop(old)
	n := c.leader()
	for i := range 20 {
		if _, err := n.Lookup(c.ctx(), fs.RootIno, fmt.Sprint("f", i)); err != nil {
			t.Error(err)
		}
	}
	c.must(n, s.tx(s.create("after")))
	c.start(old)
	c.converge()
}

func isNotLeader(err error, hint string) bool {
	e, ok := errors.AsType[*fs.NotLeaderError](err)
	return ok && e.Leader == hint
}
