package node

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"dfs/blob/replica"
	"dfs/cmd/internal/metrics"
	"dfs/fs"
)

// measures are the metrics that are counted where things happen; the others are read when they are asked for.
type measures struct {
	rpc    *rpcMeasures
	rest   *restMeasures
	commit prometheus.Histogram
	sync   prometheus.Histogram
}

func newMeasures(log *slog.Logger) *measures {
	return &measures{
		rpc: newRPCMeasures(log), rest: newRESTMeasures(),
		commit: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "dfs_raft_commit_seconds", Buckets: metrics.Seconds(),
			Help: "Time from the proposal of a log entry at this node until it was committed and applied."}),
		sync: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "dfs_raft_fsync_seconds", Buckets: metrics.Seconds(),
			Help: "Time of a write of entries to the Raft log, its sync included."}),
	}
}

// registry holds this node's metrics; several nodes in one process have one each.
func (n *Node) registry() *prometheus.Registry {
	r := metrics.NewRegistry(n.deps.Version)
	r.MustRegister(n.measures.commit, n.measures.sync, newStateCollector(n))
	n.measures.rpc.register(r)
	n.measures.rest.register(r)
	return r
}

// metricsHandler is what the metrics port serves.
func (n *Node) metricsHandler() http.Handler { return metrics.Handler(n.registry(), n.ready) }

// value is a metric that is read from a node's state.
type value struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	of   func(*sighting) float64
}

// sighting is what one scrape sees: all of its values are of about one moment.
type sighting struct {
	n      *Node
	status *fs.Status
	raft   *fs.RaftStatus
	load   fs.Load
	keeper replica.Counts
}

// stateCollector reads a node's state when it is scraped.
type stateCollector struct {
	n        *Node
	values   []value
	follower *prometheus.Desc // by node
}

func newStateCollector(n *Node) *stateCollector {
	c := &stateCollector{n: n, follower: prometheus.NewDesc("dfs_raft_follower_lag_entries",
		"At the leader: log entries that a node which answers it has yet to receive.", []string{"node"}, nil)}
	gauge := func(name, help string, of func(*sighting) float64) {
		c.values = append(c.values, value{prometheus.NewDesc(name, help, nil, nil), prometheus.GaugeValue, of})
	}
	counter := func(name, help string, of func(*sighting) float64) {
		c.values = append(c.values, value{prometheus.NewDesc(name, help, nil, nil), prometheus.CounterValue, of})
	}
	raftValues(gauge, counter)
	clusterValues(gauge)
	blobValues(gauge, counter)
	return c
}

type declare func(name, help string, of func(*sighting) float64)

func raftValues(gauge, counter declare) {
	gauge("dfs_raft_term", "Raft term.", func(s *sighting) float64 { return float64(s.raft.Term) })
	gauge("dfs_raft_is_leader", "1 while this node leads.", func(s *sighting) float64 { return flag(s.n.meta.IsLeader()) })
	gauge("dfs_raft_quorum", "1 while this node can tell that there is a leader with a majority.", func(s *sighting) float64 { return flag(s.raft.Quorum) })
	gauge("dfs_raft_commit_index", "Raft index up to which this node knows the log to be committed.", func(s *sighting) float64 { return float64(s.raft.Commit) })
	gauge("dfs_raft_applied_index", "Raft index that the local state has applied.", func(s *sighting) float64 { return float64(s.raft.Applied) })
	gauge("dfs_raft_applied_lag_entries", "Log entries committed and not applied here yet.",
		func(s *sighting) float64 { return float64(s.raft.Commit - min(s.raft.Applied, s.raft.Commit)) })
	gauge("dfs_raft_leader_contact_seconds", "Since this node heard of its leader; 0 at the leader, -1 for never.",
		func(s *sighting) float64 { return max(-1, float64(s.raft.ContactMillis)/1000) })
	counter("dfs_raft_leader_changes_total", "How often this node has heard of another leader.", func(s *sighting) float64 { return float64(s.n.meta.LeaderChanges()) })
}

func clusterValues(gauge declare) {
	gauge("dfs_gossip_alive_nodes", "Nodes that gossip believes to be alive, this one included.", func(s *sighting) float64 { return s.n.aliveNodes() })
	gauge("dfs_members", "Nodes in Raft's configuration.", func(s *sighting) float64 { return float64(len(s.raft.Servers)) })
	gauge("dfs_raft_voters", "Nodes that vote in Raft.", func(s *sighting) float64 { voters, _ := s.status.Electorate(); return float64(voters) })
	gauge("dfs_raft_voters_alive", "Those of them that gossip believes to be alive.",
		func(s *sighting) float64 { _, alive := s.status.Electorate(); return float64(alive) })
	gauge("dfs_sessions", "Mounts with a live session.", func(s *sighting) float64 { return float64(len(s.status.Sessions)) })
	gauge("dfs_inodes", "Inodes in the metadata.", func(s *sighting) float64 { return float64(s.status.Inodes) })
	gauge("dfs_replicas_wanted", "Copies that every blob should have.", func(s *sighting) float64 { return float64(s.status.Replicas) })
	gauge("dfs_min_replicas", "Copies that a blob must have before fsync returns, now.", func(s *sighting) float64 { return float64(s.status.MinReplicas) })
	gauge("dfs_min_replicas_wanted", "… once there are as many nodes that store.", func(s *sighting) float64 { return float64(s.status.MinReplicasWanted) })
}

func blobValues(gauge, counter declare) {
	gauge("dfs_blobs", "Blobs in the metadata.", func(s *sighting) float64 { return float64(s.status.Blobs.Count) })
	gauge("dfs_blob_bytes", "Their lengths, one replica each.", func(s *sighting) float64 { return float64(s.status.Blobs.Bytes) })
	gauge("dfs_blob_live_bytes", "Bytes of them that files map.", func(s *sighting) float64 { return float64(s.status.Blobs.LiveBytes) })
	gauge("dfs_blobs_under_replicated", "Blobs that lack replicas.", func(s *sighting) float64 { return float64(s.status.Blobs.UnderReplicated) })
	gauge("dfs_blobs_garbage", "Blobs that no file maps and that wait for deletion.", func(s *sighting) float64 { return float64(s.status.Blobs.Garbage) })
	counter("dfs_blobs_collected_total", "Garbage blobs that this node, leading, has forgotten.", func(s *sighting) float64 { return float64(s.keeper.Collected) })
	counter("dfs_replicas_repaired_total", "Copies that this node, leading, has had made.", func(s *sighting) float64 { return float64(s.keeper.Repaired) })
	counter("dfs_replicas_healed_total", "Own copies found missing or damaged, and mended.", func(s *sighting) float64 { return float64(s.keeper.Healed) })
	counter("dfs_replicas_corrupt_total", "Own copies found missing or damaged that could not be mended, each time.", func(s *sighting) float64 { return float64(s.keeper.Lost) })
	gauge("dfs_replicas_unknown", "Own live copies that the metadata does not know, at the last inspection.", func(s *sighting) float64 { return float64(s.keeper.Unknown) })
	gauge("dfs_blob_requests_in_flight", "Blob requests being served.", func(s *sighting) float64 { return float64(s.load.InFlight) })
	gauge("dfs_disk_free_bytes", "Space that blobs may still take.", func(s *sighting) float64 { return float64(s.load.DiskFreeBytes) })
	gauge("dfs_disk_total_bytes", "Space of the disk that blobs lie on.", func(s *sighting) float64 { return float64(s.load.DiskTotalBytes) })
	gauge("dfs_disk_read_only", "1 while this node takes no new blobs.", func(s *sighting) float64 { return flag(s.load.ReadOnly) })
}

// Describe implements prometheus.Collector.
func (c *stateCollector) Describe(ch chan<- *prometheus.Desc) {
	for i := range c.values {
		ch <- c.values[i].desc
	}
	ch <- c.follower
}

// Collect implements prometheus.Collector. While the node is starting, or when its state cannot be read, there is nothing:
// a gap says so, where zeros would lie.
func (c *stateCollector) Collect(ch chan<- prometheus.Metric) {
	s, err := c.n.see()
	if err != nil {
		c.n.log.Debug("no metrics of the state", "err", err)
		return
	}
	for i := range c.values {
		v := &c.values[i]
		ch <- prometheus.MustNewConstMetric(v.desc, v.kind, v.of(s))
	}
	for node, lag := range followerLags(s.raft) {
		ch <- prometheus.MustNewConstMetric(c.follower, prometheus.GaugeValue, float64(lag), string(node))
	}
}

// answersMillis is how old a node's last answer to the leader may be for the leader to know how far its log reaches.
const answersMillis = 5000

// followerLags are how many log entries the others have yet to receive, by what a leader knows; nothing elsewhere.
func followerLags(s *fs.RaftStatus) map[fs.NodeID]uint64 {
	lags := map[fs.NodeID]uint64{}
	for i := range s.Servers {
		if m := &s.Servers[i]; s.Leader == s.Node && m.ID != s.Node && m.Last > 0 && m.ContactMillis >= 0 && m.ContactMillis < answersMillis {
			lags[m.ID] = s.Last - min(m.Last, s.Last)
		}
	}
	return lags
}

// see takes a sighting.
func (n *Node) see() (*sighting, error) {
	ctx, cancel := context.WithTimeout(context.Background(), statusTimeout)
	defer cancel()
	status, err := n.ask(ctx)
	if err != nil {
		return nil, err
	}
	raft, err := n.meta.Raft(ctx)
	if err != nil {
		return nil, err
	}
	return &sighting{n: n, status: status, raft: raft, load: n.load(), keeper: n.keeperCounts()}, nil
}

func (n *Node) aliveNodes() float64 {
	alive := 0
	for _, m := range n.members() {
		if m.State == fs.NodeAlive {
			alive++
		}
	}
	return float64(alive)
}

func flag(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
