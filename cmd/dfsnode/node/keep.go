package node

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"dfs/blob"
	"dfs/blob/blobrpc"
	"dfs/blob/replica"
	"dfs/cmd/internal/balance"
	"dfs/fs"
	"dfs/raftmeta"
	"dfs/raftmeta/state"
)

// newsInterval is how often the keeper's view of the nodes is renewed.
const newsInterval = time.Second

// keepBlobs runs the keeper from the moment that the local state knows the cluster's configuration until ctx ends.
func (n *Node) keepBlobs(ctx context.Context) (err error) {
	config, err := n.waitConfig(ctx)
	if err != nil {
		return err
	}
	b, err := balance.New(n.cfg.Placement, "p2c", n.cfg.Zone, rand.Uint64())
	if err != nil {
		return err
	}
	b.Update(n.storageNodes())
	set, err := replica.NewSet(replica.Config{
		Nodes: b.Nodes, Open: n.openPeer, Replicas: config.Replicas, MinReplicas: b.MinReplicas,
		WriteOrder: b.WriteOrder, ReadOrder: b.ReadOrder, Observer: b, Faults: n.deps.Faults, Logger: n.log,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, set.Close()) }()
	keeper, err := replica.StartKeeper(replica.KeeperConfig{
		Node: n.dir.id, Store: n.store, Set: set, Meta: keeperMeta{n.meta},
		Grace: n.cfg.GarbageGrace, SweepEvery: n.cfg.SweepInterval, Faults: n.deps.Faults, Logger: n.log,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, keeper.Close()) }()
	n.keeperNow.Store(keeper)
	n.feed(ctx, keeper, b)
	return ctx.Err()
}

// feed brings the keeper decisions and the balancer news, until ctx ends.
func (n *Node) feed(ctx context.Context, keeper *replica.Keeper, b *balance.Balancer) {
	tick := time.NewTicker(newsInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case d := <-n.meta.Decisions():
			keeper.Decided(blob.Tx{ID: d.Tx, Epoch: d.Epoch}, d.Blobs)
		case <-tick.C:
			b.Update(n.storageNodes())
			if n.meta.MissedDecisions() {
				keeper.Sweep()
			}
		}
	}
}

// waitConfig waits until the local state knows what the cluster was formed with.
func (n *Node) waitConfig(ctx context.Context) (config state.Config, err error) {
	for {
		_, risen := n.meta.AppliedNotify()
		known := false
		err := n.meta.Local(func(v state.View, _ uint64) (err error) {
			config, known, err = v.Config()
			return err
		})
		if err != nil || known {
			return config, err
		}
		select {
		case <-ctx.Done():
			return config, ctx.Err()
		case <-risen:
		}
	}
}

// storageNodes are the cluster's nodes by the local state, with what gossip knows of them, and how many replicas a blob
// must have.
func (n *Node) storageNodes() (nodes []fs.NodeInfo, minReplicas int) {
	err := n.meta.Local(func(v state.View, _ uint64) (err error) {
		if nodes, err = v.Nodes(); err == nil {
			minReplicas, err = v.MinReplicas()
		}
		return err
	})
	if err != nil {
		n.log.Warn("cannot read the nodes from the local state", "err", err)
		return nil, 0
	}
	heard := map[fs.NodeID]fs.NodeInfo{}
	for _, m := range n.members() {
		heard[m.ID] = m
	}
	for i := range nodes {
		if m, ok := heard[nodes[i].ID]; ok {
			nodes[i].State, nodes[i].Load = m.State, m.Load
		}
	}
	return nodes, minReplicas
}

// openPeer is the store at a node; our own is reached without the network.
func (n *Node) openPeer(peer fs.NodeInfo) (blob.Store, error) {
	if peer.ID == n.dir.id {
		return n.store, nil
	}
	conn, err := n.transport.DialGRPC(peer.Addr)
	if err != nil {
		return nil, err
	}
	return blobrpc.NewClient(conn, peer.ID), nil
}

// keeperMeta is the metadata as the keeper wants it.
type keeperMeta struct{ *raftmeta.Node }

// View implements replica.Metadata.
func (m keeperMeta) View(fn func(v state.View, at replica.Position) error) error {
	return m.Node.View(func(v state.View, index, term uint64) error { return fn(v, replica.Position{Index: index, Term: term}) })
}
