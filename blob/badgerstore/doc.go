// Package badgerstore is a [blob.Store] on one disk, in Badger: blobs in its value log, a small index record for each
// in its tree.
//
// One goroutine, the writer, makes every change. It packs what concurrent callers ask for into one transaction and one
// sync (group commit); a caller's answer waits for that sync. Reads go beside it. A second goroutine, the reclaimer,
// turns deleted blobs into free disk space.
//
// Caveat: Badger loses its process on a full disk, answers a damaged record with nothing instead of an error, and says
// in its log only that a sync has failed. Hence the space reserve, our own checksums around every byte, and a logger
// that stops the store; see ../DESIGN.md.
package badgerstore
