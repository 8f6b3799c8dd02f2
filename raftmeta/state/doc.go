// Package state is the replicated metadata as a deterministic state machine: a command goes in, an answer comes out.
//
// The model in a few lines. Everything the cluster knows lies in an ordered key-value map, a [KV]. [Apply] carries one
// decoded command out on it, wholly or not at all; a [View] reads it. There is no clock, no randomness, no goroutine and
// no other input: equal sequences of commands make equal maps on every node, as [Digest] shows and [Check] audits. The
// POSIX rules of every fs.Op are written here and nowhere else.
//
// Caveat: Apply distinguishes a refusal (in the [Answer], the map as before) from an error (the store is broken or the
// command comes from the future). After an error the map must be discarded and the node must stop. See DESIGN.md for
// the keys, the invariants and the life of blobs, orphans and remembered answers.
package state
