// Package cluster is how nodes find each other and talk.
//
// Three things live here. A [Transport] is the one listener and the one [Dialer] of a process: Raft and gRPC share a
// port, and each connection says in a short preamble which of the two it is for. A [Ring] gossips who is there and how
// loaded they are. A [Bootstrap] makes machines that were started in any order agree on forming exactly one cluster.
//
// Caveat: gossip informs, Raft decides. Nothing that the ring says (alive, dead, how many) makes a node a member or
// takes its membership away; it only chooses where to look first. DESIGN.md has the states and invariants.
package cluster
