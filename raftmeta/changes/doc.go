// Package changes tells watchers what is done to the tree, as a node applies the log.
//
// A [Tracer] stands beside the state machine and turns transactions into changes, with the paths that things had at that moment.
// A [Feed] remembers the latest of them; each [Watcher] goes through it at its own pace and takes what lies within what it
// watches. Nobody waits for a watcher: one that is too slow is told that it has missed something. While nobody watches, an entry of
// the log costs one look at an atomic number.
//
// Caveat: the stream is of what a node has applied, and no node knows more of the log's end than that. See DESIGN.md.
package changes
