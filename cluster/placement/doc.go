// Package placement chooses nodes: where to write the replicas of a blob, and in which order to ask those that have it.
//
// Everything is a pure function of what is known of the nodes (a [Candidate]: gossip's fs.NodeInfo plus what this client
// has seen itself), a policy and a seeded source of chance, so that the same input gives the same choice. Hard rules come
// first and are the same for every policy: dead and read-only nodes get no writes, suspect nodes come last, replicas are
// spread over as many zones as possible. Among the equals that remain, the [Policy] picks.
//
// [Tracker] keeps a client's observations and [Picker] ties it all together; these two are safe for concurrent use.
//
// Caveat: loads are seconds old. A policy that always took the best node would send everybody there at once; so all of
// them leave something to chance.
package placement
