package replica

import (
	"math/rand/v2"
	"slices"

	"dfs/fs"
)

// Order puts nodes in the order in which they are to be tried, best first; those it leaves out are tried last. It may
// return its argument. Package cluster/placement has the policies.
type Order func([]fs.NodeInfo) []fs.NodeInfo

// Request is a kind of request, each with its own usual duration.
type Request uint8

// The kinds.
const (
	StageRequest Request = iota
	GetRequest
)

// Observer is told how each request to a node goes, so that policies can be latency-aware. It must not block.
type Observer interface {
	// Begin is called when a request starts, and what it returns once, when that request has been answered or given up.
	// The error is one that speaks against the node: a request that we cancelled, or that no node would have granted,
	// ends without.
	Begin(node fs.NodeID, kind Request) (end func(error))
}

// shuffled is the Order when none is configured.
func shuffled(nodes []fs.NodeInfo) []fs.NodeInfo {
	out := slices.Clone(nodes)
	rand.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// sorted applies an Order, with what it left out at the end, and without what it made up or repeated.
func sorted(order Order, nodes []fs.NodeInfo) []fs.NodeInfo {
	byID := make(map[fs.NodeID]fs.NodeInfo, len(nodes))
	for _, n := range nodes {
		byID[n.ID] = n
	}
	out := make([]fs.NodeInfo, 0, len(nodes))
	for _, n := range slices.Concat(order(slices.Clone(nodes)), nodes) {
		if known, ok := byID[n.ID]; ok {
			out = append(out, known)
			delete(byID, n.ID)
		}
	}
	return out
}
