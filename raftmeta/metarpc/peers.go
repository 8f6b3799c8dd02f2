package metarpc

import (
	"slices"
	"sync"

	"dfs/fs"
)

// peersMax bounds what is learned from notices.
const peersMax = 256

// peers are the addresses at which the leader may be.
type peers struct {
	seeds []string // never change

	mu      sync.Mutex
	learned []string // those that gossip calls alive first; at most peersMax
}

func newPeers(seeds []string) *peers { return &peers{seeds: slices.Clone(seeds)} }

// learn replaces what was learned before: the cluster's members are those of the latest notice.
func (p *peers) learn(nodes []fs.NodeInfo) {
	if len(nodes) == 0 {
		return
	}
	var alive, others []string
	for _, n := range nodes {
		switch {
		case n.Addr == "" || n.State == fs.NodeLeft:
		case n.State == fs.NodeAlive:
			alive = append(alive, n.Addr)
		default:
			others = append(others, n.Addr)
		}
	}
	learned := append(alive, others...)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.learned = learned[:min(len(learned), peersMax)]
}

// list has every address once, the likeliest first.
func (p *peers) list() []string {
	p.mu.Lock()
	all := slices.Concat(p.learned, p.seeds)
	p.mu.Unlock()
	seen := make(map[string]bool, len(all))
	return slices.DeleteFunc(all, func(a string) bool {
		dup := seen[a]
		seen[a] = true
		return dup
	})
}
