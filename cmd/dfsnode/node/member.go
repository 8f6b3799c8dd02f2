package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"dfs/cluster"
	"dfs/fs"
	"dfs/raftmeta/command"
	"dfs/raftmeta/metarpc"
)

const (
	joinTimeout  = 10 * time.Second // one attempt to reach the leader
	joinPause    = time.Second
	joinPauseMax = 10 * time.Second
	strayPeriod  = 15 * time.Second // after a start, in which --join must lead to our own cluster
)

// Run makes the node a member of its cluster, forming it if need be, and stays until ctx ends or a part fails; it
// returns the cause.
func (n *Node) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return n.watchParts(ctx) })
	g.Go(func() error { return n.watchStrays(ctx) })
	g.Go(func() error { return n.becomeMember(ctx) })
	g.Go(func() error { return n.keepBlobs(ctx) })
	return g.Wait()
}

// watchParts waits for the first part that fails.
func (n *Node) watchParts(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case err := <-n.meta.Failed():
		return fmt.Errorf("the metadata has failed: %w", err)
	case err := <-n.store.Failed():
		return fmt.Errorf("the blob store has failed: %w", err)
	case err := <-n.broken:
		return err
	}
}

// becomeMember bootstraps, joins or resumes, and tells the leader where this node is.
func (n *Node) becomeMember(ctx context.Context) error {
	id := n.meta.ClusterID()
	if id == "" {
		var err error
		if id, err = n.findCluster(ctx); err != nil {
			return err
		}
	}
	if err := errors.Join(n.ring.SetCluster(id), n.store.SetCluster(id)); err != nil {
		return err
	}
	if err := n.announce(ctx, id); err != nil {
		return err
	}
	return n.stayMember(ctx, id)
}

// findCluster waits until there is a cluster, founding it together with others if that was asked for.
func (n *Node) findCluster(ctx context.Context) (string, error) {
	if n.bootstrap != nil {
		out, err := n.bootstrap.Run(ctx)
		return out.Cluster, err
	}
	for {
		changed := n.ring.Changed()
		if id := n.ring.SeenCluster(); id != "" {
			return id, nil
		}
		n.log.Info("looking for a cluster to join", "join", n.addrs.join)
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-changed:
		case <-time.After(joinPauseMax):
		}
	}
}

// found forms the cluster of a proposal. It may be repeated after a crash.
func (n *Node) found(_ context.Context, p *cluster.Proposal) error {
	var servers []fs.NodeInfo
	for _, f := range p.Founders {
		servers = append(servers, fs.NodeInfo{ID: f.ID, Addr: f.Addr, Zone: n.member(f.ID).Zone})
	}
	return n.meta.Bootstrap(servers, command.Init{
		Cluster: p.Cluster, Time: fs.TimeOf(time.Now()), Replicas: n.cfg.Replicas, MinReplicas: n.cfg.MinReplicas,
		InlineMax: fs.InlineMax, SessionTimeout: n.cfg.SessionTimeout.Milliseconds(),
	})
}

// announce tells the leader of this node, its address and zone, until that has succeeded once.
func (n *Node) announce(ctx context.Context, id string) error {
	self := n.self()
	said := ""
	for pause := joinPause; ; pause = min(2*pause, joinPauseMax) {
		err := n.join(ctx, self, id)
		switch {
		case errors.Is(err, fs.ErrRemoved):
			return n.removedError(id)
		case err == nil:
			n.log.Info("member of the cluster", "cluster", id)
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, fs.ErrWrongCluster):
			return err
		case err.Error() != said:
			said = err.Error()
			n.log.Warn("cannot tell the leader of this node; trying on", "cluster", id, "err", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

func (n *Node) join(ctx context.Context, self fs.NodeInfo, id string) error {
	return n.atLeader(id, joinTimeout, func(c *metarpc.Client) error {
		_, err := c.Join(ctx, self, id)
		return err
	})
}

// atLeader gives fn a client of cluster id, whose calls take timeout at most.
func (n *Node) atLeader(id string, timeout time.Duration, fn func(*metarpc.Client) error) (err error) {
	var peers []string
	for _, m := range n.ring.Details() {
		if m.Cluster == id && (m.State == fs.NodeAlive || m.State == fs.NodeSuspect) {
			peers = append(peers, m.Addr)
		}
	}
	if len(peers) == 0 {
		return fmt.Errorf("gossip knows no live node of the cluster: %w", fs.ErrUnavailable)
	}
	client, err := metarpc.NewClient(metarpc.Config{
		Peers:     peers,
		Dial:      func(addr string) (grpc.ClientConnInterface, error) { return n.transport.DialGRPC(addr) },
		OpTimeout: timeout,
		Logger:    n.log,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	return fn(client)
}

// watchStrays ends a node that was told to join a cluster other than its own: whoever says so should hear of it, once.
// A node that has run for a while is not ended: what comes up at an address then is somebody else's mistake.
func (n *Node) watchStrays(ctx context.Context) error {
	over := time.NewTimer(strayPeriod)
	defer over.Stop()
	look := time.NewTicker(200 * time.Millisecond)
	defer look.Stop()
	for {
		for _, r := range n.ring.Rejected() {
			if errors.Is(r.Reason, fs.ErrWrongCluster) && slices.Contains(n.addrs.join, r.Gossip) && n.meta.ClusterID() != "" {
				return fmt.Errorf("--join leads to another cluster: %w (correct --join, or choose another directory with --dir)", r.Reason)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-over.C:
			return nil
		case <-look.C:
		}
	}
}
