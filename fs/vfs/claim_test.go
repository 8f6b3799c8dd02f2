package vfs

import (
	"testing"

	"dfs/blob"
	"dfs/fs"
)

// Whatever is fetched for a claim lies within one extent, and the claim says which byte of the file its first byte is.
func TestClaims_NameTheirBytesOfTheFile(t *testing.T) {
	whole := fs.Extent{Off: 1000, Len: 300_000, Blob: fs.BlobID{Session: 1, Counter: 2}, BlobOff: 70_001}
	info := fs.BlobInfo{ID: whole.Blob, Length: 1 << 20}
	var fetched []want
	var c *chunks
	c = newChunks(1<<20, func(w want, run []*chunk) {
		fetched = append(fetched, w)
		c.settle(run, make([]byte, w.to-w.from), nil)
	})
	read := func(from, to uint64) []*chunk {
		p := piece{Extent: whole.Slice(from, to), blob: info, whole: whole}
		return c.startClaimed(&p, blob.Claim{Ino: 9, Index: 5})
	}
	for _, r := range []span{{150_000, 150_010}, {1000, 301_000}, {300_999, 301_000}, {1000, 1001}} {
		list := read(r.from, r.to)
		first, last := list[0].key, list[len(list)-1].key
		if at := whole.BlobOff + (r.from - whole.Off); uint64(first.from) > at || uint64(last.to) < at+(r.to-r.from) {
			t.Errorf("%v is not covered by %d … %d", r, first.from, last.to)
		}
	}
	total := uint64(0)
	for _, w := range fetched {
		total += uint64(w.to - w.from)
		if uint64(w.from) < whole.BlobOff || uint64(w.to) > whole.BlobOff+whole.Len || w.to <= w.from {
			t.Errorf("fetched %d … %d, which the extent does not map", w.from, w.to)
		}
		if c := w.claim; c == nil || c.Off-whole.Off != uint64(w.from)-whole.BlobOff || c.Ino != 9 || c.Index != 5 {
			t.Errorf("byte %d of the blob is claimed as %+v", w.from, w.claim)
		}
	}
	if len(fetched) != 3 || total != whole.Len { // one in the middle, then what is around it, and nothing twice
		t.Errorf("%d bytes in %d fetches", total, len(fetched))
	}
}

func TestRegistration_KnowsItsOwnNumbers(t *testing.T) {
	r := newRegistration(fs.Session{ID: 1})
	for n := range fs.Ino(givenMax + 1) {
		r.addInos(fs.InoRange{From: 100 * (n + 1), N: 10})
	}
	for ino, want := range map[fs.Ino]bool{100: false, 200: true, 209: true, 210: false, 909: true, 910: false} {
		if got := r.made([]fs.Op{&fs.Setattr{Ino: 1}, &fs.Create{Ino: ino}}); got != want {
			t.Errorf("%d: %v", ino, got)
		}
	}
}
