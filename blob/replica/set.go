package replica

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"dfs/blob"
	"dfs/fs"
)

// Config of a Set.
type Config struct {
	// Nodes is the present view of the storage nodes. It must not block.
	Nodes func() []fs.NodeInfo
	// Open returns the store at a node, without waiting for a connection. The Set keeps what it returns. The store's calls
	// must end soon after their ctx.
	Open func(fs.NodeInfo) (blob.Store, error)
	// Replicas is how many copies a blob should get.
	Replicas int
	// MinReplicas is how many it must get now, 1 … Replicas; see fs.Notice. It must not block.
	MinReplicas func() int

	WriteOrder, ReadOrder Order    // nil: at random
	Observer              Observer // nil: none

	StageTimeout time.Duration // bound of Stage; default 10 s
	GetTimeout   time.Duration // bound of Get; default 10 s
	// Bad is told of a replica that is missing or damaged; nil: nobody is. It must not block.
	Bad func(node fs.NodeID, id fs.BlobID, err error)

	Faults fs.Faults
	Logger *slog.Logger // nil: none

	patience time.Duration // at least so much, in tests on busy machines
}

// Validate fills in the defaults.
func (c *Config) Validate() error {
	if c.Nodes == nil || c.Open == nil || c.MinReplicas == nil {
		return fmt.Errorf("replica set: Nodes, Open and MinReplicas are needed: %w", fs.ErrInvalid)
	}
	if c.Replicas < 1 {
		return fmt.Errorf("replica set: %d replicas: %w", c.Replicas, fs.ErrInvalid)
	}
	if c.WriteOrder == nil {
		c.WriteOrder = shuffled
	}
	if c.ReadOrder == nil {
		c.ReadOrder = shuffled
	}
	if c.Observer == nil {
		c.Observer = unobserved{}
	}
	if c.StageTimeout <= 0 {
		c.StageTimeout = 10 * time.Second
	}
	if c.GetTimeout <= 0 {
		c.GetTimeout = 10 * time.Second
	}
	if c.Bad == nil {
		c.Bad = func(fs.NodeID, fs.BlobID, error) {}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

type unobserved struct{}

func (unobserved) Begin(fs.NodeID, Request) func(error) { return func(error) {} }

// Set is the blob.Store over all nodes.
type Set struct {
	cfg    Config
	health *health
	stages latencies // of single votes
	gets   latencies // of single answers

	life    context.Context // ends with Close
	end     context.CancelFunc
	probing sync.WaitGroup

	mu     sync.Mutex
	closed bool
	stores map[fs.NodeID]opened // one for each node asked of late
}

type opened struct {
	addr  string
	store blob.Store
}

var _ blob.Store = (*Set)(nil)

// NewSet makes a Set.
func NewSet(cfg Config) (*Set, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Set{cfg: cfg, health: newHealth(), stores: map[fs.NodeID]opened{},
		stages: latencies{kind: StageRequest}, gets: latencies{kind: GetRequest}}
	s.life, s.end = context.WithCancel(context.Background())
	return s, nil
}

// Close ends the Set's probes and waits for them. Calls under way go on.
func (s *Set) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.end()
	s.probing.Wait()
	return nil
}

// open returns the store at a node, at its present address.
func (s *Set) open(n fs.NodeInfo) (blob.Store, error) {
	s.mu.Lock()
	o, ok := s.stores[n.ID]
	s.mu.Unlock()
	if ok && o.addr == n.Addr {
		return o.store, nil
	}
	store, err := s.cfg.Open(n)
	if err != nil {
		return nil, fmt.Errorf("node %s at %s: %w", n.ID, n.Addr, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stores[n.ID] = opened{n.Addr, store}
	return store, nil
}

// nodes is the present view; what is kept about nodes that have left it is forgotten.
func (s *Set) nodes() []fs.NodeInfo {
	nodes := s.cfg.Nodes()
	s.health.keep(nodes)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.stores) > len(nodes) {
		known := make(map[fs.NodeID]bool, len(nodes))
		for _, n := range nodes {
			known[n.ID] = true
		}
		for id := range s.stores {
			if !known[id] {
				delete(s.stores, id)
			}
		}
	}
	return nodes
}

// split parts nodes into those worth a try and the rest, each in order. Bad nodes whose probe is due are probed.
func (s *Set) split(nodes []fs.NodeInfo, order Order, usable func(*fs.NodeInfo) bool) (queue, reserve []fs.NodeInfo) {
	var suspects []fs.NodeInfo
	for _, n := range sorted(order, nodes) {
		switch {
		case !s.health.good(n.ID):
			s.probe(n)
			reserve = append(reserve, n)
		case n.State == fs.NodeDead || n.State == fs.NodeLeft || !usable(&n):
			reserve = append(reserve, n)
		case n.State == fs.NodeSuspect:
			suspects = append(suspects, n)
		default:
			queue = append(queue, n)
		}
	}
	return append(queue, suspects...), reserve
}

const probeTimeout = 2 * time.Second

// probe asks a bad node, in the background, whether it is well again.
func (s *Set) probe(n fs.NodeInfo) {
	if !s.health.startProbe(n.ID) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.probing.Go(func() {
		ctx, cancel := context.WithTimeout(s.life, probeTimeout)
		defer cancel()
		store, err := s.open(n)
		if err == nil {
			_, err = store.Usage(ctx)
		}
		s.health.probed(n.ID, err)
	})
}

// judge draws the conclusions about nodes from a race.
func (s *Set) judge(losses []loss) {
	for _, l := range losses {
		if l.overdue || blames(l.err) {
			s.health.failed(l.node)
			s.cfg.Logger.Warn("a node does not answer as it should", "node", l.node, "err", l.err)
		}
	}
}

// ask makes one request to one node.
func ask[T any](s *Set, n fs.NodeInfo, l timing, call func(blob.Store) (T, error)) (T, error) {
	store, err := s.open(n)
	if err != nil {
		var zero T
		return zero, err
	}
	return watched(s, n.ID, l, func() (T, error) { return call(store) })
}

// watched makes a request to a node, from which its latency and its health are learnt.
func watched[T any](s *Set, id fs.NodeID, l timing, call func() (T, error)) (T, error) {
	end := s.cfg.Observer.Begin(id, l.kind)
	start := time.Now()
	value, err := call()
	if excuses(err) {
		end(nil)
	} else {
		end(err)
	}
	if err == nil {
		l.observe(time.Since(start))
		s.health.succeeded(id)
	}
	return value, err
}
