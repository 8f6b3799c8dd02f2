package harness

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"dfs/cmd/dfsmount/mount"
	"dfs/cmd/dfsnode/node"
	"dfs/fs"
)

// Local is a cluster in the test's own process: the same wiring as in the commands, without FUSE. It starts faster than
// processes, runs under the race detector, and any step of any node or client can be made to fail at any time.
//
// Networks are cut where connections are made (RPC and Raft; gossip goes on, and knows nothing of it).
type Local struct {
	t     testing.TB
	dir   string
	Nodes []*LocalNode

	clients []*LocalClient

	mu  sync.Mutex
	cut map[string]bool // "from→to" by name
}

// LocalNode is one of its nodes.
type LocalNode struct {
	Name   string
	Faults *Steps
	local  *Local
	config node.Config
	node   *node.Node
	stop   context.CancelFunc
	done   chan error // Run's result
	lives  int
}

// LocalClient is a mount without FUSE.
type LocalClient struct {
	*mount.Client
	Name   string
	Faults *Steps
	local  *Local
}

var errCut = errors.New("the network is cut")

// StartLocal starts n nodes and waits until they have formed a cluster.
func StartLocal(t testing.TB, n int) *Local {
	t.Helper()
	l := &Local{t: t, dir: testDir(t), cut: map[string]bool{}}
	l.start(n, n)
	return l
}

// Grow starts n more nodes, which join the others, and waits until they are members. Their names go on counting.
func (l *Local) Grow(n int) []*LocalNode {
	l.t.Helper()
	l.start(n, 0)
	return l.Nodes[len(l.Nodes)-n:]
}

// start starts n nodes, which found a cluster of so many, or join one (0), and waits until all are members.
func (l *Local) start(n, founders int) {
	l.t.Helper()
	ports := freePorts(l.t, 2*n)
	before := len(l.Nodes)
	for i := range n {
		name := fmt.Sprintf("n%d", before+i+1)
		l.Nodes = append(l.Nodes, &LocalNode{Name: name, Faults: newSteps(), local: l, config: node.Config{
			Name: name, Dir: filepath.Join(l.dir, name), Listen: address(ports[2*i]), Gossip: address(ports[2*i+1]),
			HTTP: "off", Metrics: "off", BootstrapExpect: founders, Voters: 3, Replicas: 3, Placement: "weighted",
			SessionTimeout: 2 * time.Second, GarbageGrace: 200 * time.Millisecond, SweepInterval: 300 * time.Millisecond,
		}})
	}
	var join []string
	for _, x := range l.Nodes {
		join = append(join, x.config.Gossip)
	}
	for _, x := range l.Nodes[before:] {
		x.config.Join = strings.Join(join, ",")
		x.config.Log.Level, x.config.Log.Format = "info", "text"
		if err := x.config.Validate(); err != nil {
			l.t.Fatal(err)
		}
		x.Start()
	}
	l.WaitFormed()
}

func address(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// Start starts a node on its directory.
func (x *LocalNode) Start() {
	x.local.t.Helper()
	log := slog.New(slog.NewTextHandler(testWriter{x.local.t, x.Name}, &slog.HandlerOptions{Level: slog.LevelError}))
	ctx, stop := context.WithCancel(context.Background())
	n, err := node.Open(ctx, x.config, node.Deps{Version: "test", Faults: x.faults, Logger: log})
	if err != nil {
		stop()
		x.local.t.Fatalf("%s: %v", x.Name, err)
	}
	x.node, x.stop, x.done = n, stop, make(chan error, 1)
	go func() {
		err := n.Run(ctx)
		x.done <- errors.Join(err, n.Close())
	}()
	if x.lives++; x.lives == 1 {
		x.local.t.Cleanup(x.end)
	}
}

// faults is what the node asks at every step.
func (x *LocalNode) faults(step string) error {
	if to, ok := strings.CutPrefix(step, "dial:"); ok && x.local.isCut(x.Name, to) {
		return errCut
	}
	return x.Faults.at(step)
}

// end stops a node for good, or does nothing if it has ended.
func (x *LocalNode) end() {
	if x.stop == nil {
		return
	}
	x.Faults.Clear()
	x.stop()
	<-x.done // an error at the end of a test says nothing: the network may be cut
	x.stop = nil
}

// Crash ends a node as a power cut would: from one moment on nothing of what it does reaches anybody, and it comes back
// with what lay in its directory at that moment.
func (x *LocalNode) Crash() {
	x.local.t.Helper()
	x.local.Isolate(x.Name)
	copied := fmt.Sprintf("%s.%d", x.config.Dir, x.lives)
	Eventually(x.local.t, 30*time.Second, func() error { return copyAtRest(x.config.Dir, copied) })
	x.end()
	if err := os.RemoveAll(x.config.Dir); err != nil {
		x.local.t.Fatal(err)
	}
	if err := os.Rename(copied, x.config.Dir); err != nil {
		x.local.t.Fatal(err)
	}
}

// copyAtRest copies a directory whose owner, isolated, will soon have nothing more to write. A copy that was made while
// something was written could mix two moments, which no power cut does; it is an error.
func copyAtRest(from, to string) error {
	script := `rm -rf "$2"; cp -a "$1" "$2" && sleep 0.3 && diff -r "$1" "$2"`
	r := Command{Argv: []string{"sh", "-c", script, "sh", from, to}}.Exec()
	return r.Failure()
}

// Restart starts a crashed node and heals its network.
func (x *LocalNode) Restart() {
	x.local.t.Helper()
	x.Faults.Clear()
	x.local.Heal(x.Name)
	x.Start()
}

// Status is the node's own view.
func (x *LocalNode) Status() (*fs.Status, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return x.node.Admin().Status(ctx)
}

// Transactions are those that the node remembers.
func (x *LocalNode) Transactions() ([]fs.TxStatus, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return x.node.Admin().Transactions(ctx, 1000)
}

// Remove has the node remove another one, as "dfs node remove" does.
func (x *LocalNode) Remove(other *LocalNode, force bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return x.node.Membership().RemoveNode(ctx, fs.NodeID(other.Name), force)
}

// Ended reports whether the node has ended by itself.
func (x *LocalNode) Ended() bool { return len(x.done) > 0 }

// Runs reports whether the node has been started and not ended.
func (x *LocalNode) Runs() bool { return x.stop != nil }

// Isolate cuts a node or client off from everybody, both ways.
func (l *Local) Isolate(name string) {
	l.IsolateFromNodes(name)
	for _, c := range l.clients {
		l.sever(c.Name, name, c.Break)
	}
}

// IsolateFromNodes cuts a node or client off from the nodes only: clients still reach an isolated node.
func (l *Local) IsolateFromNodes(name string) {
	for _, x := range l.Nodes {
		if x.Name == name {
			for _, y := range l.Nodes {
				l.sever(name, y.Name, x.Break)
			}
			continue
		}
		l.sever(x.Name, name, x.Break)
	}
}

// sever cuts the way from one to another, which is a node, and breaks what is connected on it.
func (l *Local) sever(from, to string, breakTo func(addr string)) {
	if from == to {
		return
	}
	l.mu.Lock()
	l.cut[from+"→"+to] = true
	l.mu.Unlock()
	for _, y := range l.Nodes {
		if y.Name == to {
			breakTo(y.config.Listen)
		}
	}
}

// Break breaks the node's connections to an address.
func (x *LocalNode) Break(addr string) {
	if x.Runs() {
		x.node.Break(addr)
	}
}

// Heal undoes Isolate.
func (l *Local) Heal(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for path := range l.cut {
		from, to, _ := strings.Cut(path, "→")
		if from == name || to == name {
			delete(l.cut, path)
		}
	}
}

// isCut tells of the way from a name to an address.
func (l *Local) isCut(from, addr string) bool {
	i := slices.IndexFunc(l.Nodes, func(x *LocalNode) bool { return x.config.Listen == addr })
	if i < 0 {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cut[from+"→"+l.Nodes[i].Name]
}

// WaitFormed waits until every running node sees a quorum and all members.
func (l *Local) WaitFormed() {
	l.t.Helper()
	for _, x := range l.Nodes {
		if !x.Runs() {
			continue
		}
		Eventually(l.t, 60*time.Second, func() error {
			s, err := x.Status()
			if err != nil {
				return err
			}
			return formed(s, len(l.Nodes))
		})
	}
}

// Leader waits for a leader among the running nodes but not, and returns it.
func (l *Local) Leader(not ...*LocalNode) *LocalNode {
	l.t.Helper()
	var leader *LocalNode
	Eventually(l.t, 60*time.Second, func() error {
		for _, x := range l.Nodes {
			if !x.Runs() || slices.Contains(not, x) {
				continue
			}
			if s, err := x.Status(); err == nil && s.Quorum && string(s.Leader) == x.Name {
				leader = x
				return nil
			}
		}
		return fmt.Errorf("nobody leads")
	})
	return leader
}

// Client opens a session, as a mount does.
func (l *Local) Client(name string) *LocalClient {
	l.t.Helper()
	c := &LocalClient{Name: name, Faults: newSteps(), local: l}
	var addrs []string
	for _, x := range l.Nodes {
		addrs = append(addrs, x.config.Listen)
	}
	log := slog.New(slog.NewTextHandler(testWriter{l.t, name}, &slog.HandlerOptions{Level: slog.LevelError}))
	client, err := mount.Open(context.Background(), mount.Config{
		Hosts: strings.Join(addrs, ","), Dir: "/" + name, WritePolicy: "weighted", ReadPolicy: "p2c", DirtyMax: 32 << 20,
		FlushAge: 50 * time.Second, ConnectTimeout: 30 * time.Second, OpTimeout: 30 * time.Second,
	}, mount.Deps{Version: "test", Faults: c.faults, Logger: log})
	if err != nil {
		l.t.Fatalf("%s: %v", name, err)
	}
	c.Client = client
	l.clients = append(l.clients, c)
	l.t.Cleanup(func() {
		c.Faults.Clear()
		l.Heal(name)
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = client.Close(ctx) // a client that was abandoned has lost its session, which is the point
	})
	return c
}

func (c *LocalClient) faults(step string) error {
	if to, ok := strings.CutPrefix(step, "dial:"); ok && c.local.isCut(c.Name, to) {
		return errCut
	}
	return c.Faults.at(step)
}

// Abandon cuts a client off for good, as when its machine dies.
func (c *LocalClient) Abandon() {
	for _, x := range c.local.Nodes {
		c.local.sever(c.Name, x.Name, c.Break)
	}
}

// WaitSettled waits until no blob lacks a replica, is garbage, or is staged anywhere.
func (l *Local) WaitSettled(patience time.Duration) {
	l.t.Helper()
	Eventually(l.t, patience, func() error {
		for _, x := range l.Nodes {
			if !x.Runs() {
				continue
			}
			if err := x.settled(); err != nil {
				return err
			}
		}
		return nil
	})
}

func (x *LocalNode) settled() error {
	s, err := x.Status()
	if err != nil {
		return err
	}
	if b := s.Blobs; !s.Quorum || b.UnderReplicated > 0 || b.Garbage > 0 {
		return fmt.Errorf("%s: quorum %v, %d blobs lack replicas, %d are garbage", x.Name, s.Quorum, b.UnderReplicated, b.Garbage)
	}
	list, err := x.Transactions()
	if err != nil {
		return err
	}
	for _, tx := range list {
		if tx.State == fs.TxPrepared || len(tx.Staged) > 0 {
			return fmt.Errorf("%s: transaction %s is %s, staged on %v", x.Name, tx.ID, tx.State, tx.Staged)
		}
	}
	return nil
}
