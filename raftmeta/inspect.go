package raftmeta

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/raft"

	"dfs/fs"
)

// Raft implements fs.Admin.
func (n *Node) Raft(ctx context.Context) (*fs.RaftStatus, error) {
	rf := n.raft.Load()
	_, leader := rf.LeaderWithID()
	s := &fs.RaftStatus{Cluster: n.ClusterID(), Node: n.cfg.ID, State: strings.ToLower(rf.State().String()), Term: rf.CurrentTerm(),
		Leader: fs.NodeID(leader), Quorum: n.quorum(ctx), Commit: rf.CommitIndex(), ContactMillis: millisSince(rf.LastContact())}
	s.Applied, _ = n.progress.now()
	var err error
	if s.First, err = n.store.FirstIndex(); err == nil {
		s.Last, err = n.store.LastIndex()
	}
	if err != nil {
		return nil, fmt.Errorf("raft status: %w", err)
	}
	snapshots, err := n.snaps.List() // the newest first
	if err != nil {
		return nil, fmt.Errorf("raft status: list the snapshots: %w", err)
	}
	if len(snapshots) > 0 {
		s.Snapshot = snapshots[0].Index
	}
	if rf.State() == raft.Leader {
		s.ContactMillis = 0
	}
	for _, server := range n.servers() {
		s.Servers = append(s.Servers, n.raftServer(server, s))
	}
	slices.SortFunc(s.Servers, func(a, b fs.RaftServer) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return s, nil
}

// LeaderChanges counts how often this node has heard of a leader other than before, itself included, since it was opened.
func (n *Node) LeaderChanges() uint64 { return n.leaderChanges.Load() }

// raftServer is what this node knows of a member; own is its own status.
func (n *Node) raftServer(server raft.Server, own *fs.RaftStatus) fs.RaftServer {
	m := fs.RaftServer{ID: fs.NodeID(server.ID), Addr: string(server.Address), Voter: server.Suffrage == raft.Voter, ContactMillis: -1}
	if m.ID == n.cfg.ID {
		m.Last, m.Applied, m.ContactMillis = own.Last, own.Applied, own.ContactMillis
		return m
	}
	m.Applied = n.cfg.Details(m.ID).Applied
	if r, _ := n.leader.get(); r != nil {
		if sent, last, ok := n.contacts.of(r.term, server.ID); ok {
			m.Last, m.ContactMillis = last, millisSince(sent)
		}
	}
	return m
}

// millisSince is the age of a moment; -1 for none.
func millisSince(t time.Time) int64 {
	if t.IsZero() {
		return -1
	}
	return time.Since(t).Milliseconds()
}

// Explain implements fs.Admin.
func (n *Node) Explain(ctx context.Context, name string) (*fs.Explanation, error) {
	if len(name) > fs.PathMax || strings.ContainsRune(name, 0) {
		return nil, fmt.Errorf("explain a path of %d bytes: %w", len(name), fs.ErrInvalid)
	}
	e := &fs.Explanation{Path: path.Clean("/" + name), Node: n.cfg.ID, Quorum: n.quorum(ctx)}
	err := n.local(func(s *snapshot) error {
		e.Index = s.index
		if err := s.resolve(e); err != nil {
			return err
		}
		return s.explainData(e)
	})
	if err != nil {
		return nil, fmt.Errorf("explain %s: %w", e.Path, err)
	}
	e.Nodes = n.holders(e.Blobs)
	return e, nil
}

// resolve walks to the inode that e.Path names.
func (s *snapshot) resolve(e *fs.Explanation) (err error) {
	if e.Attr, err = s.Getattr(fs.RootIno); err != nil {
		return err
	}
	for name := range strings.SplitSeq(strings.TrimPrefix(e.Path, "/"), "/") {
		if name == "" {
			continue // the root itself
		}
		if e.Attr, err = s.Lookup(e.Attr.Ino, name); err != nil {
			return err
		}
	}
	return nil
}

// explainData fills in what lies behind an inode.
func (s *snapshot) explainData(e *fs.Explanation) (err error) {
	switch e.Attr.Type {
	case fs.TypeSymlink:
		e.Target, err = s.Readlink(e.Attr.Ino)
		return err
	case fs.TypeRegular:
	default:
		return nil
	}
	layout, err := s.Layout(e.Attr.Ino, 0, e.Attr.Size)
	if err != nil {
		return err
	}
	e.Extents, e.More = layout.Extents, layout.More
	for i := range e.Extents {
		e.Extents[i].Data = nil
	}
	for i := range layout.Blobs {
		r, ok, err := s.BlobRecord(layout.Blobs[i].ID)
		if err != nil {
			return err
		}
		if !ok { // the layout is of the same snapshot
			return fmt.Errorf("blob %v is mapped but absent: %w", layout.Blobs[i].ID, fs.ErrCorrupt)
		}
		e.Blobs = append(e.Blobs, fs.BlobOrigin{BlobInfo: r.BlobInfo, Wanted: r.Wanted, LiveBytes: r.LiveBytes,
			Tx: fs.TxID{Session: r.ID.Session, Seq: r.Seq}, Index: r.Index})
	}
	return nil
}

// holders are the nodes that blobs lie on, by id. One that was removed has nothing but its id.
func (n *Node) holders(blobs []fs.BlobOrigin) []fs.NodeInfo {
	known := map[fs.NodeID]fs.NodeInfo{}
	for _, info := range n.nodes() {
		known[info.ID] = info
	}
	var list []fs.NodeInfo
	seen := map[fs.NodeID]bool{}
	for i := range blobs {
		for _, id := range blobs[i].Replicas {
			if seen[id] {
				continue
			}
			seen[id] = true
			info := known[id]
			info.ID = id
			list = append(list, info)
		}
	}
	slices.SortFunc(list, func(a, b fs.NodeInfo) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return list
}
