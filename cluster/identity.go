package cluster

import (
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"dfs/fs"
)

// rejectedMax bounds the memory of nodes that were turned away.
const rejectedMax = 64

// Rejection tells of a node that the ring does not admit.
type Rejection struct {
	Node    fs.NodeID
	Gossip  string // host:port
	Cluster string // id that it claims; empty if that is not the reason
	Reason  error  // fs.ErrWrongCluster, fs.ErrNotSupported (a version), fs.ErrExist (two machines with one node id)
	Time    time.Time
}

// identity decides who belongs together. A node that has a cluster admits that cluster's nodes and those that have none;
// a node without one admits the nodes of the first cluster that it meets, so that a stray --join never ties two
// clusters together.
type identity struct {
	self fs.NodeID
	log  *slog.Logger

	mu       sync.Mutex
	cluster  string // ours; empty before we belong to one
	met      string // the first that was met while ours was empty
	rejected map[fs.NodeID]Rejection
}

// set records that this node now belongs to a cluster, for good.
func (i *identity) set(cluster string) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if cluster == "" || len(cluster) > clusterMax {
		return fmt.Errorf("cluster id %q must have 1 … %d bytes: %w", cluster, clusterMax, fs.ErrInvalid)
	}
	if i.cluster != "" && i.cluster != cluster {
		return fmt.Errorf("this node belongs to cluster %s, not to %s: %w", i.cluster, cluster, fs.ErrWrongCluster)
	}
	i.cluster = cluster
	return nil
}

func (i *identity) own() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.cluster
}

func (i *identity) seen() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.cluster != "" {
		return i.cluster
	}
	return i.met
}

// admit returns nil if a node that claims cluster may be in our ring. It takes only identity's own lock: memberlist
// calls it with its own held.
func (i *identity) admit(id fs.NodeID, gossip, cluster string) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if cluster == "" || id == i.self {
		return nil
	}
	mine := i.cluster
	if mine == "" {
		if i.met == "" {
			i.met = cluster
		}
		mine = i.met
	}
	if cluster == mine {
		delete(i.rejected, id)
		return nil
	}
	err := fmt.Errorf("node %s at %s belongs to cluster %s, not to %s: %w", id, gossip, cluster, mine, fs.ErrWrongCluster)
	i.reject(Rejection{Node: id, Gossip: gossip, Cluster: cluster, Reason: err, Time: time.Now()})
	return err
}

// refuse records a node that cannot be admitted for another reason.
func (i *identity) refuse(id fs.NodeID, gossip string, reason error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.reject(Rejection{Node: id, Gossip: gossip, Reason: reason, Time: time.Now()})
}

// reject logs a node the first time that it is turned away for a reason. The caller holds mu.
func (i *identity) reject(r Rejection) {
	old, known := i.rejected[r.Node]
	if !known || old.Cluster != r.Cluster || old.Gossip != r.Gossip {
		i.log.Warn("node turned away", "node", r.Node, "gossip", r.Gossip, "cluster", r.Cluster, "err", r.Reason)
	}
	if !known && len(i.rejected) >= rejectedMax {
		i.dropOldest()
	}
	i.rejected[r.Node] = r
}

func (i *identity) dropOldest() {
	var oldest fs.NodeID
	for id, r := range i.rejected {
		if oldest == "" || r.Time.Before(i.rejected[oldest].Time) {
			oldest = id
		}
	}
	delete(i.rejected, oldest)
}

func (i *identity) list() []Rejection {
	i.mu.Lock()
	defer i.mu.Unlock()
	all := make([]Rejection, 0, len(i.rejected))
	for _, r := range i.rejected {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b Rejection) int { return a.Time.Compare(b.Time) })
	return all
}
