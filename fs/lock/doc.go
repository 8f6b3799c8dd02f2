// Package lock decides who may lock what: the leader's [Table] of file locks, and the [Ranges] of one owner on one inode, which
// the mounts use too. It knows of no goroutines, clocks or networks: who drives it does. DESIGN.md has the rules.
package lock
