// Package replica keeps blobs on several nodes: [Set] is the blob.Store that spans them all, [Keeper] makes every node hold
// what the metadata says.
//
// A Set belongs to who writes and reads blobs (a mount, and a node's keeper); a Keeper runs on each node beside its disk.
// Neither decides what is a blob's fate: that is read from the replicated state. DESIGN.md has the verdicts and why they
// hold.
//
// Caveat: a Set and a Keeper start goroutines; Close them.
package replica
