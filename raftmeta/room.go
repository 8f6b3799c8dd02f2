package raftmeta

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"dfs/fs"
	"dfs/raftmeta/room"
)

const (
	// spaceMargin is what each node is assumed to keep free for itself, bytes: before that is reached a node may refuse blobs.
	spaceMargin = 64 << 20
	// spaceShort is the room of the cluster, bytes for each session, below which mounts have to ask.
	spaceShort = 256 << 20
)

// clusterSpace stands for the space of the whole cluster, beside the quotas.
var clusterSpace = fs.QuotaID{}

// Room implements fs.Space.
func (n *Node) Room(ctx context.Context, s fs.Session, ino fs.Ino, want uint64, back fs.Return) (fs.Room, error) {
	granted, err := n.room(ctx, s, ino, want, back)
	if err != nil {
		return fs.Room{}, fmt.Errorf("room for inode %d: %w", ino, err)
	}
	return granted, nil
}

func (n *Node) room(ctx context.Context, s fs.Session, ino fs.Ino, want uint64, back fs.Return) (fs.Room, error) {
	ctx, cancel := n.bound(ctx)
	defer cancel()
	r, err := n.leading(ctx)
	if err != nil {
		return fs.Room{}, err
	}
	e, err := r.sessions.find(ctx, s)
	if err == nil {
		err = checkOwner(&s, e.owner, fs.CallerOf(ctx).Owner)
	}
	if err != nil {
		return fs.Room{}, err
	}
	quotas, err := n.payers(ctx, r, s, e.Root, ino)
	if err != nil {
		return fs.Room{}, err
	}
	var list []room.Account
	for i := range quotas {
		if quotas[i].Limits.Bytes > 0 {
			list = append(list, room.Account{ID: quotas[i].ID, Left: quotas[i].Left()})
		}
	}
	if left := n.spaceLeft(n.news()); left < r.sessions.shortage() {
		list = append(list, room.Account{ID: clusterSpace, Left: left})
	}
	return r.rooms.Grant(s.ID, list, want, back, time.Now()), nil
}

// spaceLeft is how many bytes the cluster has room for at least: what is free on the node that is the last of those that
// are needed for a commit. While gossip knows of no node at all nothing is known of space either.
func (n *Node) spaceLeft(news fs.Notice) uint64 {
	var free []uint64
	known := false
	for i := range news.Nodes {
		node := &news.Nodes[i]
		known = known || node.State != fs.NodeUnknown
		if (node.State == fs.NodeAlive || node.State == fs.NodeSuspect) && !node.Load.ReadOnly {
			free = append(free, node.Load.DiskFreeBytes)
		}
	}
	switch {
	case !known:
		return math.MaxUint64
	case len(free) < max(news.MinReplicas, 1):
		return 0
	}
	slices.SortFunc(free, func(a, b uint64) int { return cmp.Compare(b, a) })
	left := free[max(news.MinReplicas, 1)-1]
	return left - min(left, spaceMargin)
}

// limits reports whether mounts have to ask for room.
func (r *reign) limits(news fs.Notice) bool {
	limited := false
	err := r.n.local(func(s *snapshot) (err error) {
		limited, err = s.Limited()
		return err
	})
	return err != nil || limited || r.n.spaceLeft(news) < r.sessions.shortage()
}

// shortage is the room of the cluster below which its sessions could fill it before they have heard of it.
func (t *sessionTable) shortage() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return uint64(len(t.sessions)) * spaceShort
}
