// Package fusefs is the FUSE front: it shows a [vfs.FS] to the kernel as a mounted filesystem.
//
// A kernel request arrives as one method call of [front], a go-fuse RawFileSystem. Node ids are inode numbers, so there
// is no second tree here and nothing to forget; file handles are the only state. Each call becomes one call of package
// vfs, and its error becomes an errno by the one table in errno.go.
//
// The caveat: a process must never touch its own mount. A page fault or a close(2) on it can wait for an answer that
// the stopped process cannot give.
//
// DESIGN.md lists every call and flag, what the kernel caches, and the traps.
package fusefs
