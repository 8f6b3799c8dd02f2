// Package localmeta is an fs.Meta in one process: the state machine of raftmeta/state in memory, without Raft, for tests
// of what stands on an fs.Meta.
//
// A [Cluster] is the leader that never fails unless told to; [Cluster.Mount] gives each mount under test its own line to
// it, on which faults can be injected. Everything that crosses that line is encoded and decoded, so that no memory is
// shared, as on a network. Sessions do not expire by themselves: see [Cluster.Expire] and [Cluster.Failover].
//
// Caveat: it keeps everything in memory and serializes all calls; it is a double, not a server.
package localmeta
