// Package fs holds the words of dfs: the types, interfaces and errors that every other package speaks.
//
// The model in a few lines. A cluster of nodes serves one tree of inodes. Metadata (inodes, dentries, extents, the
// blob table, sessions) is a state machine replicated with Raft; everybody reaches it through [Meta]. File bytes live
// in immutable blobs (see package blob), each on several nodes; an [Extent] maps a piece of a file to a piece of a
// blob. A mount opens a [Session], turns system calls into [Op] values and sends them as a [Tx]: all of its
// operations happen, or none.
//
// This package imports the standard library only and does nothing by itself.
package fs
