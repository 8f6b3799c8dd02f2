package node

import (
	"context"

	"dfs/cluster"
	"dfs/fs"
	"dfs/raftmeta"
)

// members is what gossip knows; nothing before the ring is there.
func (n *Node) members() []fs.NodeInfo {
	if ring := n.ringNow.Load(); ring != nil {
		return ring.Members()
	}
	return nil
}

// details is what only gossip knows of a node.
func (n *Node) details(id fs.NodeID) raftmeta.NodeDetails {
	m := n.member(id)
	return raftmeta.NodeDetails{Applied: m.Applied, Version: m.Version}
}

func (n *Node) member(id fs.NodeID) cluster.Member {
	ring := n.ringNow.Load()
	if ring == nil {
		return cluster.Member{}
	}
	for _, m := range ring.Details() {
		if m.ID == id {
			return m
		}
	}
	return cluster.Member{}
}

// load is what this node gossips of itself.
func (n *Node) load() fs.Load {
	l := n.sampler.Load()
	l.InFlight = n.inFlight()
	usage, err := n.store.Usage(context.Background()) // answers from memory and statfs
	if err != nil {
		l.ReadOnly = true // a store that cannot tell its space should not be given more
		return l
	}
	l.DiskTotalBytes, l.DiskFreeBytes, l.ReadOnly = usage.TotalBytes, usage.FreeBytes, usage.ReadOnly
	return l
}

func (n *Node) applied() uint64 {
	index, _ := n.meta.AppliedNotify()
	return index
}

// inFlight is how many blob requests are being served; none before we serve.
func (n *Node) inFlight() uint32 {
	if s := n.blobsNow.Load(); s != nil {
		return s.InFlight()
	}
	return 0
}

// staged lists the transactions whose blobs are still staged on our own disk. Nearly always there are none, and the
// inventory is read only when there are.
func (n *Node) staged() []fs.TxStatus {
	ctx, cancel := context.WithTimeout(context.Background(), statusTimeout)
	defer cancel()
	usage, err := n.store.Usage(ctx)
	if err != nil || usage.Staged == 0 {
		return nil
	}
	byTx := map[fs.TxID]*fs.TxStatus{}
	var order []fs.TxID
	const page = 4096
	for after := (fs.BlobID{}); ; {
		list, err := n.store.List(ctx, after, page)
		if err != nil {
			n.log.Warn("cannot list the staged blobs", "err", err)
			break
		}
		for _, e := range list {
			if after = e.ID; !e.Staged {
				continue
			}
			tx := byTx[e.Tx.ID]
			if tx == nil {
				tx = &fs.TxStatus{ID: e.Tx.ID, State: fs.TxPrepared, Staged: []fs.NodeID{n.dir.id}}
				byTx[e.Tx.ID] = tx
				order = append(order, e.Tx.ID)
			}
			tx.Blobs = append(tx.Blobs, fs.BlobInfo{ID: e.ID, Length: e.Length, Sum: e.Sum, Replicas: []fs.NodeID{n.dir.id}})
		}
		if len(list) < page {
			break
		}
	}
	all := make([]fs.TxStatus, 0, len(order))
	for _, id := range order {
		all = append(all, *byTx[id])
	}
	return all
}
