package raftmeta

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/raft"

	"dfs/fs"
)

var _ fs.Admin = (*Node)(nil)

// Status implements fs.Admin.
func (n *Node) Status(ctx context.Context) (*fs.Status, error) {
	rf := n.raft.Load()
	_, leader := rf.LeaderWithID()
	s := &fs.Status{Cluster: n.ClusterID(), Node: n.cfg.ID, Version: n.cfg.Version, Leader: fs.NodeID(leader), Term: rf.CurrentTerm(),
		Quorum: n.quorum(ctx), Commit: rf.CommitIndex(), Time: fs.TimeOf(time.Now())}
	s.Applied, _ = n.progress.now()
	err := n.local(func(v *snapshot) error {
		config, _, err := v.Config()
		if err != nil {
			return err
		}
		s.Replicas, s.MinReplicasWanted = config.Replicas, config.MinReplicas
		if s.MinReplicas, err = v.MinReplicas(); err != nil {
			return err
		}
		stats, err := v.Stats()
		if err != nil {
			return err
		}
		s.Inodes, s.Blobs = stats.Inodes, fs.BlobsStatus{Count: stats.Blobs, Bytes: stats.BlobBytes,
			LiveBytes: stats.LiveBytes, UnderReplicated: stats.UnderReplicated, Garbage: stats.Garbage}
		records, err := v.Sessions()
		for i := range records {
			s.Sessions = append(s.Sessions, fs.SessionStatus{Session: records[i].Session, Mount: records[i].Mount, IdleMillis: -1})
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("status: %w", err)
	}
	if r, _ := n.leader.get(); r != nil {
		s.Sessions = r.sessions.statuses()
	}
	if fs.CallerOf(ctx).Owner.Scope.Subtree != "" {
		s.Sessions = nil // who else is there, and where, is not for who sees a part only
	}
	slices.SortFunc(s.Sessions, func(a, b fs.SessionStatus) int { return int(a.ID) - int(b.ID) })
	s.Nodes = n.nodeStatuses(s.Applied)
	return s, nil
}

// quorum reports whether there is a leader with a majority, as far as this node can tell within a moment: the leader
// proves it, the others go by when they last heard of it.
func (n *Node) quorum(ctx context.Context) bool {
	moment := 2 * n.cfg.Timings.Heartbeat
	rf := n.raft.Load()
	r, _ := n.leader.get()
	if r == nil {
		_, id := rf.LeaderWithID()
		return id != "" && id != raft.ServerID(n.cfg.ID) && time.Since(rf.LastContact()) < moment
	}
	ctx, cancel := context.WithTimeout(ctx, moment)
	defer cancel()
	return n.proveLeader(ctx, r, time.Now()) == nil
}

// nodeStatuses is the members together with what only gossip knows, by id.
func (n *Node) nodeStatuses(applied uint64) []fs.NodeStatus {
	byID := map[fs.NodeID]*fs.NodeStatus{}
	for _, info := range n.nodes() {
		byID[info.ID] = &fs.NodeStatus{NodeInfo: info}
	}
	for id, info := range n.gossip() {
		if byID[id] == nil {
			byID[id] = &fs.NodeStatus{NodeInfo: info}
		}
	}
	for _, server := range n.servers() {
		id := fs.NodeID(server.ID)
		if byID[id] == nil {
			byID[id] = &fs.NodeStatus{NodeInfo: fs.NodeInfo{ID: id, Addr: string(server.Address)}}
		}
		byID[id].Member = true
		byID[id].Voter = server.Suffrage == raft.Voter
	}
	for _, record := range n.records() {
		if s := byID[record.ID]; s != nil { // else it has come a moment ago
			s.Storing = record.Storing
		}
	}
	var list []fs.NodeStatus
	for id, s := range byID {
		d := n.cfg.Details(id)
		s.Applied, s.Version = d.Applied, d.Version
		if id == n.cfg.ID {
			s.Applied, s.Version, s.State = applied, n.cfg.Version, fs.NodeAlive
		}
		list = append(list, *s)
	}
	slices.SortFunc(list, func(a, b fs.NodeStatus) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return list
}

// Transactions implements fs.Admin.
func (n *Node) Transactions(_ context.Context, limit int) ([]fs.TxStatus, error) {
	if limit < 1 {
		return nil, fmt.Errorf("list %d transactions: %w", limit, fs.ErrInvalid)
	}
	list := n.undecided()
	list = append(list, n.decisions.last(decisionsKept)...)
	return list[:min(limit, len(list))], nil
}

// undecided are the transactions with blobs that are staged here and that the local state knows no outcome of.
func (n *Node) undecided() []fs.TxStatus {
	decided := map[fs.TxID]bool{}
	for _, d := range n.decisions.last(decisionsKept) {
		decided[d.ID] = true
	}
	return slices.DeleteFunc(slices.Clone(n.cfg.Staged()), func(s fs.TxStatus) bool { return decided[s.ID] })
}

// Transaction implements fs.Admin.
func (n *Node) Transaction(ctx context.Context, id fs.TxID) (*fs.TxStatus, error) {
	var staged []fs.NodeID
	for _, s := range n.cfg.Staged() {
		if s.ID == id {
			staged = s.Staged
		}
	}
	list, err := n.Transactions(ctx, decisionsKept+len(n.cfg.Staged()))
	if err != nil {
		return nil, err
	}
	for i := range list {
		if list[i].ID == id {
			list[i].Staged = staged
			return &list[i], nil
		}
	}
	return nil, fmt.Errorf("transaction %v: %w", id, fs.ErrNotExist)
}
