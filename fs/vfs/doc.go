// Package vfs is the engine of one mount: POSIX file semantics over an [fs.Meta] and a store of blobs.
//
// The model in a few lines. Names and attributes are changed at the leader, one transaction a call (write-through); what is
// changed of a file with unflushed data rides in the flush of that data. File data is written into dirty segments in
// memory, and a flush makes it durable by a two-phase commit: the segments are packed into blobs and staged, then one
// transaction maps them into their files. Reads see dirty and flying segments over the extents that the metadata knows. A
// session, kept alive in the background, fences all of it.
//
// Fronts (FUSE, REST) stand on [FS], [Handle] and [DirHandle]; none of their words appear here. Errors wrap the sentinels
// of package fs. DESIGN.md has the states, the invariants and the order of locks.
//
// Caveat: attributes are as fresh as the last call that asked the leader. A front that promises coherence asks
// [FS.Getattr] before it serves a read from what it cached itself.
package vfs
