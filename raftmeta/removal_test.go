package raftmeta

import (
	"errors"
	"slices"
	"testing"

	"dfs/fs"
	"dfs/raftmeta/command"
)

func (c *testCluster) plan(id fs.NodeID) *fs.Removal {
	c.t.Helper()
	plan, err := c.leader().Removal(c.ctx(), id)
	if err != nil {
		c.t.Fatal(err)
	}
	return plan
}

// isOut fails unless a node is neither in the state nor in Raft's configuration.
func (c *testCluster) isOut(id fs.NodeID) {
	c.t.Helper()
	n := c.leader()
	for _, m := range n.members() {
		if m.ID == id {
			c.t.Errorf("%s is recorded", id)
		}
	}
	for _, s := range n.servers() {
		if fs.NodeID(s.ID) == id {
			c.t.Errorf("%s is in the configuration", id)
		}
	}
}

func TestRemoveNode_TakesItOutForGood(t *testing.T) {
	c := newCluster(t, 3, nil)
	f, leader := c.follower(), c.leader()
	if err := leader.RemoveNode(c.ctx(), f.cfg.ID, false); !errors.Is(err, fs.ErrBusy) {
		t.Errorf("a node that is alive: %v", err)
	}
	if plan := c.plan(f.cfg.ID); !plan.Alive || !plan.Voter || plan.VotersLeft != 2 || plan.VotersAlive != 2 || plan.Removed {
		t.Errorf("the plan is %+v", plan)
	}
	if err := leader.RemoveNode(c.ctx(), f.cfg.ID, true); err != nil {
		t.Fatal(err)
	}
	c.isOut(f.cfg.ID)
	c.eventually("it reads in the log that it is out", func() bool {
		removed, err := f.removed(f.cfg.ID)
		return removed && err == nil
	})
	if err := leader.RemoveNode(c.ctx(), f.cfg.ID, false); err != nil {
		t.Errorf("a second time: %v", err)
	}
	if plan := c.plan(f.cfg.ID); !plan.Removed || len(plan.Objections()) > 0 {
		t.Errorf("the plan is now %+v", plan)
	}
	if _, err := leader.Join(c.ctx(), fs.NodeInfo{ID: f.cfg.ID, Addr: "elsewhere:1"}, "test-cluster"); !errors.Is(err, fs.ErrRemoved) {
		t.Errorf("it joins again: %v", err)
	}
	for _, err := range []error{leader.RemoveNode(c.ctx(), "never was", true), func() error { _, err := leader.Removal(c.ctx(), "never was"); return err }()} {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a node that never was: %v", err)
		}
	}
	if err := f.RemoveNode(c.ctx(), leader.cfg.ID, true); !errors.Is(err, fs.ErrNotLeader) {
		t.Errorf("at a follower: %v", err)
	}
	c.stop(f.cfg.ID)
	if err := leader.RemoveNode(c.ctx(), leader.cfg.ID, true); !errors.Is(err, fs.ErrNotLeader) {
		t.Errorf("the leader itself: %v", err)
	}
	c.eventually("another one leads", func() bool { return c.leader().cfg.ID != leader.cfg.ID })
	if err := c.leader().RemoveNode(c.ctx(), leader.cfg.ID, true); err != nil {
		t.Error(err)
	}
	c.isOut(leader.cfg.ID)
	last := c.leader()
	if err := last.RemoveNode(c.ctx(), last.cfg.ID, true); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("the last node: %v", err)
	}
}

func TestRemoveNode_ThatWouldLeaveNoQuorumIsRefusedAlways(t *testing.T) {
	c := newCluster(t, 3, nil)
	leader, dead := c.leader(), c.follower()
	c.stop(dead.cfg.ID)
	c.eventually("the leader misses it", func() bool { return !c.plan(dead.cfg.ID).Alive })
	var other fs.NodeID
	for _, id := range c.ids() {
		if id != leader.cfg.ID {
			other = id
		}
	}
	if err := leader.RemoveNode(c.ctx(), other, true); !errors.Is(err, fs.ErrInvalid) {
		t.Fatalf("one of two that answer: %v", err)
	}
	if len(leader.members()) != 3 {
		t.Errorf("members %v", leader.members())
	}
	if err := leader.RemoveNode(c.ctx(), dead.cfg.ID, false); err != nil {
		t.Errorf("the dead one: %v", err)
	}
	c.isOut(dead.cfg.ID)
}

func TestRemoveNode_SparesTheLastReplicaOfABlob(t *testing.T) {
	c := newCluster(t, 3, nil)
	leader, dead, s := c.leader(), c.follower(), c.session()
	var others []fs.NodeID
	for _, id := range c.ids() {
		if id != dead.cfg.ID {
			others = append(others, id)
		}
	}
	file := s.create("a")
	c.must(leader, s.tx(file))
	safe := fs.BlobInfo{ID: fs.BlobID{Session: s.ID, Counter: 1}, Length: 10, Replicas: []fs.NodeID{dead.cfg.ID, others[0]}}
	lone := fs.BlobInfo{ID: fs.BlobID{Session: s.ID, Counter: 2}, Length: 10, Replicas: []fs.NodeID{dead.cfg.ID, others[1]}}
	elsewhere := fs.BlobInfo{ID: fs.BlobID{Session: s.ID, Counter: 3}, Length: 10, Replicas: others}
	tx := s.tx(&fs.Write{Ino: file.Ino, Time: 1, Extents: []fs.Extent{{Len: 10, Blob: safe.ID}, {Off: 10, Len: 10, Blob: lone.ID}, {Off: 20, Len: 10, Blob: elsewhere.ID}}})
	tx.Blobs = []fs.BlobInfo{safe, lone, elsewhere}
	c.must(leader, tx)
	if _, err := leader.change(c.ctx(), &command.SetReplicas{Blob: lone.ID, Remove: others[1:]}); err != nil {
		t.Fatal(err)
	}
	c.stop(dead.cfg.ID)
	c.eventually("the leader misses it", func() bool { return !c.plan(dead.cfg.ID).Alive })
	if plan := c.plan(dead.cfg.ID); plan.Blobs != 2 || plan.Last != 1 {
		t.Errorf("the plan is %+v", plan)
	}
	if err := leader.RemoveNode(c.ctx(), dead.cfg.ID, false); !errors.Is(err, fs.ErrBusy) {
		t.Errorf("a node with the last replica of a blob: %v", err)
	}
	if err := leader.RemoveNode(c.ctx(), dead.cfg.ID, true); err != nil {
		t.Error(err)
	}
}

// The state knows that a node is out, but the leader died before it told Raft.
func TestRemovalHalfDone_IsFinishedByTheLeader(t *testing.T) {
	c := newCluster(t, 3, nil)
	f := c.follower()
	if _, err := c.leader().change(c.ctx(), &command.RemoveNode{Node: f.cfg.ID}); err != nil {
		t.Fatal(err)
	}
	c.eventually("it is out of the configuration", func() bool {
		return !slices.Contains(voting(c.leader()), string(f.cfg.ID))
	})
	c.isOut(f.cfg.ID)
}
