package vfs

import (
	"testing"

	"dfs/fs"

	"pgregory.net/rapid"
)

// TestLayout_GivesBackWhatItWasTold learns a random file in random windows, as the leader answers them.
func TestLayout_GivesBackWhatItWasTold(t *testing.T) {
	const size = 1000
	rapid.Check(t, func(rt *rapid.T) {
		var file []fs.Extent
		for off := uint64(0); off < size; {
			off += uint64(rapid.IntRange(0, 40).Draw(rt, "gap"))
			n := uint64(rapid.IntRange(1, 60).Draw(rt, "len"))
			file = append(file, fs.Extent{Off: off, Len: n, Blob: fs.BlobID{Session: 1, Counter: 1}, BlobOff: off})
			off += n
		}
		var l layout
		version := uint64(1)
		var known [size]bool
		rt.Repeat(map[string]func(*rapid.T){
			"learn": func(rt *rapid.T) {
				s := drawSpan(rt, size)
				var answer []fs.Extent
				for _, e := range file {
					if e.End() > s.from && e.Off < s.to {
						answer = append(answer, e)
					}
				}
				l.add(s, &fs.Layout{Attr: fs.Attr{Ino: 7, Version: version}, Extents: answer, Index: version})
				for i := s.from; i < s.to; i++ {
					known[i] = true
				}
			},
			"change": func(rt *rapid.T) {
				if rapid.IntRange(0, 9).Draw(rt, "rarely") == 0 {
					version++
					clear(known[:])
				}
			},
			"": func(rt *rapid.T) { checkLayout(rt, &l, version, file, known[:]) },
		})
	})
}

func drawSpan(rt *rapid.T, size int) span {
	from := rapid.IntRange(0, size-1).Draw(rt, "from")
	return span{uint64(from), uint64(rapid.IntRange(from+1, size).Draw(rt, "to"))}
}

func checkLayout(rt *rapid.T, l *layout, version uint64, file []fs.Extent, known []bool) {
	s := drawSpan(rt, len(known))
	from, ok := l.covers(version, s)
	first := s.from
	for first < s.to && known[first] {
		first++
	}
	if ok != (first == s.to) || !ok && from != first {
		rt.Fatalf("covers %v: %d, %v; the first unknown is %d", s, from, ok, first)
	}
	if !ok {
		return
	}
	at := make(map[uint64]bool)
	for _, p := range l.pieces(s) {
		for i := p.Off; i < p.End(); i++ {
			if at[i] || p.BlobOff+(i-p.Off) != i || p.ino != 7 || p.index != version || p.whole.Off > p.Off || p.whole.End() < p.End() {
				rt.Fatalf("byte %d comes twice, or from elsewhere", i)
			}
			at[i] = true
		}
	}
	for _, e := range file {
		for i := max(e.Off, s.from); i < min(e.End(), s.to); i++ {
			if !at[i] {
				rt.Fatalf("byte %d is missing", i)
			}
			delete(at, i)
		}
	}
	if len(at) > 0 {
		rt.Fatalf("%d bytes are mapped that are a hole", len(at))
	}
}
