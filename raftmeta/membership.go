package raftmeta

import (
	"cmp"
	"context"
	"fmt"

	"github.com/hashicorp/raft"

	"dfs/fs"
	"dfs/raftmeta/command"
	"dfs/raftmeta/state"
)

var _ fs.Membership = (*Node)(nil)

// Join implements fs.Membership. It may be repeated; a node does so at every start, since its address may be a new one.
func (n *Node) Join(ctx context.Context, node fs.NodeInfo, cluster string) (string, error) {
	ctx, cancel := n.bound(ctx)
	defer cancel()
	id, err := n.join(ctx, node, cluster)
	if err != nil {
		return "", fmt.Errorf("join %s: %w", node.ID, err)
	}
	return id, nil
}

func (n *Node) join(ctx context.Context, node fs.NodeInfo, cluster string) (string, error) {
	if node.ID == "" || len(node.ID) > nodeIDMax || node.Addr == "" {
		return "", fmt.Errorf("a node has a name and an address: %w", fs.ErrInvalid)
	}
	config, err := ask(ctx, n, func(s *snapshot) (state.Config, error) {
		c, ok, err := s.Config()
		if err == nil && !ok {
			err = fmt.Errorf("the cluster is still being formed: %w", fs.ErrUnavailable)
		}
		return c, err
	})
	if err != nil {
		return "", err
	}
	if cluster != "" && cluster != config.Cluster {
		return "", fmt.Errorf("it believes in cluster %s, this is %s: %w", cluster, config.Cluster, fs.ErrWrongCluster)
	}
	r, err := n.leading(ctx)
	if err != nil {
		return "", err
	}
	r.members.Lock()
	defer r.members.Unlock()
	if removed, err := n.removed(node.ID); err != nil || removed {
		return "", cmp.Or(err, n.dismiss(ctx, node.ID))
	}
	if err := n.clearAddress(ctx, node); err != nil {
		return "", err
	}
	if err := n.putNode(ctx, node); err != nil {
		return "", err
	}
	return config.Cluster, n.addServer(ctx, node)
}

// clearAddress takes node's address away from another member that had it: that one cannot be there any more. It stays a
// member, at an address that nobody answers.
func (n *Node) clearAddress(ctx context.Context, node fs.NodeInfo) error {
	for _, s := range n.servers() {
		if string(s.Address) != node.Addr || s.ID == raft.ServerID(node.ID) {
			continue
		}
		n.logger.Warn("a new node has come at the address of another one, which is taken for gone", "new", node.ID, "gone", s.ID,
			"addr", node.Addr)
		gone := fs.NodeInfo{ID: fs.NodeID(s.ID), Addr: goneAddr(fs.NodeID(s.ID))}
		if err := n.addServer(ctx, gone); err != nil {
			return err
		}
	}
	for _, m := range n.members() {
		if m.Addr == node.Addr && m.ID != node.ID {
			if err := n.putNode(ctx, fs.NodeInfo{ID: m.ID, Addr: goneAddr(m.ID), Zone: m.Zone}); err != nil {
				return err
			}
		}
	}
	return nil
}

// goneAddr is an address that is distinct, as Raft wants it, and that no resolver knows (RFC 2606).
func goneAddr(id fs.NodeID) string { return string(id) + ".invalid:0" }

// putNode records a node in the state, unless it is there just so.
func (n *Node) putNode(ctx context.Context, node fs.NodeInfo) error {
	for _, m := range n.members() {
		if m.ID == node.ID && m.Addr == node.Addr && (m.Zone == node.Zone || node.Zone == "") {
			return nil
		}
	}
	_, err := n.change(ctx, &command.PutNode{Node: node})
	return err
}

// addServer makes a node a learner, or gives a member its new address; a voter stays one.
func (n *Node) addServer(ctx context.Context, node fs.NodeInfo) error {
	for _, s := range n.servers() {
		if s.ID == raft.ServerID(node.ID) && string(s.Address) == node.Addr {
			return nil
		}
	}
	n.logger.Info("member", "member", node.ID, "addr", node.Addr)
	f := n.raft.Load().AddNonvoter(raft.ServerID(node.ID), raft.ServerAddress(node.Addr), 0, n.cfg.Timings.Operation)
	if err := await(ctx, f); err != nil {
		return n.raftError(err)
	}
	return nil
}
