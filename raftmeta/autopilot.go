package raftmeta

import (
	"context"
	"strconv"
	"time"

	"github.com/hashicorp/raft"
	autopilot "github.com/hashicorp/raft-autopilot"

	"dfs/fs"
)

// maxTrailing is how many entries a member may lack and still count as well.
const maxTrailing = 4096

// startAutopilot runs raft-autopilot for the reign; the function it returns stops it and waits.
func (r *reign) startAutopilot() (stop func()) {
	t := &r.n.cfg.Timings
	period := min(max(t.Stable/6, 20*time.Millisecond), time.Second)
	ap := autopilot.New(&boundRaft{r.n.raft.Load().Raft, r.ctx}, &pilot{r},
		autopilot.WithLogger(newHCLogger(r.n.logger, "raft")),
		autopilot.WithPromoter(&promoter{voters: r.n.cfg.Voters, failed: t.Failed, zone: r.zones}),
		autopilot.WithUpdateInterval(period), autopilot.WithReconcileInterval(period))
	ap.Start(r.ctx)
	return func() { <-ap.Stop() }
}

// zones are the members' failure domains.
func (r *reign) zones() map[raft.ServerID]string {
	zones := map[raft.ServerID]string{}
	for _, m := range r.n.nodes() {
		zones[raft.ServerID(m.ID)] = m.Zone
	}
	return zones
}

// pilot tells autopilot about the members.
type pilot struct{ r *reign }

var _ autopilot.ApplicationIntegration = (*pilot)(nil)

// AutopilotConfig implements autopilot.ApplicationIntegration. The dead are never removed: they hold blobs.
func (p *pilot) AutopilotConfig() *autopilot.Config {
	t := &p.r.n.cfg.Timings
	return &autopilot.Config{LastContactThreshold: 2 * t.Heartbeat, MaxTrailingLogs: maxTrailing,
		ServerStabilizationTime: t.Stable}
}

// NotifyState implements autopilot.ApplicationIntegration.
func (p *pilot) NotifyState(*autopilot.State) {}

// FetchServerStats implements autopilot.ApplicationIntegration, from the answers to heartbeats: nobody is asked.
func (p *pilot) FetchServerStats(_ context.Context,
	servers map[raft.ServerID]*autopilot.Server) map[raft.ServerID]*autopilot.ServerStats {
	n := p.r.n
	term, err := strconv.ParseUint(n.raft.Load().Stats()["last_log_term"], 10, 64)
	if err != nil {
		return nil
	}
	stats := make(map[raft.ServerID]*autopilot.ServerStats, len(servers))
	for id := range servers {
		if id == raft.ServerID(n.cfg.ID) {
			stats[id] = &autopilot.ServerStats{LastTerm: term, LastIndex: n.raft.Load().LastIndex()}
			continue
		}
		sent, last, ok := n.contacts.of(p.r.term, id)
		if !ok {
			sent = p.r.began // it has that long been silent to this leader
		}
		s := &autopilot.ServerStats{LastContact: time.Since(sent), LastIndex: last}
		if ok {
			s.LastTerm = term
		}
		stats[id] = s
	}
	return stats
}

// KnownServers implements autopilot.ApplicationIntegration. Gossip has a say in who has failed; where it knows nothing,
// contact alone decides.
func (p *pilot) KnownServers() map[raft.ServerID]*autopilot.Server {
	n := p.r.n
	heard := n.gossip()
	known := map[raft.ServerID]*autopilot.Server{}
	for _, s := range n.servers() {
		self := s.ID == raft.ServerID(n.cfg.ID)
		server := &autopilot.Server{ID: s.ID, Name: string(s.ID), Address: s.Address, NodeStatus: autopilot.NodeAlive,
			RaftVersion: int(raft.ProtocolVersionMax), IsLeader: self}
		if g, ok := heard[fs.NodeID(s.ID)]; ok && !self && (g.State == fs.NodeDead || g.State == fs.NodeLeft) {
			server.NodeStatus = autopilot.NodeFailed
		}
		known[s.ID] = server
	}
	return known
}

// RemoveFailedServer implements autopilot.ApplicationIntegration; it is not called without CleanupDeadServers.
func (p *pilot) RemoveFailedServer(*autopilot.Server) {}

// boundRaft is Raft for autopilot: what it waits for ends with the reign.
type boundRaft struct {
	*raft.Raft
	ctx context.Context
}

type boundFuture struct {
	raft.IndexFuture
	ctx context.Context
}

// Error implements raft.Future.
func (f boundFuture) Error() error { return await(f.ctx, f.IndexFuture) }

// AddNonvoter implements autopilot.Raft, like the two methods below.
func (b *boundRaft) AddNonvoter(id raft.ServerID, at raft.ServerAddress, prev uint64, d time.Duration) raft.IndexFuture {
	return boundFuture{b.Raft.AddNonvoter(id, at, prev, d), b.ctx}
}

// AddVoter makes a member a voter.
func (b *boundRaft) AddVoter(id raft.ServerID, at raft.ServerAddress, prev uint64, d time.Duration) raft.IndexFuture {
	return boundFuture{b.Raft.AddVoter(id, at, prev, d), b.ctx}
}

// DemoteVoter makes a voter a learner.
func (b *boundRaft) DemoteVoter(id raft.ServerID, prev uint64, d time.Duration) raft.IndexFuture {
	return boundFuture{b.Raft.DemoteVoter(id, prev, d), b.ctx}
}
