// Package lease decides who may cache and who may change an inode. It has two halves, each a pure state machine: a [Table] at
// the leader, which grants and recalls, and a [Holder] in each mount, which uses what it was granted and gives it back. Neither
// knows of goroutines, clocks or the network: who drives them does. DESIGN.md has the protocol. Nothing drives them yet.
//
// A mount holds an inode [Shared] to answer reads from its caches, [Exclusive] to keep changes that nobody else has seen. At
// any moment there is one exclusive lease on an inode and no other, or any number of shared ones.
package lease

import "dfs/fs"

// Mode is how strong a lease is; a stronger one includes the weaker.
type Mode uint8

// The modes.
const (
	None      Mode = iota
	Shared         // others may read, too
	Exclusive      // nobody else may have anything
)

func (m Mode) String() string {
	return [...]string{"none", "shared", "exclusive"}[m]
}

// Grant is a lease as it is told to a mount. Seq tells it from earlier and later ones on the same inode; it counts from 1 in
// each reign, and 0 is a lease that was reclaimed.
type Grant struct {
	Ino  fs.Ino
	Mode Mode // None: the request was served, and nothing may be kept
	Seq  uint64
}

// Recall asks a mount to keep no more than To of the lease Seq. It may be repeated, with a lower To.
type Recall struct {
	Session fs.SessionID
	Ino     fs.Ino
	Seq     uint64
	To      Mode
}

// Ack tells the leader that a mount keeps no more than Mode of the lease Seq: what it knew more than that is flushed, and
// dropped from its caches and its kernel's. It may come unasked.
type Ack struct {
	Ino  fs.Ino
	Seq  uint64
	Mode Mode
}
