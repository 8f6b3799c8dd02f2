package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"dfs/blob/badgerstore"
	"dfs/blob/blobrpc"
	"dfs/blob/replica"
	"dfs/cluster"
	"dfs/cluster/pki"
	"dfs/cmd/internal/config"
	"dfs/fs"
	"dfs/fs/spans"
	"dfs/raftmeta"
	"dfs/raftmeta/metarpc"
)

// closeMax bounds Close: what is not closed by then is recovered at the next start, as after a power cut.
const closeMax = 10 * time.Second

// Config is what a node can be told; see its Register for the words.
type Config = config.Node

// Deps is what a node gets besides its configuration.
type Deps struct {
	Version string
	Faults  fs.Faults
	Logger  *slog.Logger
	Tracer  spans.Tracer     // nil: no traces
	Timings raftmeta.Timings // zero: the defaults
}

// Node is a running node. Open makes it, Run makes it a member, Close ends it.
type Node struct {
	cfg   Config
	deps  Deps
	log   *slog.Logger
	addrs *addresses

	dir       *directory
	tls       *pki.Credentials // nil: plaintext
	gossipKey []byte           // nil: likewise
	transport *cluster.Transport
	sampler   *cluster.Sampler
	store     *badgerstore.Store
	meta      *raftmeta.Node
	ring      *cluster.Ring
	ringNow   atomic.Pointer[cluster.Ring] // ring, for what is asked before it is there
	bootstrap *cluster.Bootstrap           // nil: joins only
	grpc      *cluster.Server
	rpc       *metarpc.Server
	blobsNow  atomic.Pointer[blobrpc.Server] // likewise
	keeperNow atomic.Pointer[replica.Keeper] // likewise
	measures  *measures
	files     filesSession

	leave   func() error // closes ring, once
	closers []closer     // in the order of opening
	broken  chan error
}

type closer struct {
	name  string
	close func() error
}

// Open opens everything and starts to serve, but takes part in no cluster yet; see Run. cfg must be valid.
func Open(ctx context.Context, cfg Config, deps Deps) (_ *Node, err error) {
	n := &Node{cfg: cfg, deps: deps, measures: newMeasures(deps.Logger), broken: make(chan error, 8),
		files: filesSession{turn: make(chan struct{}, 1)}}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.Close())
		}
	}()
	if n.addrs, err = resolveAddresses(ctx, &cfg); err != nil {
		return nil, err
	}
	if n.dir, err = openDirectory(cfg.Dir, cfg.Name); err != nil {
		return nil, err
	}
	n.onClose("data directory", n.dir.Close)
	n.log = deps.Logger
	for _, step := range []func(context.Context) error{
		n.getCertificate, n.openTLS, n.openTransport, n.openHTTP, n.openStore, n.openMeta, n.openRing, n.openBootstrap, n.serve, n.openFiles,
		n.keepCertificate,
	} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	n.log.Info("node is up", "node", n.dir.id, "dir", cfg.Dir, "rpc", n.transport.Addr(), "gossip", n.ring.Gossip(), "version", deps.Version)
	return n, nil
}

func (n *Node) onClose(name string, f func() error) {
	n.closers = append(n.closers, closer{name, f})
}

// fail ends Run. Only the first few causes matter: n.broken holds them, and what does not fit is dropped.
func (n *Node) fail(err error) {
	select {
	case n.broken <- err:
	default:
	}
}

// Close stops everything in reverse order, in ten seconds at most.
func (n *Node) Close() error {
	done := make(chan error, 1)
	go func() {
		var errs []error
		for i := len(n.closers) - 1; i >= 0; i-- {
			c := n.closers[i]
			if err := c.close(); err != nil {
				errs = append(errs, fmt.Errorf("close %s: %w", c.name, err))
			}
		}
		n.closers = nil
		done <- errors.Join(errs...)
	}()
	select {
	case err := <-done:
		return err
	case <-time.After(closeMax):
		return fmt.Errorf("not everything could be closed within %s: %w", closeMax, fs.ErrTimeout)
	}
}

// ID is the node's name.
func (n *Node) ID() fs.NodeID { return n.dir.id }

// Addr is where others reach it.
func (n *Node) Addr() string { return n.transport.Addr() }

// Gossip is what others join.
func (n *Node) Gossip() string { return n.ring.Gossip() }

// Break breaks the connections that this node has made to an address, as if the network had.
func (n *Node) Break(addr string) { n.transport.Break(addr) }

// Admin answers operators' questions about this node.
func (n *Node) Admin() fs.Admin { return nodeAdmin{n.meta, n} }

// Membership says who belongs to the cluster.
func (n *Node) Membership() fs.Membership { return n.meta }
