package raftmeta

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"dfs/fs"
	"dfs/raftmeta/command"
	"dfs/raftmeta/state"
)

// testCluster is several nodes in one process, joined by transports in memory that can be cut.
type testCluster struct {
	t      *testing.T
	dir    string
	tune   func(*Config)
	mu     sync.Mutex
	nodes  map[fs.NodeID]*Node
	trans  map[fs.NodeID]*raft.InmemTransport
	cut    map[fs.NodeID]bool
	gossip map[fs.NodeID]fs.NodeInfo
	faults map[fs.NodeID]map[string]func() error // by node and step
	untold atomic.Bool                           // sessions tell a fresh leader nothing, unless the test does it
	mounts sync.WaitGroup                        // see keepTelling
}

// fast are timings for tests on a busy machine: short, but not so short that a stalled goroutine causes an election.
var fast = Timings{Heartbeat: 150 * time.Millisecond, Commit: 5 * time.Millisecond, Operation: 3 * time.Second,
	Notice: 100 * time.Millisecond, Reap: 50 * time.Millisecond, Stable: 200 * time.Millisecond, Failed: 600 * time.Millisecond,
	Expiry: 100 * time.Millisecond}

func newCluster(t *testing.T, n int, tune func(*Config)) *testCluster {
	t.Helper()
	return newClusterOf(t, n, testInit(), tune)
}

func newClusterOf(t *testing.T, n int, init command.Init, tune func(*Config)) *testCluster {
	t.Helper()
	c := &testCluster{t: t, dir: t.TempDir(), tune: tune, nodes: map[fs.NodeID]*Node{}, trans: map[fs.NodeID]*raft.InmemTransport{},
		cut: map[fs.NodeID]bool{}, gossip: map[fs.NodeID]fs.NodeInfo{}, faults: map[fs.NodeID]map[string]func() error{}}
	t.Cleanup(c.close)
	var servers []fs.NodeInfo
	for i := range n {
		id := nodeID(i)
		c.start(id)
		servers = append(servers, fs.NodeInfo{ID: id, Addr: addrOf(id)})
	}
	if n > 0 {
		if err := c.nodes[nodeID(0)].Bootstrap(servers, init); err != nil {
			t.Fatal(err)
		}
		leader := c.leader()
		if members := leader.members(); len(members) != n {
			t.Fatalf("the leader knows the members %v", members)
		}
		c.eventually("all nodes follow", func() bool { // one that has not heard of the others stands in no election
			for _, x := range c.nodes {
				applied, _ := x.progress.now()
				if applied == 0 || x != leader && x.transport.gate.promised.Load() == nil {
					return false
				}
			}
			return true
		})
	}
	return c
}

func nodeID(i int) fs.NodeID     { return fs.NodeID(fmt.Sprintf("n%d", i+1)) }
func addrOf(id fs.NodeID) string { return string(id) + ":1" }

func testInit() command.Init {
	return command.Init{Cluster: "test-cluster", Time: 1, Replicas: 3, MinReplicas: 2, InlineMax: 4096, SessionTimeout: 60_000}
}

func (c *testCluster) config(id fs.NodeID, trans raft.Transport) Config {
	cfg := Config{ID: id, Dir: filepath.Join(c.dir, string(id)), Addr: addrOf(id), Version: "test", Transport: trans, Timings: fast,
		SnapshotInterval: time.Hour, Gossip: c.gossiped, Faults: func(step string) error { return c.fault(id, step) }, segmentSize: 1 << 20, stateTableSize: 4 << 20}
	if testing.Verbose() && os.Getenv("RAFTMETA_LOG") != "" {
		cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	if c.tune != nil {
		c.tune(&cfg)
	}
	return cfg
}

func (c *testCluster) gossiped() []fs.NodeInfo {
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []fs.NodeInfo
	for _, info := range c.gossip {
		list = append(list, info)
	}
	return list
}

// onStep has fn run whenever a node comes to a step; nil for nothing.
func (c *testCluster) onStep(id fs.NodeID, step string, fn func() error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.faults[id] == nil {
		c.faults[id] = map[string]func() error{}
	}
	c.faults[id][step] = fn
}

func (c *testCluster) fault(id fs.NodeID, step string) error {
	c.mu.Lock()
	fn := c.faults[id][step]
	c.mu.Unlock()
	if fn == nil {
		return nil
	}
	return fn()
}

// open opens a node and connects it, without a test failure.
func (c *testCluster) open(id fs.NodeID) (*Node, error) {
	_, trans := raft.NewInmemTransportWithTimeout(raft.ServerAddress(addrOf(id)), 250*time.Millisecond)
	n, err := Open(c.config(id, trans))
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nodes[id], c.trans[id] = n, trans
	c.wire()
	c.mounts.Go(func() { c.keepTelling(n) })
	return n, nil
}

func (c *testCluster) start(id fs.NodeID) *Node {
	c.t.Helper()
	n, err := c.open(id)
	if err != nil {
		c.t.Fatal(err)
	}
	return n
}

// wire connects all transports that are not cut off; mu is held.
func (c *testCluster) wire() {
	for a, ta := range c.trans {
		ta.DisconnectAll()
		for b, tb := range c.trans {
			if a == b || !c.cut[a] && !c.cut[b] {
				ta.Connect(raft.ServerAddress(addrOf(b)), tb)
			}
		}
	}
}

func (c *testCluster) setCut(id fs.NodeID, cut bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut[id] = cut
	c.wire()
}

func (c *testCluster) stop(id fs.NodeID) {
	c.t.Helper()
	c.mu.Lock()
	n := c.nodes[id]
	delete(c.nodes, id)
	delete(c.trans, id)
	c.wire()
	c.mu.Unlock()
	if err := n.Close(); err != nil {
		c.t.Errorf("close %s: %v", id, err)
	}
}

func (c *testCluster) close() {
	c.mu.Lock()
	nodes := c.nodes
	c.nodes = map[fs.NodeID]*Node{}
	c.mu.Unlock()
	var wg sync.WaitGroup
	for id, n := range nodes {
		wg.Go(func() {
			if err := n.Close(); err != nil {
				c.t.Errorf("close %s: %v", id, err)
			}
		})
	}
	wg.Wait()
	c.mounts.Wait()
}

// keepTelling does, as long as a node lives, what the mounts do that a test only pretends to have: whenever it begins to lead, it is
// told that they hold nothing.
func (c *testCluster) keepTelling(n *Node) {
	for n.ctx.Err() == nil {
		leads, changed := n.LeaderNotify()
		if leads && !c.untold.Load() {
			tellNothing(n)
		}
		select {
		case <-changed:
		case <-n.ctx.Done():
		}
	}
}

// tellNothing tells a leader of all sessions without a stream that they hold nothing.
func tellNothing(n *Node) {
	r, _ := n.leader.get()
	if r == nil {
		return
	}
	r.sessions.mu.Lock()
	defer r.sessions.mu.Unlock()
	for id, e := range r.sessions.sessions {
		if e.stream == nil {
			_ = r.sessions.desk.Attach(id, nil, time.Hour, func([]fs.Recall) {}) // else the reign is over
			_ = r.sessions.desk.Told(id)
		}
	}
}

func (c *testCluster) ids() []fs.NodeID {
	c.mu.Lock()
	defer c.mu.Unlock()
	var ids []fs.NodeID
	for id := range c.nodes {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

func (c *testCluster) node(id fs.NodeID) *Node {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nodes[id]
}

// leader waits for a leader that serves a read, among the nodes that are not cut off.
func (c *testCluster) leader() *Node {
	c.t.Helper()
	var leader *Node
	c.eventually("there is a leader", func() bool {
		for _, id := range c.ids() {
			c.mu.Lock()
			n, cut := c.nodes[id], c.cut[id]
			c.mu.Unlock()
			if cut || !n.IsLeader() {
				continue
			}
			if _, err := n.Getattr(c.ctx(), math.MaxUint64); errors.Is(err, fs.ErrNotExist) { // which waits for nobody's lease
				leader = n
				return true
			}
		}
		return false
	})
	return leader
}

func (c *testCluster) follower() *Node {
	c.t.Helper()
	leader := c.leader()
	for _, id := range c.ids() {
		if id != leader.cfg.ID {
			return c.node(id)
		}
	}
	c.t.Fatal("there is no follower")
	return nil
}

func (c *testCluster) ctx() context.Context { return c.t.Context() }

// eventually polls until cond holds; tests poll instead of sleeping for a guessed time.
func (c *testCluster) eventually(what string, cond func() bool) {
	c.t.Helper()
	eventually(c.t, what, cond)
}

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 s: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// session opens a session and allots inode numbers to it.
type testSession struct {
	fs.Session
	seq  uint64
	next fs.Ino
}

func (c *testCluster) session() *testSession {
	c.t.Helper()
	n := c.leader()
	s, err := n.OpenSession(c.ctx(), fs.Mount{Host: "h", Path: "/mnt"})
	if err != nil {
		c.t.Fatal(err)
	}
	r, err := n.AllocInos(c.ctx(), s, 1000)
	if err != nil {
		c.t.Fatal(err)
	}
	return &testSession{Session: s, next: r.From}
}

// tx is the session's next transaction.
func (s *testSession) tx(ops ...fs.Op) *fs.Tx {
	s.seq++
	return &fs.Tx{ID: fs.TxID{Session: s.ID, Seq: s.seq}, Epoch: s.Epoch, Done: 1, Ops: ops, Replicas: 3}
}

// create is the operation that makes a file in the root directory.
func (s *testSession) create(name string) *fs.Create {
	s.next++
	return &fs.Create{Parent: fs.RootIno, Name: name, Ino: s.next - 1, Type: fs.TypeRegular, Mode: 0o644, Time: 5}
}

// must commits and wants success.
func (c *testCluster) must(n *Node, tx *fs.Tx) *fs.TxResult {
	c.t.Helper()
	r, err := n.Commit(c.ctx(), tx)
	if err != nil {
		c.t.Fatal(err)
	}
	if r.Err != fs.CodeOK {
		c.t.Fatalf("refused: %v", fs.FromCode(r.Err))
	}
	return r
}

// retry commits until there is a decision, at whoever leads.
func (c *testCluster) retry(tx *fs.Tx) *fs.TxResult {
	c.t.Helper()
	var result *fs.TxResult
	c.eventually("the transaction is decided", func() bool {
		r, err := c.leader().Commit(c.ctx(), tx)
		if err != nil && !errors.Is(err, fs.ErrUnavailable) && !errors.Is(err, fs.ErrNotLeader) {
			c.t.Fatal(err)
		}
		result = r
		return err == nil
	})
	return result
}

// digest is the digest of a node's own state.
func digest(t *testing.T, n *Node) [32]byte {
	t.Helper()
	_, d := n.indexAndDigest(t)
	return d
}

// converge waits until all nodes have applied the same entries, and compares their states.
func (c *testCluster) converge() {
	c.t.Helper()
	leader := c.leader()
	for _, id := range c.ids() {
		c.eventually(fmt.Sprintf("%s has applied what %s has", id, leader.cfg.ID), func() bool {
			at, d := c.node(id).indexAndDigest(c.t)
			leaderAt, want := leader.indexAndDigest(c.t)
			if at == leaderAt && d != want {
				c.t.Fatalf("at entry %d the states of %s and %s differ", at, id, leader.cfg.ID)
			}
			return at == leaderAt
		})
	}
}

func (n *Node) indexAndDigest(t *testing.T) (index uint64, d [32]byte) {
	t.Helper()
	err := n.local(func(s *snapshot) (err error) {
		index = s.index
		d, err = state.Digest(s.reader)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return index, d
}

func txCommand(tx *fs.Tx) *command.Tx { return &command.Tx{Tx: *tx} }

func okAnswer() *state.Answer { return &state.Answer{Tx: &fs.TxResult{}} }

func setBigXattr(ino fs.Ino) fs.Op {
	return &fs.Setxattr{Ino: ino, Name: "user.big", Value: make([]byte, 30<<10), Time: 1}
}
