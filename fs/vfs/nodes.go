package vfs

import (
	"slices"
	"sync"

	"dfs/fs"
)

// nodes is the last list of storage nodes that the leader told.
type nodes struct {
	mu   sync.Mutex
	list []fs.NodeInfo
	told func([]fs.NodeInfo)
}

func (n *nodes) set(list []fs.NodeInfo) {
	if list == nil {
		return
	}
	n.mu.Lock()
	n.list = list
	told := n.told
	n.mu.Unlock()
	if told != nil {
		told(slices.Clone(list))
	}
}

// Nodes are the storage nodes as the leader last told them; none before its first notice.
func (f *FS) Nodes() []fs.NodeInfo {
	f.nodes.mu.Lock()
	defer f.nodes.mu.Unlock()
	return slices.Clone(f.nodes.list)
}

// OnNodes has fn called with each new list, and with the present one if there is one. fn must not block; only the last
// fn that was set is called.
func (f *FS) OnNodes(fn func([]fs.NodeInfo)) {
	f.nodes.mu.Lock()
	f.nodes.told = fn
	list := slices.Clone(f.nodes.list)
	f.nodes.mu.Unlock()
	if list != nil && fn != nil {
		fn(list)
	}
}
