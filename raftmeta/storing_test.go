package raftmeta

import (
	"testing"
	"time"

	"dfs/fs"
)

// report is what gossip says of a node from now on.
func (c *testCluster) report(n fs.NodeInfo) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gossip[n.ID] = n
}

func (c *testCluster) least(n *Node) int {
	c.t.Helper()
	s, err := n.Status(c.ctx())
	if err != nil {
		c.t.Fatal(err)
	}
	return s.MinReplicas
}

// leastStays fails when the number changes within the time in which the leader would have looked at the members a few times.
func (c *testCluster) leastStays(n *Node, want int, why string) {
	c.t.Helper()
	for end := time.Now().Add(4 * fast.Heartbeat); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if got := c.least(n); got != want {
			c.t.Fatalf("%s: at least %d replicas, want %d", why, got, want)
		}
	}
}

func TestFounders_AreMembersThatStoreFromTheFirstMomentOn(t *testing.T) {
	c := newCluster(t, 3, nil)
	s := c.session()
	stream, err := c.leader().Attach(c.ctx(), s.Session, fs.Held{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stream.Close() }()
	first, err := stream.Recv()
	if err != nil || len(first.Nodes) != 3 || first.MinReplicas != 2 || s.MinReplicas != 2 {
		t.Errorf("the first notice is %+v (%v), the session needs %d", first, err, s.MinReplicas)
	}
}

func TestNewMember_CountsOnceItTakesBlobs(t *testing.T) {
	c := newCluster(t, 1, func(cfg *Config) { cfg.Voters = 1 }) // n2 learns, so that it may be cut off
	n, s := c.leader(), c.session()
	stream, err := n.Attach(c.ctx(), s.Session, fs.Held{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stream.Close() }()
	if got := c.least(n); got != 1 {
		t.Fatalf("a lone node: at least %d", got)
	}
	c.start("n2")
	c.join("n2", "")
	c.leastStays(n, 1, "a node that only joined")
	full := fs.NodeInfo{ID: "n2", State: fs.NodeAlive, Load: fs.Load{DiskTotalBytes: 100, ReadOnly: true}}
	c.report(full)
	c.leastStays(n, 1, "a full one")
	well := full
	well.Load.ReadOnly = false
	c.setCut("n2", true)
	c.eventually("the leader misses it", func() bool {
		term, _ := n.Leader()
		sent, _, ok := n.contacts.of(term, "n2")
		return ok && time.Since(sent) > 3*fast.Heartbeat
	})
	c.report(well)
	c.leastStays(n, 1, "one that cannot be reached")
	c.setCut("n2", false)
	c.eventually("it counts", func() bool { return c.least(n) == 2 })
	c.eventually("the mount is told", func() bool {
		notice, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		return notice.MinReplicas == 2 && len(notice.Nodes) == 2
	})
	c.report(full)
	c.leastStays(n, 2, "a member that has become full")
	c.report(fs.NodeInfo{ID: "n2", State: fs.NodeDead})
	c.leastStays(n, 2, "a member that is called dead")
}
