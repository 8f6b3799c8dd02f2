package vfs

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

// TestSegments_BehaveAsAnArray compares segments with an array of bytes and a map of what is written.
func TestSegments_BehaveAsAnArray(t *testing.T) {
	const size = 300
	rapid.Check(t, func(rt *rapid.T) {
		limit := rapid.IntRange(1, 50).Draw(rt, "max")
		var l segments
		var want [size]byte
		var set [size]bool
		cost := int64(0)
		rt.Repeat(map[string]func(*rapid.T){
			"write": func(rt *rapid.T) {
				off := rapid.IntRange(0, size-1).Draw(rt, "off")
				p := bytes.Repeat([]byte{rapid.Byte().Draw(rt, "byte")}, rapid.IntRange(1, size-off).Draw(rt, "len"))
				grown, _ := l.write(uint64(off), p, limit)
				cost += grown
				copy(want[off:], p)
				for i := range p {
					set[off+i] = true
				}
			},
			"cut": func(rt *rapid.T) {
				at := rapid.IntRange(0, size).Draw(rt, "at")
				cost -= l.cut(uint64(at))
				clear(want[at:])
				clear(set[at:])
			},
			"takeFull": func(rt *rapid.T) {
				for _, s := range l.takeFull(limit) {
					if len(s.data) != limit {
						rt.Fatalf("a segment of %d bytes is taken for a full one", len(s.data))
					}
					cost -= s.cost()
					clear(want[s.off:s.end()])
					clear(set[s.off:s.end()])
				}
			},
			"": func(rt *rapid.T) { checkSegments(rt, l, want[:], set[:], limit, cost) },
		})
	})
}

func checkSegments(rt *rapid.T, l segments, want []byte, set []bool, limit int, cost int64) {
	end := uint64(0)
	for _, s := range l {
		if s.off < end || len(s.data) == 0 || len(s.data) > limit {
			rt.Fatalf("segment %d+%d behind %d, at most %d long", s.off, len(s.data), end, limit)
		}
		end = s.end()
	}
	if l.cost() != cost {
		rt.Fatalf("the cost is %d, counted were %d", l.cost(), cost)
	}
	got := make([]byte, len(want))
	left := l.overlay(got, 0, []span{{0, 100}, {120, uint64(len(want))}})
	missing := make([]bool, len(want))
	for _, s := range left {
		for i := s.from; i < s.to; i++ {
			missing[i] = true
		}
	}
	for i := range want {
		asked := i < 100 || i >= 120
		if missing[i] != (asked && !set[i]) || asked && set[i] && got[i] != want[i] {
			rt.Fatalf("byte %d: %d, want %d (written: %v, missing: %v)", i, got[i], want[i], set[i], missing[i])
		}
	}
}

func TestSegments_SequentialWritesFillOneSegment(t *testing.T) {
	var l segments
	full := 0
	for off := uint64(0); off < 1<<20; off += 4096 {
		if _, f := l.write(off, make([]byte, 4096), 1<<18); f {
			full++
		}
	}
	if len(l) != 4 || full != 4 {
		t.Fatalf("%d segments, %d full", len(l), full)
	}
}

func TestRuns_CutSegmentsWithoutALoss(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var l segments
		for range rapid.IntRange(0, 20).Draw(rt, "writes") {
			l.write(uint64(rapid.IntRange(0, 500).Draw(rt, "off")), pattern(1, rapid.IntRange(1, 200).Draw(rt, "len")), 100)
		}
		from := uint64(rapid.IntRange(0, 800).Draw(rt, "from"))
		span := uint64(rapid.IntRange(1, 300).Draw(rt, "span"))
		var want, got [1000]byte
		for _, s := range l {
			copy(want[s.off:], s.data)
		}
		clear(want[:from])
		at := from
		for _, run := range l.from(from).runs(span) {
			if len(run) == 0 || run.end()-run[0].off > span || len(run) > extentsPerOp {
				rt.Fatalf("a run of %d segments, %d bytes", len(run), run.end())
			}
			for _, s := range run {
				if s.off < at || len(s.data) == 0 {
					rt.Fatalf("a piece at %d, behind one that ends at %d", s.off, at)
				}
				at = s.end()
				copy(got[s.off:], s.data)
			}
		}
		if got != want {
			rt.Fatalf("not the same bytes: %s", diff(got[:], want[:]))
		}
	})
}
