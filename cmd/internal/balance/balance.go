// Package balance fits a placement policy to the replica set, and keeps the news of the nodes that both go by.
package balance

import (
	"sync"

	"dfs/blob/replica"
	"dfs/cluster/placement"
	"dfs/fs"
)

// Balancer is a write policy and a read policy over one view of the nodes. Its methods may be called from any goroutine;
// together they make a replica.Observer and two replica.Order.
type Balancer struct {
	write, read *placement.Picker
	zone        string // of this machine; empty: none

	mu    sync.Mutex
	nodes []fs.NodeInfo
	least int
}

// New makes a Balancer for two policies by name; seed is the source of chance.
func New(write, read, zone string, seed uint64) (*Balancer, error) {
	w, err := placement.Parse(write)
	if err != nil {
		return nil, err
	}
	r, err := placement.Parse(read)
	if err != nil {
		return nil, err
	}
	return &Balancer{write: placement.NewPicker(w, seed), read: placement.NewPicker(r, seed+1), zone: zone}, nil
}

// Update takes news of all nodes, and of how many replicas a blob must have with them.
func (b *Balancer) Update(nodes []fs.NodeInfo, minReplicas int) {
	b.write.Update(nodes)
	b.read.Update(nodes)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.nodes, b.least = nodes, minReplicas
}

// Nodes is the last news.
func (b *Balancer) Nodes() []fs.NodeInfo {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.nodes
}

// MinReplicas is how many replicas a blob must have, by the last news.
func (b *Balancer) MinReplicas() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.least
}

// WriteOrder orders nodes for new replicas. When none will do it leaves the choice to the replica set, whose attempts
// then find out why.
func (b *Balancer) WriteOrder(nodes []fs.NodeInfo) []fs.NodeInfo {
	picked, err := b.write.Write(nodes, nil, len(nodes))
	if err != nil {
		return nil
	}
	return picked
}

// ReadOrder orders the nodes that have a replica; those in our own zone come first.
func (b *Balancer) ReadOrder(nodes []fs.NodeInfo) []fs.NodeInfo {
	ordered := b.read.Read(nodes)
	if b.zone == "" {
		return ordered
	}
	near, far := make([]fs.NodeInfo, 0, len(ordered)), []fs.NodeInfo(nil)
	for _, n := range ordered {
		if n.Zone == b.zone && (n.State == fs.NodeAlive || n.State == fs.NodeUnknown) {
			near = append(near, n)
		} else {
			far = append(far, n)
		}
	}
	return append(near, far...)
}

// Begin implements replica.Observer. Both policies count the request; only the one that it is for learns how long it took:
// a node that has been sent large blobs is not slow to read from.
func (b *Balancer) Begin(node fs.NodeID, kind replica.Request) (end func(error)) {
	timed, other := b.write, b.read
	if kind == replica.GetRequest {
		timed, other = b.read, b.write
	}
	endTimed, endOther := timed.Begin(node), other.Count(node)
	return func(err error) { endTimed(err); endOther() }
}
