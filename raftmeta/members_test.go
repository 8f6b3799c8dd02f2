package raftmeta

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	autopilot "github.com/hashicorp/raft-autopilot"

	"dfs/fs"
)

func (c *testCluster) join(id fs.NodeID, zone string) {
	c.t.Helper()
	if _, err := c.leader().Join(c.ctx(), fs.NodeInfo{ID: id, Addr: addrOf(id), Zone: zone}, "test-cluster"); err != nil {
		c.t.Fatal(err)
	}
}

// voting is the voters as a node sees them.
func voting(n *Node) []string {
	var ids []string
	for _, id := range n.voters() {
		ids = append(ids, string(id))
	}
	slices.Sort(ids)
	return ids
}

func TestOneNodeGrows_ToThreeVotersAndLearners(t *testing.T) {
	c := newCluster(t, 1, nil)
	s := c.session()
	c.must(c.leader(), s.tx(s.create("a")))
	for i := 1; i < 5; i++ {
		c.start(nodeID(i))
		c.join(nodeID(i), "")
		c.join(nodeID(i), "") // a repeated call changes nothing
	}
	c.eventually("three vote", func() bool { return len(voting(c.leader())) == 3 })
	c.converge() // the learners have the state too
	st, err := c.leader().Status(c.ctx())
	if err != nil {
		t.Fatal(err)
	}
	voters, members := 0, 0
	for _, n := range st.Nodes {
		if n.Voter {
			voters++
		}
		if n.Member {
			members++
		}
	}
	if voters != 3 || members != 5 || !st.Quorum || st.Cluster != "test-cluster" {
		t.Errorf("status: %+v", st)
	}
	if _, err := c.node("n5").Getattr(c.ctx(), fs.RootIno); !errors.Is(err, fs.ErrNotLeader) {
		t.Errorf("a learner's answer: %v", err)
	}
}

func TestFailedVoter_IsReplacedByALearner(t *testing.T) {
	c := newCluster(t, 3, nil)
	c.start("n4")
	c.join("n4", "")
	failed := c.follower()
	if failed.cfg.ID == "n4" {
		failed = c.node("n2")
	}
	c.eventually("the fourth follows", func() bool { return c.node("n4").ClusterID() != "" })
	c.mu.Lock()
	c.gossip[failed.cfg.ID] = fs.NodeInfo{ID: failed.cfg.ID, State: fs.NodeDead}
	c.mu.Unlock()
	c.setCut(failed.cfg.ID, true)
	c.eventually("the learner votes in the failed one's place", func() bool {
		v := voting(c.leader())
		return len(v) == 3 && slices.Contains(v, "n4") && !slices.Contains(v, string(failed.cfg.ID))
	})
	if !slices.ContainsFunc(c.leader().members(), func(m fs.NodeInfo) bool { return m.ID == failed.cfg.ID }) {
		t.Error("the failed node was removed from the cluster")
	}
	c.setCut(failed.cfg.ID, false)
	c.converge()
}

func TestFailedVoterWithoutALearner_Stays(t *testing.T) {
	c := newCluster(t, 3, nil)
	f := c.follower()
	c.setCut(f.cfg.ID, true)
	for end := time.Now().Add(3 * fast.Failed); time.Now().Before(end); {
		if v := voting(c.leader()); len(v) != 3 {
			t.Fatalf("the voters became %v", v)
		}
	}
}

func TestJoin_OfAnotherClusterIsRefused(t *testing.T) {
	c := newCluster(t, 1, nil)
	if _, err := c.leader().Join(c.ctx(), fs.NodeInfo{ID: "x", Addr: "x:1"}, "other"); !errors.Is(err, fs.ErrWrongCluster) {
		t.Errorf("join: %v", err)
	}
	if _, err := c.leader().Join(c.ctx(), fs.NodeInfo{ID: "x"}, ""); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("join without an address: %v", err)
	}
	if n := len(c.leader().servers()); n != 1 {
		t.Errorf("%d members", n)
	}
	n := c.start("n2")
	if _, err := n.Join(c.ctx(), fs.NodeInfo{ID: "x", Addr: "x:1"}, ""); !errors.Is(err, fs.ErrNotLeader) {
		t.Errorf("join at a node without a cluster: %v", err)
	}
}

func TestJoin_AgainUpdatesAddressAndZone(t *testing.T) {
	c := newCluster(t, 3, nil)
	f := c.follower()
	_, err := c.leader().Join(c.ctx(), fs.NodeInfo{ID: f.cfg.ID, Addr: "elsewhere:1", Zone: "z"}, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range c.leader().servers() {
		if s.ID == raft.ServerID(f.cfg.ID) && (s.Address != "elsewhere:1" || s.Suffrage != raft.Voter) {
			t.Errorf("in the configuration: %+v", s)
		}
	}
	c.eventually("the new address is recorded", func() bool {
		return slices.ContainsFunc(c.leader().members(), func(m fs.NodeInfo) bool {
			return m.ID == f.cfg.ID && m.Addr == "elsewhere:1" && m.Zone == "z"
		})
	})
}

func TestStatfs_AddsUpLiveNodesOverReplicas(t *testing.T) {
	c := newCluster(t, 3, nil)
	c.mu.Lock()
	for i, state := range []fs.NodeState{fs.NodeAlive, fs.NodeSuspect, fs.NodeDead} {
		c.gossip[nodeID(i)] = fs.NodeInfo{ID: nodeID(i), State: state, Load: fs.Load{DiskTotalBytes: 300, DiskFreeBytes: 150}}
	}
	c.gossip["stranger"] = fs.NodeInfo{ID: "stranger", State: fs.NodeAlive, Load: fs.Load{DiskTotalBytes: 9999}}
	c.mu.Unlock()
	f, err := c.leader().Statfs(c.ctx(), fs.RootIno)
	if err != nil || f.TotalBytes != 200 || f.FreeBytes != 100 || f.Inodes != 1 {
		t.Errorf("%+v %v", f, err)
	}
}

func TestTransactions_AreRemembered(t *testing.T) {
	c := newCluster(t, 1, func(cfg *Config) {
		cfg.Staged = func() []fs.TxStatus {
			return []fs.TxStatus{{ID: fs.TxID{Session: 9, Seq: 9}, State: fs.TxPrepared, Staged: []fs.NodeID{"n1"}}}
		}
	})
	n, s := c.leader(), c.session()
	file := s.create("a")
	c.must(n, s.tx(file))
	blob := fs.BlobInfo{ID: fs.BlobID{Session: s.ID, Counter: 1}, Length: 10, Replicas: []fs.NodeID{"n1", "n2"}}
	tx := s.tx(&fs.Write{Ino: file.Ino, Extents: []fs.Extent{{Len: 10, Blob: blob.ID}}, Time: 1})
	tx.Blobs = []fs.BlobInfo{blob}
	c.must(n, tx)
	refused := s.tx(s.create("a"))
	if r, err := n.Commit(c.ctx(), refused); err != nil || r.Err != fs.CodeExist {
		t.Fatalf("%+v %v", r, err)
	}
	list, err := n.Transactions(c.ctx(), 10)
	if err != nil || len(list) != 4 {
		t.Fatalf("%+v %v", list, err)
	}
	if list[0].State != fs.TxPrepared || list[1].ID != refused.ID || list[1].State != fs.TxAborted || list[1].Err != fs.CodeExist ||
		list[2].State != fs.TxDecided || len(list[2].Blobs) != 1 {
		t.Errorf("%+v", list)
	}
	if got := list[3].Ops[0]; got != fmt.Sprintf("create 1/a → %d", file.Ino) {
		t.Errorf("described as %q", got)
	}
	if st, err := n.Transaction(c.ctx(), tx.ID); err != nil || st.ID != tx.ID {
		t.Errorf("%+v %v", st, err)
	}
	if _, err := n.Transaction(c.ctx(), fs.TxID{Session: 99}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an unknown one: %v", err)
	}
	d := <-n.Decisions()
	if d.Tx != tx.ID || !d.Committed || len(d.Blobs) != 1 || d.Blobs[0] != blob.ID {
		t.Errorf("the blob store is told %+v", d)
	}
}

func TestDecisions_OverflowIsTold(t *testing.T) {
	d := newDecisions()
	n := &Node{decisions: d}
	for range decisionsQueued {
		d.queue <- Decision{}
	}
	if n.MissedDecisions() {
		t.Error("missed before anything was dropped")
	}
	tx := &fs.Tx{Blobs: make([]fs.BlobInfo, 1)}
	n.onDecided(1, txCommand(tx), okAnswer())
	if !n.MissedDecisions() || n.MissedDecisions() {
		t.Error("a dropped decision is not told once")
	}
	for i := range 2 * decisionsKept {
		n.onDecided(uint64(i), txCommand(&fs.Tx{ID: fs.TxID{Seq: uint64(i)}}), okAnswer())
	}
	last := d.last(3)
	if len(d.last(9999)) != decisionsKept || last[0].ID.Seq != 2*decisionsKept-1 || last[2].ID.Seq != 2*decisionsKept-3 {
		t.Errorf("remembered: %v", last)
	}
}

// layer is plain TCP as a raft.StreamLayer.
type layer struct{ net.Listener }

func (l layer) Dial(address raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	return net.DialTimeout("tcp", string(address), timeout)
}

func openTCP(t *testing.T, dir string, id fs.NodeID, ln net.Listener) *Node {
	t.Helper()
	n, err := Open(Config{ID: id, Dir: dir, Addr: ln.Addr().String(), Transport: NewTransport(layer{ln}, id, nil), Timings: fast,
		segmentSize: 1 << 20, stateTableSize: 4 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func listen(t *testing.T, addr string) net.Listener {
	t.Helper()
	var ln net.Listener
	eventually(t, "the port is free", func() (ok bool) {
		var err error
		ln, err = net.Listen("tcp", addr)
		return err == nil
	})
	return ln
}

// A node whose disk was lost comes back under a new id at its old address. It must not answer for the one that it was,
// and can join.
func TestNewNodeAtAnOldAddress_DoesNotAnswerForTheOldOne(t *testing.T) {
	dir := t.TempDir()
	var nodes []*Node
	var servers []fs.NodeInfo
	for i := range 3 {
		ln := listen(t, "127.0.0.1:0")
		id := nodeID(i)
		nodes = append(nodes, openTCP(t, filepath.Join(dir, string(id)), id, ln))
		servers = append(servers, fs.NodeInfo{ID: id, Addr: ln.Addr().String()})
	}
	defer func() {
		for _, n := range nodes {
			if err := n.Close(); err != nil {
				t.Error(err)
			}
		}
	}()
	if err := nodes[0].Bootstrap(servers, testInit()); err != nil {
		t.Fatal(err)
	}
	leaderOf := func() (leader *Node) {
		eventually(t, "there is a leader", func() bool {
			for _, n := range nodes {
				tellNothing(n)
				if _, err := n.Getattr(t.Context(), fs.RootIno); err == nil {
					leader = n
					return true
				}
			}
			return false
		})
		return leader
	}
	leader := leaderOf()
	lost := slices.IndexFunc(nodes, func(n *Node) bool { return n != leader })
	oldID, addr := nodes[lost].cfg.ID, nodes[lost].cfg.Addr
	if err := nodes[lost].Close(); err != nil {
		t.Fatal(err)
	}
	nodes[lost] = openTCP(t, filepath.Join(dir, "fresh"), "fresh", listen(t, addr))
	// Another one goes too: if the new node answered in the old one's name there would be a majority.
	other := slices.IndexFunc(nodes, func(n *Node) bool { return n != leader && n != nodes[lost] })
	otherID, otherAddr := nodes[other].cfg.ID, nodes[other].cfg.Addr
	if err := nodes[other].Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := leader.OpenSession(t.Context(), fs.Mount{}); err == nil {
		t.Error("a command was committed by one of three nodes")
	}
	if has, err := nodes[lost].HasState(); has || err != nil {
		t.Errorf("the new node has taken what was meant for the old one (%v)", err)
	}
	nodes[other] = openTCP(t, filepath.Join(dir, string(otherID)), otherID, listen(t, otherAddr))
	eventually(t, "the new node has joined", func() bool {
		_, err := leaderOf().Join(t.Context(), fs.NodeInfo{ID: "fresh", Addr: addr}, "")
		return err == nil
	})
	eventually(t, "it has the state", func() bool { return nodes[lost].ClusterID() == "test-cluster" })
	for _, s := range leaderOf().servers() {
		if s.ID == raft.ServerID(oldID) && !strings.HasSuffix(string(s.Address), ".invalid:0") {
			t.Errorf("the old node is still at %s", s.Address)
		}
	}
	eventually(t, "it votes in the old one's place", func() bool {
		v := voting(leaderOf())
		return len(v) == 3 && slices.Contains(v, "fresh") && !slices.Contains(v, string(oldID))
	})
}

func TestPromoter_Chooses(t *testing.T) {
	type member struct {
		id    raft.ServerID
		state autopilot.RaftState
		ok    bool
		zone  string
	}
	const l, v, n = autopilot.RaftLeader, autopilot.RaftVoter, autopilot.RaftNonVoter
	for name, c := range map[string]struct {
		voters          int
		members         []member
		promote, demote string
	}{
		"a second member votes":                 {3, []member{{"a", l, true, ""}, {"b", n, true, ""}}, "b", ""},
		"a third too":                           {3, []member{{"a", l, true, ""}, {"b", v, true, ""}, {"c", n, true, ""}}, "c", ""},
		"one that is not well does not":         {3, []member{{"a", l, true, ""}, {"b", n, false, ""}}, "", ""},
		"a fourth does not":                     {3, []member{{"a", l, true, ""}, {"b", v, true, ""}, {"c", v, true, ""}, {"d", n, true, ""}}, "", ""},
		"nor does a fourth of five":             {5, []member{{"a", l, true, ""}, {"b", v, true, ""}, {"c", v, true, ""}, {"d", n, true, ""}}, "", ""},
		"a fifth makes room for two":            {5, []member{{"a", l, true, ""}, {"b", v, true, ""}, {"c", v, true, ""}, {"d", n, true, ""}, {"e", n, true, ""}}, "d", ""},
		"a failed voter is replaced":            {3, []member{{"a", l, true, ""}, {"b", v, false, ""}, {"c", v, true, ""}, {"d", n, true, ""}}, "d", "b"},
		"but not by a failed one":               {3, []member{{"a", l, true, ""}, {"b", v, false, ""}, {"c", v, true, ""}, {"d", n, false, ""}}, "", ""},
		"one too many goes":                     {3, []member{{"a", l, true, ""}, {"b", v, true, ""}, {"c", v, true, ""}, {"d", v, true, ""}}, "", "d"},
		"the failed one first":                  {3, []member{{"a", l, true, ""}, {"b", v, false, ""}, {"c", v, true, ""}, {"d", v, true, ""}}, "", "b"},
		"an empty zone is preferred":            {3, []member{{"a", l, true, "x"}, {"b", v, true, "y"}, {"c", n, true, "y"}, {"d", n, true, "z"}}, "d", ""},
		"a crowded zone gives way":              {3, []member{{"a", l, true, "x"}, {"b", v, true, "x"}, {"c", v, true, "y"}, {"d", n, true, "z"}}, "d", ""},
		"of the crowd one that is not the head": {3, []member{{"a", l, true, "x"}, {"b", v, true, "x"}, {"c", v, true, "y"}, {"d", v, true, "z"}}, "", "b"},
		"zones that are spread stay":            {3, []member{{"a", l, true, "x"}, {"b", v, true, "y"}, {"c", v, true, "z"}, {"d", n, true, "x"}}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := &autopilot.State{Servers: map[raft.ServerID]*autopilot.ServerState{}}
			zones := map[raft.ServerID]string{}
			for _, m := range c.members {
				st := &autopilot.ServerState{State: m.state, Server: autopilot.Server{ID: m.id}}
				st.Health.Healthy, st.Health.StableSince = m.ok, time.Now().Add(-time.Hour)
				if !m.ok {
					st.Stats.LastContact = time.Hour
				}
				if m.state != n {
					s.Voters = append(s.Voters, m.id)
				}
				if m.state == l {
					s.Leader = m.id
				}
				s.Servers[m.id], zones[m.id] = st, m.zone
			}
			p := &promoter{voters: c.voters, failed: time.Minute, zone: func() map[raft.ServerID]string { return zones }}
			got := p.CalculatePromotionsAndDemotions(&autopilot.Config{}, s)
			if fmt.Sprint(got.Promotions, got.Demotions) != fmt.Sprintf("[%s] [%s]", c.promote, c.demote) {
				t.Errorf("promotes %v, demotes %v", got.Promotions, got.Demotions)
			}
		})
	}
}
