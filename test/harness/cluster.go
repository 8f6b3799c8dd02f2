package harness

import (
	"encoding/json"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dfs/fs"
)

// Cluster is a cluster of real dfsnode processes.
type Cluster struct {
	t      testing.TB // of the test that is running; see In
	root   testing.TB // of the test that the cluster belongs to
	Dir    string     // data, logs and mounts
	Nodes  []*Node
	flags  []string
	prefix string // of the nodes' names
	mounts int
	net    *Fabric // nil: all on loopback
}

// Node is one of its nodes; *Process is the running or last process.
type Node struct {
	*Process
	Name    string
	RPC     string // host:port
	Data    string // directory
	cluster *Cluster
	host    string
	ports   [4]int // RPC, gossip, HTTP, metrics
}

// StartCluster starts n nodes on loopback with flags added, and waits until they have formed a cluster.
func StartCluster(t testing.TB, n int, flags ...string) *Cluster {
	t.Helper()
	return StartClusterNamed(t, "n", n, flags...)
}

// StartClusterNamed is StartCluster with another beginning of the nodes' names than "n".
func StartClusterNamed(t testing.TB, prefix string, n int, flags ...string) *Cluster {
	t.Helper()
	c := newCluster(t, flags)
	c.prefix = prefix
	c.add(n)
	for _, node := range c.Nodes {
		node.Start()
	}
	c.WaitFormed(n)
	return c
}

func newCluster(t testing.TB, flags []string) *Cluster {
	t.Helper()
	c := &Cluster{t: t, root: t, Dir: testDir(t), flags: flags, prefix: "n"}
	t.Cleanup(func() { showLogs(t, c.Dir) })
	return c
}

// add makes nodes without starting them.
func (c *Cluster) add(n int) {
	c.t.Helper()
	for range n {
		node := &Node{cluster: c, Name: fmt.Sprintf("%s%d", c.prefix, len(c.Nodes)+1), host: "127.0.0.1"}
		if c.net == nil {
			node.ports = [4]int(freePorts(c.t, 4))
		} else {
			node.host, node.ports = c.net.host(node.Name), [4]int{7400, 7401, 7480, 7490}
		}
		node.RPC = node.addr(0)
		node.Data = filepath.Join(c.Dir, node.Name)
		c.Nodes = append(c.Nodes, node)
	}
}

// In lets a subtest use the cluster: failures are the subtest's, and what it mounts is unmounted at its end. Nodes stay.
func (c *Cluster) In(t testing.TB) {
	outer := c.t
	c.t = t
	t.Cleanup(func() { c.t = outer })
}

// Add makes one more node, not started: it will join the others.
func (c *Cluster) Add() *Node {
	c.t.Helper()
	c.add(1)
	return c.Nodes[len(c.Nodes)-1]
}

func (n *Node) addr(port int) string { return net.JoinHostPort(n.host, fmt.Sprint(n.ports[port])) }

// Start starts the node, or starts it again, with env such as "DFS_FAILPOINTS=…".
func (n *Node) Start(env ...string) {
	n.cluster.t.Helper()
	var join []string
	founders := n.cluster.Nodes
	for _, other := range founders {
		join = append(join, other.addr(1))
	}
	argv := []string{Program(n.cluster.t, "dfsnode"), "--name", n.Name, "--dir", n.Data, "--listen", n.RPC,
		"--gossip", n.addr(1), "--http", n.addr(2), "--metrics", n.addr(3), "--join", strings.Join(join, ",")}
	if !slices.ContainsFunc(n.cluster.flags, func(f string) bool { return strings.HasPrefix(f, "--bootstrap-expect") }) {
		argv = append(argv, "--bootstrap-expect", fmt.Sprint(min(len(founders), 3)))
	}
	argv = append(argv, n.cluster.flags...)
	if n.cluster.net != nil {
		argv = n.cluster.net.within(n.Name, append(argv, "--insecure"))
	}
	n.Process = start(n.cluster.root, n.Name, filepath.Join(n.cluster.Dir, n.Name+".log"), env, argv...)
}

// Restart starts a node that has ended.
func (n *Node) Restart(env ...string) {
	n.cluster.t.Helper()
	if n.Alive() {
		n.cluster.t.Fatalf("%s still runs", n.Name)
	}
	n.Start(env...)
}

// Addrs are the RPC addresses of all nodes, comma-separated.
func (c *Cluster) Addrs() string {
	var all []string
	for _, n := range c.Nodes {
		all = append(all, n.RPC)
	}
	return strings.Join(all, ",")
}

// Dfs runs the admin client against addrs.
func (c *Cluster) Dfs(addrs string, args ...string) Result {
	c.t.Helper()
	argv := append([]string{Program(c.t, "dfs"), "--addr", addrs}, args...)
	if c.net != nil {
		argv = c.net.within(clientNamespace, append(argv, "--insecure"))
	}
	return Command{Argv: argv, Timeout: 30 * time.Second}.Exec()
}

// Status is what the node, or without one the first that answers, says.
func (c *Cluster) Status(of ...*Node) (*fs.Status, error) {
	addrs := c.Addrs()
	if len(of) > 0 {
		addrs = of[0].RPC
	}
	r := c.Dfs(addrs, "status", "--json", "--timeout", "5s")
	if err := r.Failure(); err != nil {
		return nil, err
	}
	s := &fs.Status{}
	if err := json.Unmarshal([]byte(r.Out), s); err != nil {
		return nil, fmt.Errorf("dfs status --json: %w\n%s", err, r.Out)
	}
	return s, nil
}

// WaitFormed waits until every running node sees a quorum, one leader and n members that are alive.
func (c *Cluster) WaitFormed(n int) {
	c.t.Helper()
	for _, node := range c.Nodes {
		if node.Process == nil || !node.Alive() {
			continue
		}
		Eventually(c.t, 40*time.Second, func() error {
			if !node.Alive() {
				return fmt.Errorf("%s has ended:\n%s", node.Name, node.Tail(5))
			}
			s, err := c.Status(node)
			if err != nil {
				return err
			}
			return formed(s, n)
		})
	}
}

func formed(s *fs.Status, n int) error {
	members, alive := 0, 0
	for _, node := range s.Nodes {
		if node.Member {
			members++
		}
		if node.State == fs.NodeAlive {
			alive++
		}
	}
	if s.Cluster == "" || !s.Quorum || s.Leader == "" || members < n || alive < n {
		return fmt.Errorf("%s sees cluster %q, quorum %v, leader %q, %d members, %d alive of %d", s.Node, s.Cluster, s.Quorum, s.Leader, members, alive, n)
	}
	return nil
}

// Leader waits for a leader and returns it.
func (c *Cluster) Leader() *Node {
	c.t.Helper()
	var leader *Node
	Eventually(c.t, 30*time.Second, func() error {
		s, err := c.Status()
		if err != nil {
			return err
		}
		if !s.Quorum {
			return fmt.Errorf("%s sees no quorum", s.Node)
		}
		if leader = c.Node(string(s.Leader)); leader == nil || !leader.Alive() {
			return fmt.Errorf("the leader %q is not running", s.Leader)
		}
		return nil
	})
	return leader
}

// Follower is a running node that is not the leader.
func (c *Cluster) Follower() *Node {
	c.t.Helper()
	leader := c.Leader()
	for _, n := range c.Nodes {
		if n != leader && n.Alive() {
			return n
		}
	}
	c.t.Fatal("no follower runs")
	return nil
}

// Node finds a node by name.
func (c *Cluster) Node(name string) *Node {
	for _, n := range c.Nodes {
		if n.Name == name {
			return n
		}
	}
	return nil
}

// WaitSettled waits until nothing is left to do for the blobs: no repair debt, no garbage, nothing staged.
func (c *Cluster) WaitSettled(patience time.Duration) *fs.Status {
	c.t.Helper()
	var s *fs.Status
	Eventually(c.t, patience, func() (err error) {
		if s, err = c.Status(); err != nil {
			return err
		}
		if b := s.Blobs; b.UnderReplicated > 0 || b.Garbage > 0 {
			return fmt.Errorf("%d blobs lack replicas, %d are garbage", b.UnderReplicated, b.Garbage)
		}
		return c.nothingStaged()
	})
	return s
}

// nothingStaged asks every running node: each knows only what its own disk holds.
func (c *Cluster) nothingStaged() error {
	for _, n := range c.Nodes {
		if n.Process == nil || !n.Alive() {
			continue
		}
		r := c.Dfs(n.RPC, "tx", "ls", "--json", "--limit", "1000")
		if err := r.Failure(); err != nil {
			return err
		}
		var list []fs.TxStatus
		if err := json.Unmarshal([]byte(r.Out), &list); err != nil {
			return fmt.Errorf("dfs tx ls --json: %w", err)
		}
		for _, tx := range list {
			if tx.State == fs.TxPrepared || len(tx.Staged) > 0 {
				return fmt.Errorf("%s: transaction %s is %s, staged on %v", n.Name, tx.ID, tx.State, tx.Staged)
			}
		}
	}
	return nil
}

// GossipAddr is the address that others join.
func (n *Node) GossipAddr() string { return n.addr(1) }

// URL is an address of the node's HTTP server.
func (n *Node) URL(path string) string { return "http://" + n.addr(2) + path }

// MetricsURL is an address of the node's metrics server.
func (n *Node) MetricsURL(path string) string { return "http://" + n.addr(3) + path }
