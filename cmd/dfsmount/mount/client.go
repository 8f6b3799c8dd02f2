// Package mount puts the client side together: connections, metadata client, replica set, file semantics. What shows
// it to the kernel is left to the caller, so that tests can do without one.
package mount

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"dfs/blob"
	"dfs/blob/blobrpc"
	"dfs/blob/replica"
	"dfs/cluster"
	"dfs/cluster/pki"
	"dfs/cmd/internal/balance"
	"dfs/cmd/internal/config"
	"dfs/fs"
	"dfs/fs/spans"
	"dfs/fs/vfs"
	"dfs/raftmeta/metarpc"
)

// Config is what a mount can be told; see its Register for the words.
type Config = config.Mount

// Deps is what a mount gets besides its configuration.
type Deps struct {
	Version  string
	ReadOnly bool // as Config.ReadOnly
	// NoAtime and NoDirAtime are vfs.Config's.
	NoAtime, NoDirAtime bool
	Faults              fs.Faults
	Tracer              spans.Tracer // nil: no traces
	Logger              *slog.Logger
	// Dialer makes the connections, and is not closed; nil: one of the client's own does.
	Dialer *cluster.Dialer
	// OpenStore opens the blob store at a node; nil: over the network.
	OpenStore func(fs.NodeInfo) (blob.Store, error)
}

// Client is a session with a cluster.
type Client struct {
	FS     *vfs.FS
	Source string // the nodes as the user named them, for the first column of df(1)

	tls          *pki.Credentials                   // nil: plaintext, or the dialer is somebody else's
	stopRenewing func() error                       // nil: likewise
	source       atomic.Pointer[func() fs.Activity] // see CountBy
	dialer       *cluster.Dialer
	ownDialer    bool
	open         func(fs.NodeInfo) (blob.Store, error)
	meta         *metarpc.Client
	set          *replica.Set
}

// Open finds the cluster, within cfg.ConnectTimeout, and opens a session. cfg must be valid.
func Open(ctx context.Context, cfg Config, deps Deps) (_ *Client, err error) {
	hosts := cfg.Hosts
	if hosts == "" {
		hosts = "127.0.0.1"
	}
	addrs, err := cluster.ParseAddrs(hosts, cluster.PortRPC)
	if err != nil {
		return nil, fmt.Errorf("nodes to mount from: %w", err)
	}
	c := &Client{Source: hosts, dialer: deps.Dialer, open: deps.OpenStore}
	if c.dialer == nil {
		if err := getCertificate(ctx, cfg, addrs, deps.Logger); err != nil {
			return nil, err
		}
		if c.tls, err = cfg.TLS.Open(pki.RoleMount, deps.Logger); err != nil {
			return nil, err
		}
		c.dialer, c.ownDialer = cluster.NewDialer(cluster.DialerConfig{
			Insecure: cfg.Insecure, TLS: c.tls, Faults: deps.Faults, Log: deps.Logger,
		}), true
	}
	if c.open == nil {
		c.open = c.openStore
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close(context.WithoutCancel(ctx)))
		}
	}()
	c.meta, err = metarpc.NewClient(metarpc.Config{Peers: addrs, Dial: c.dial, OpTimeout: cfg.OpTimeout, Logger: deps.Logger})
	if err != nil {
		return nil, err
	}
	if c.tls != nil {
		c.stopRenewing = c.tls.KeepRenewed(cluster.RenewAt(c.dialer, func() []string { return c.nodes(addrs) }))
	}
	ctx, cancel := context.WithTimeout(ctx, cfg.ConnectTimeout)
	defer cancel()
	status, err := c.findCluster(ctx, addrs)
	if err != nil {
		return nil, err
	}
	return c, c.openFS(ctx, cfg, deps, status)
}

func (c *Client) dial(addr string) (grpc.ClientConnInterface, error) { return c.dialer.DialGRPC(addr) }

// findCluster waits for a cluster with a quorum.
func (c *Client) findCluster(ctx context.Context, addrs []string) (*fs.Status, error) {
	var last error
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		status, err := c.meta.Status(ctx)
		switch {
		case errors.Is(err, fs.ErrPermission):
			return nil, err // waiting would not help
		case err != nil && (last == nil || ctx.Err() == nil):
			last = err
		case err != nil: // the time is over: an earlier error says more
		case status.Cluster == "":
			last = fmt.Errorf("node %s belongs to no cluster yet: %w", status.Node, fs.ErrUnavailable)
		case !status.Quorum:
			last = fmt.Errorf("node %s sees no quorum: most of the cluster's nodes are down or cannot be reached: %w", status.Node, fs.ErrUnavailable)
		default:
			return status, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("no cluster at %s: %w", strings.Join(addrs, ", "), last)
		case <-time.After(pause):
		}
	}
}

func (c *Client) openFS(ctx context.Context, cfg Config, deps Deps, status *fs.Status) error {
	b, err := balance.New(cfg.WritePolicy, cfg.ReadPolicy, cfg.Zone, rand.Uint64())
	if err != nil {
		return err
	}
	b.Update(storageNodes(status), status.MinReplicas)
	c.set, err = replica.NewSet(replica.Config{
		Nodes: b.Nodes, Open: c.open, Replicas: status.Replicas, MinReplicas: b.MinReplicas,
		WriteOrder: b.WriteOrder, ReadOrder: b.ReadOrder, Observer: b, Faults: deps.Faults, Logger: deps.Logger,
		Bad: func(node fs.NodeID, id fs.BlobID, err error) {
			deps.Logger.Warn("bad replica; read from another", "from", node, "blob", id, "err", err)
		},
	})
	if err != nil {
		return err
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	c.FS, err = vfs.New(ctx, vfs.Config{
		Mount: fs.Mount{Host: host, PID: os.Getpid(), Path: cfg.Dir, Version: deps.Version, Opened: fs.TimeOf(time.Now()),
			Subtree: cfg.Subtree, ReadOnly: cfg.ReadOnly || deps.ReadOnly},
		DirtyMax: int64(cfg.DirtyMax), FlushAge: cfg.FlushAge, OpTimeout: cfg.OpTimeout, ReadOnly: cfg.ReadOnly || deps.ReadOnly,
		NoAtime: deps.NoAtime, NoDirAtime: deps.NoDirAtime,
		Activity: c.activity, Tracer: deps.Tracer, Faults: deps.Faults, Logger: deps.Logger,
	}, c.meta, c.set)
	if err != nil {
		return fmt.Errorf("open a session with cluster %s: %w", status.Cluster, err)
	}
	c.FS.OnNodes(b.Update)
	return nil
}

// storageNodes are the members of a cluster: what is known of them before the leader's first notice.
func storageNodes(s *fs.Status) []fs.NodeInfo {
	var nodes []fs.NodeInfo
	for _, n := range s.Nodes {
		if n.Member {
			nodes = append(nodes, n.NodeInfo)
		}
	}
	return nodes
}

func (c *Client) openStore(n fs.NodeInfo) (blob.Store, error) {
	conn, err := c.dialer.DialGRPC(n.Addr)
	if err != nil {
		return nil, err
	}
	return blobrpc.NewClient(conn, n.ID), nil
}

// Watcher tells what is changed in the cluster.
func (c *Client) Watcher() fs.Watcher { return c.meta }

// CountBy says who knows what the mount does: it is told to the cluster with each beat. fn must not block.
func (c *Client) CountBy(fn func() fs.Activity) { c.source.Store(&fn) }

func (c *Client) activity() fs.Activity {
	if fn := c.source.Load(); fn != nil {
		return (*fn)()
	}
	return fs.Activity{} // nothing shows the filesystem yet
}

// Close flushes what is not flushed yet, as far as ctx allows, ends the session and closes the connections.
func (c *Client) Close(ctx context.Context) error {
	var errs []error
	if c.FS != nil {
		errs = append(errs, c.FS.Close(ctx))
	}
	if c.stopRenewing != nil {
		errs = append(errs, c.stopRenewing())
	}
	if c.set != nil {
		errs = append(errs, c.set.Close())
	}
	if c.meta != nil {
		errs = append(errs, c.meta.Close())
	}
	if c.ownDialer {
		errs = append(errs, c.dialer.Close())
	}
	if c.tls != nil {
		errs = append(errs, c.tls.Close())
	}
	return errors.Join(errs...)
}

// Break breaks the connections to an address, as if the network had.
func (c *Client) Break(addr string) { c.dialer.Break(addr) }
