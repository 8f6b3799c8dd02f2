package raftmeta

import (
	"dfs/fs"
)

// nodes are the cluster's members: who and where by Raft, how they do by gossip. A node that gossip does not know is
// NodeUnknown.
func (n *Node) nodes() []fs.NodeInfo { return n.news().Nodes }

// news is what mounts are told: nodes, and how many replicas a commit needs with them.
func (n *Node) news() fs.Notice {
	members, least := n.membership()
	heard := n.gossip()
	for i := range members {
		g, ok := heard[members[i].ID]
		if !ok {
			continue
		}
		members[i].State, members[i].Load = g.State, g.Load
		if members[i].Zone == "" {
			members[i].Zone = g.Zone
		}
	}
	return fs.Notice{Nodes: members, MinReplicas: least}
}

// members are the nodes in the local state.
func (n *Node) members() []fs.NodeInfo {
	members, _ := n.membership()
	return members
}

// membership is the nodes in the local state and how many replicas it wants of a commit; nil if it cannot be read.
func (n *Node) membership() (members []fs.NodeInfo, least int) {
	err := n.local(func(s *snapshot) (err error) {
		if members, err = s.Nodes(); err == nil {
			least, err = s.MinReplicas()
		}
		return err
	})
	if err != nil && n.ctx.Err() == nil {
		n.logger.Warn("cannot list the nodes", "err", err)
	}
	return members, least
}

func (n *Node) gossip() map[fs.NodeID]fs.NodeInfo {
	list := n.cfg.Gossip()
	heard := make(map[fs.NodeID]fs.NodeInfo, len(list))
	for _, g := range list {
		heard[g.ID] = g
	}
	return heard
}
