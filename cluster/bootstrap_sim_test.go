package cluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dfs/fs"
)

// simNet is a set of machines that run Bootstrap in fake time, with gossip and RPC that a test can spoil.
type simNet struct {
	t      *testing.T
	expect int
	dir    string
	ctx    context.Context // ends the simulation
	done   sync.WaitGroup

	mu      sync.Mutex
	rng     *rand.Rand
	chaos   bool // lose and delay messages, crash nodes, cut links
	yesmen  bool // everybody who is only asked says yes: safety must not rest on it
	cut     map[[2]fs.NodeID]bool
	nodes   []*simNode
	founded []*Proposal // each time that a founding became durable
}

// simNode is a machine; its fields are guarded by the net's mu.
type simNode struct {
	net     *simNet
	id      fs.NodeID
	up      bool
	boot    *Bootstrap
	cluster string // durable: the Raft state of a real node
	met     string // forgotten in a crash
	crashes int
}

var errCrash = errors.New("the machine has crashed")

func newSim(t *testing.T, ctx context.Context, seed uint64, expect int, chaos bool) *simNet {
	return &simNet{t: t, ctx: ctx, expect: expect, dir: t.TempDir(), chaos: chaos,
		rng: rand.New(rand.NewPCG(seed, 1)), cut: make(map[[2]fs.NodeID]bool)}
}

func (s *simNet) chance(p float64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.chaos && s.rng.Float64() < p
}

func (s *simNet) between(from, to time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return from + time.Duration(s.rng.Int64N(int64(to-from)+1))
}

// add starts a machine after a delay and restarts it whenever it has crashed.
func (s *simNet) add(id fs.NodeID, after time.Duration) *simNode {
	n := &simNode{net: s, id: id}
	s.mu.Lock()
	s.nodes = append(s.nodes, n)
	s.mu.Unlock()
	if err := os.Mkdir(filepath.Join(s.dir, string(id)), 0o755); err != nil {
		s.t.Fatal(err)
	}
	s.done.Go(func() {
		sleep(s.ctx, after)
		for s.ctx.Err() == nil {
			if err := n.live(); err == nil || s.ctx.Err() != nil {
				break
			}
			sleep(s.ctx, s.between(100*time.Millisecond, 5*time.Second))
		}
	})
	return n
}

// live is one life of a machine: until it belongs to a cluster, or crashes.
func (n *simNode) live() error {
	s := n.net
	ctx, kill := context.WithCancel(s.ctx)
	defer kill()
	boot, err := NewBootstrap(BootstrapConfig{
		Node: n.id, Addr: simAddr(n.id), Expect: s.expect, Dir: filepath.Join(s.dir, string(n.id)), View: n,
		Promise: func(ctx context.Context, f Founder, p *Proposal, bind bool) error {
			return s.rpc(ctx, n.id, f, p, bind)
		},
		Found: n.found,
		Faults: func(string) error {
			if s.chance(0.15) {
				return errCrash
			}
			return nil
		},
	})
	if err != nil {
		s.t.Errorf("%s: %v", n.id, err)
		return nil
	}
	s.mu.Lock()
	n.up, n.boot, n.met = true, boot, ""
	member := n.cluster != ""
	s.mu.Unlock()
	if member {
		return nil // Raft state on disk: no bootstrap
	}
	if s.chance(0.5) {
		time.AfterFunc(s.between(0, 20*time.Second), kill)
	}
	out, err := boot.Run(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		n.up, n.crashes = false, n.crashes+1
		return err
	}
	if n.cluster != "" && n.cluster != out.Cluster {
		s.t.Errorf("%s belongs to %s and now to %s", n.id, n.cluster, out.Cluster)
	}
	n.cluster = out.Cluster
	return nil
}

func (n *simNode) found(_ context.Context, p *Proposal) error {
	s := n.net
	if s.chance(0.2) {
		return errCrash // before anything was durable
	}
	s.mu.Lock()
	s.founded = append(s.founded, p)
	n.cluster = p.Cluster
	s.mu.Unlock()
	return nil
}

func simAddr(id fs.NodeID) string { return string(id) + ":7400" }

func (s *simNet) link(a, b fs.NodeID) bool {
	return !s.cut[[2]fs.NodeID{min(a, b), max(a, b)}]
}

// rpc carries a proposal, perhaps late, and its answer, perhaps not.
func (s *simNet) rpc(ctx context.Context, from fs.NodeID, f Founder, p *Proposal, bind bool) error {
	if s.chance(0.1) {
		return fmt.Errorf("request lost: %w", fs.ErrUnavailable)
	}
	if s.chance(0.3) {
		sleep(ctx, s.between(0, 2*askTimeout))
	}
	s.mu.Lock()
	var to *Bootstrap
	for _, n := range s.nodes {
		if n.id == f.ID && n.up && s.link(from, n.id) {
			to = n.boot
		}
	}
	s.mu.Unlock()
	if to == nil {
		return fmt.Errorf("%s cannot be reached: %w", f.ID, fs.ErrUnavailable)
	}
	if s.yesmen && !bind {
		return nil
	}
	err := to.Promise(ctx, p, bind) // a request on its way is carried out even if nobody waits for the answer any more
	if s.chance(0.1) || ctx.Err() != nil {
		return fmt.Errorf("answer lost: %w", fs.ErrUnavailable)
	}
	return err
}

// Details is the gossip of node n: everybody that it has a link to.
func (n *simNode) Details() []Member {
	s := n.net
	s.mu.Lock()
	defer s.mu.Unlock()
	var seen []Member
	for _, o := range s.nodes {
		if o.up && s.link(n.id, o.id) {
			seen = append(seen, Member{NodeInfo: fs.NodeInfo{ID: o.id, Addr: simAddr(o.id), State: fs.NodeAlive}, Cluster: o.cluster, Expect: s.expect})
			if o.cluster != "" && n.met == "" {
				n.met = o.cluster
			}
		}
	}
	return seen
}

func (n *simNode) SeenCluster() string {
	n.Details()
	n.net.mu.Lock()
	defer n.net.mu.Unlock()
	if n.cluster != "" {
		return n.cluster
	}
	return n.met
}

func (n *simNode) Changed() <-chan struct{} { return nil } // never: Bootstrap looks by itself

// shake cuts and mends links at random.
func (s *simNet) shake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, a := range s.nodes {
		for _, b := range s.nodes[i+1:] {
			s.cut[[2]fs.NodeID{min(a.id, b.id), max(a.id, b.id)}] = s.rng.Float64() < 0.25
		}
	}
}

func (s *simNet) heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.chaos = false
	clear(s.cut)
}

// clusters are the distinct proposals that were founded, and the nodes by the cluster that they ended in.
func (s *simNet) clusters() (founded []string, homes map[string][]fs.NodeID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	homes = make(map[string][]fs.NodeID)
	for _, p := range s.founded {
		if !slices.Contains(founded, p.Cluster) {
			founded = append(founded, p.Cluster)
		}
	}
	for _, n := range s.nodes {
		homes[n.cluster] = append(homes[n.cluster], n.id)
	}
	return founded, homes
}

// simulate runs a scenario to its end in fake time.
func simulate(t *testing.T, seed uint64, expect int, chaos bool, scenario func(s *simNet)) (s *simNet) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		s = newSim(t, ctx, seed, expect, chaos)
		scenario(s)
		cancel()
		s.done.Wait()
	})
	return s
}
