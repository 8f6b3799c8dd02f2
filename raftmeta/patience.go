package raftmeta

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/hashicorp/raft"
)

// spread divides Timings.Heartbeat: followers of one leader look for its silence within that part of it, so that hardly ever two look within one
// message's time.
const spread = 4

// patience has Raft's follower look for its leader's silence when it is due. See DESIGN.md, "Elections".
func (n *Node) patience() {
	var heard time.Time
	var due time.Duration // after heard
	for n.ctx.Err() == nil {
		r := n.raft.Load()
		pause := n.cfg.Timings.Heartbeat / 10
		if leader, _ := r.LeaderWithID(); leader != "" && r.State() == raft.Follower {
			if last := n.heard(r); due == 0 || !last.Equal(heard) {
				heard, due = last, n.cfg.Timings.Heartbeat+rand.N(n.cfg.Timings.Heartbeat/spread)
			}
			if left := due - time.Since(heard); left > 0 {
				pause = left
			} else if err := r.look(); err != nil {
				n.logger.Warn("cannot have Raft look for its leader's silence", "err", err)
			}
		}
		waitFor(n.ctx, pause)
	}
}

// heard is when this node last heard of its leader. A promise that it has made then must be over, too, before it can vote.
func (n *Node) heard(r *raftHandle) time.Time {
	last := r.LastContact()
	if p := n.transport.gate.promised.Load(); p != nil && p.at.After(last) {
		return p.at
	}
	return last
}

// look has Raft's follower look now whether it has heard of its leader within the time-out, which it does when the time-out becomes shorter: here
// it is made longer by a nanosecond, and shorter again.
func (h *raftHandle) look() error {
	for _, by := range []time.Duration{+time.Nanosecond, -time.Nanosecond} {
		if err := h.reload(func(rc *raft.ReloadableConfig) {
			rc.HeartbeatTimeout += by
			rc.ElectionTimeout += by // which must not be the shorter one
		}); err != nil {
			return err
		}
	}
	return nil
}

// reload changes what may be changed of a running Raft, one change at a time.
func (h *raftHandle) reload(change func(*raft.ReloadableConfig)) error {
	h.reloading.Lock()
	defer h.reloading.Unlock()
	rc := h.ReloadableConfig()
	change(&rc)
	if err := h.ReloadConfig(rc); err != nil {
		return fmt.Errorf("change Raft's configuration: %w", err)
	}
	return nil
}
