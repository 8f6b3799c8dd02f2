package raftmeta

import (
	"dfs/fs"
)

// nodes are the cluster's members: who and where by Raft, how they do by gossip. A node that gossip does not know is
// NodeUnknown.
func (n *Node) nodes() []fs.NodeInfo {
	members := n.members()
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
	return members
}

// members are the nodes in the local state.
func (n *Node) members() []fs.NodeInfo {
	var list []fs.NodeInfo
	err := n.local(func(s *snapshot) (err error) {
		list, err = s.Nodes()
		return err
	})
	if err != nil && n.ctx.Err() == nil {
		n.logger.Warn("cannot list the nodes", "err", err)
	}
	return list
}

func (n *Node) gossip() map[fs.NodeID]fs.NodeInfo {
	list := n.cfg.Gossip()
	heard := make(map[fs.NodeID]fs.NodeInfo, len(list))
	for _, g := range list {
		heard[g.ID] = g
	}
	return heard
}
