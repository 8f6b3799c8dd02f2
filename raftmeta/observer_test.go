package raftmeta

import (
	"sync/atomic"
	"testing"
	"time"
)

func TestObserver_IsToldOfCommitsSyncsAndLeaders(t *testing.T) {
	var synced, committed atomic.Int64
	c := newCluster(t, 3, func(cfg *Config) {
		if cfg.ID == "n1" {
			cfg.Observer = Observer{Synced: func(d time.Duration) { synced.Add(int64(d)) }, Committed: func(d time.Duration) { committed.Add(int64(d)) }}
		}
	})
	n1 := c.node("n1")
	c.eventually("n1 leads", func() bool {
		if leader := c.leader(); leader != n1 {
			if err := leader.raft.Load().LeadershipTransferToServer("n1", "n1:1").Error(); err != nil {
				t.Log(err)
			}
		}
		return n1.IsLeader()
	})
	s := c.session()
	before := committed.Load()
	c.must(n1, s.tx(s.create("f")))
	if committed.Load() <= before || synced.Load() == 0 {
		t.Errorf("told of commits of %d ns and syncs of %d ns", committed.Load()-before, synced.Load())
	}
	changes := c.node("n2").LeaderChanges()
	if changes == 0 {
		t.Error("n2 has heard of no leader")
	}
	c.stop("n1")
	c.eventually("n2 has heard of the next leader", func() bool { return c.node("n2").LeaderChanges() > changes })
}
