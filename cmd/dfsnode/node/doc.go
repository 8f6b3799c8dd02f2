// Package node puts a node together: directory, network, blob store, metadata, gossip, membership, in that order, and
// takes it apart in reverse. It is all wiring; what the parts do is theirs.
//
// Open makes everything that can fail at once, Run becomes a member and stays until the context ends or a part fails,
// Close stops. See DESIGN.md for the data directory and the order of things.
package node
