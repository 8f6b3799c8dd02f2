package vfs

import (
	"sync"
)

const (
	// aheadSlack is how far out of order the reads of one sequential reader arrive: the kernel sends several at once.
	aheadSlack = 2 << 20
	aheadMin   = 1 << 20
	// smallFile is the size up to which a file that shares its blob has its neighbours in the blob read with it.
	smallFile = 256 << 10
)

// reader guesses what a handle will read next.
type reader struct {
	mu     sync.Mutex
	next   uint64 // where a sequential read would go on
	window uint64 // how far to read ahead, bytes; 0: the reads are not sequential
	ahead  uint64 // what has been asked for already
}

// advance notes a read and returns what to read ahead.
func (r *reader) advance(off, n, most uint64) span {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case off == 0 && r.next == 0:
		r.window = min(aheadMin, most)
	case off+aheadSlack < r.next || off > r.next+aheadSlack:
		r.next, r.window, r.ahead = off+n, 0, 0
		return span{}
	default:
		r.window = min(max(2*r.window, aheadMin), most)
	}
	r.next = max(r.next, off+n)
	from, to := max(r.ahead, r.next), r.next+r.window
	if to < from+r.window/2 {
		return span{} // enough is on its way
	}
	r.ahead = to
	return span{from, to}
}

// prefetch has the blobs under s fetched as far as the layout is known, and waits for nothing.
func (n *inode) prefetch(f *FS, s span) {
	n.mu.Lock()
	s.to = min(s.to, n.attr.Size)
	var pieces []piece
	if s.from < s.to {
		if _, ok := n.layout.covers(n.attr.Version, s); ok {
			pieces = n.layout.pieces(s)
		}
	}
	n.mu.Unlock()
	f.prefetch(pieces)
}

// prefetch has the blobs of pieces fetched.
func (f *FS) prefetch(pieces []piece) {
	for i := range pieces {
		if e := &pieces[i]; !e.Inline() && e.BlobOff+e.Len <= uint64(e.blob.Length) {
			f.startPiece(e)
		}
	}
}

// neighbours has the surroundings of a small file in its blob fetched: files written together are read together. They are not
// given to who has to claim what is read.
func (n *inode) neighbours(f *FS) {
	if r := f.sessions.get(); r == nil || r.Claims {
		return
	}
	n.mu.Lock()
	var blobs []piece
	whole := span{0, n.attr.Size}
	if n.attr.Size > 0 && n.attr.Size <= smallFile {
		if _, ok := n.layout.covers(n.attr.Version, whole); ok {
			blobs = n.layout.pieces(whole)
		}
	}
	n.mu.Unlock()
	for i := range blobs {
		if e := &blobs[i]; !e.Inline() && e.Len < uint64(e.blob.Length) {
			from := uint32(e.BlobOff) / fetchMax * fetchMax
			f.chunks.start(&e.blob, from, min(fetchMax, e.blob.Length-from))
		}
	}
}
