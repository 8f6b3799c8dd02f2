// Package lease decides who may cache and who may change an inode. It has two halves, each a pure state machine: a [Table] at
// the leader, which grants and recalls, and a [Holder] in each mount, which uses what it was granted and gives it back. Neither
// knows of goroutines, clocks or the network: who drives them does, packages leasedesk and vfs. DESIGN.md has the protocol.
//
// A mount holds an inode [Shared] to answer reads from its caches, [Exclusive] to keep changes that nobody else has seen. At
// any moment there is one exclusive lease on an inode and no other, or any number of shared ones.
package lease

import "dfs/fs"

// The words of the protocol are package fs's, since they cross the network.
type (
	Mode   = fs.LeaseMode
	Grant  = fs.Lease
	Recall = fs.Recall
	Ack    = fs.LeaseAck
)

// The modes.
const (
	None      = fs.LeaseNone
	Shared    = fs.LeaseShared
	Exclusive = fs.LeaseExclusive
)
