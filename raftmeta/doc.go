// Package raftmeta is a node's part in the replicated metadata: Raft under the state machine of raftmeta/state.
//
// The model in a few lines. Every node of the cluster runs a [Node]. A Node keeps the Raft log (raft-wal, each entry
// sealed with a checksum), the state (a Badger database, a cache of the log that can be rebuilt) and snapshots. The
// leader packs concurrent commands into batches, one log entry each; every node applies the same entries in the same
// order. Reads are linearizable on the leader. What needs one master at a time (sessions, pins, the reaper, voters'
// promotion) runs on the leader only, in a [reign], and is rebuilt from the state and the mounts by the next one.
//
// [Node] is an fs.Meta, an fs.Admin and an fs.Membership. Caveat: a Node whose log or state fails stops by itself and
// says why through [Node.Failed]; it never goes on with a hole. See DESIGN.md for the states, invariants and locks.
package raftmeta
