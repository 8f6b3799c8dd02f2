package raftmeta

import (
	"testing"
	"time"
)

// Of the followers that are left all must have missed their leader before one of them is elected. Raft's own looks lie so far apart that this takes two
// time-outs and more in every second case.
func TestPatience_FollowersMissTheirLeaderInTime(t *testing.T) {
	const heartbeat = 2 * time.Second
	c := newCluster(t, 3, func(cfg *Config) { cfg.Timings.Heartbeat, cfg.Timings.Operation = heartbeat, 10*time.Second })
	for range 4 {
		old := c.leader()
		c.setCut(old.cfg.ID, true)
		cut := time.Now()
		c.eventually("another one leads", func() bool {
			for _, id := range c.ids() {
				if id != old.cfg.ID && c.node(id).IsLeader() {
					return true
				}
			}
			return false
		})
		took := time.Since(cut)
		t.Logf("elected after %v", took)
		if most := heartbeat + heartbeat/spread + heartbeat/4; took > most {
			t.Errorf("elected %v after the leader was cut off, later than %v", took, most)
		}
		c.setCut(old.cfg.ID, false)
		c.converge()
	}
}
