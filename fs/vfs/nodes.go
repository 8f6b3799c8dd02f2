package vfs

import (
	"slices"
	"sync"

	"dfs/fs"
)

// nodes is the last news of the storage nodes that the leader told.
type nodes struct {
	mu   sync.Mutex
	last fs.Notice
	told func(nodes []fs.NodeInfo, minReplicas int)
}

func (n *nodes) set(news fs.Notice) {
	if news.Nodes == nil {
		return
	}
	n.mu.Lock()
	n.last = news
	told := n.told
	n.mu.Unlock()
	if told != nil {
		told(slices.Clone(news.Nodes), news.MinReplicas)
	}
}

// limited reports whether room has to be asked for before anything is taken into memory.
func (n *nodes) limited() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.last.Limits
}

// Limited reports whether the cluster has said that there are quotas, or little space, so that writes wait for room.
func (f *FS) Limited() bool { return f.nodes.limited() }

// Nodes are the storage nodes as the leader last told them; none before its first notice.
func (f *FS) Nodes() []fs.NodeInfo {
	f.nodes.mu.Lock()
	defer f.nodes.mu.Unlock()
	return slices.Clone(f.nodes.last.Nodes)
}

// OnNodes has fn called with each new list and how many replicas a commit needs now, and with the present ones if there
// are any. fn must not block; only the last fn that was set is called.
func (f *FS) OnNodes(fn func(nodes []fs.NodeInfo, minReplicas int)) {
	f.nodes.mu.Lock()
	f.nodes.told = fn
	last := f.nodes.last
	f.nodes.mu.Unlock()
	if last.Nodes != nil && fn != nil {
		fn(slices.Clone(last.Nodes), last.MinReplicas)
	}
}
