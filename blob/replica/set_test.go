package replica

import (
	"testing"
	"time"

	"dfs/blob"
	"dfs/blob/blobtest"
	"dfs/blob/memstore"
	"dfs/fs"
)

func TestSet_PassesTheSuite(t *testing.T) {
	open := func(t *testing.T, cfg memstore.Config) blob.Store {
		stores := map[fs.NodeID]blob.Store{}
		var nodes []fs.NodeInfo
		for _, id := range []fs.NodeID{"a", "b", "c"} {
			cfg.Node = id
			stores[id] = memstore.New(cfg)
			nodes = append(nodes, fs.NodeInfo{ID: id, Addr: string(id), State: fs.NodeAlive})
		}
		s, err := NewSet(Config{
			Nodes:    func() []fs.NodeInfo { return nodes },
			Open:     func(n fs.NodeInfo) (blob.Store, error) { return stores[n.ID], nil },
			Replicas: 3, MinReplicas: two, patience: time.Minute, // the suite wants all three copies of each
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	blobtest.Run(t,
		func(t *testing.T) blob.Store { return open(t, memstore.Config{}) },
		blobtest.WithCapacity(func(t *testing.T, bytes uint64) blob.Store { return open(t, memstore.Config{CapacityBytes: bytes}) }),
		blobtest.WithFence(func(t *testing.T, fence func(fs.Epoch, fs.SessionID) bool) blob.Store {
			return open(t, memstore.Config{Fence: fence})
		}),
	)
}
