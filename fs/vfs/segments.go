package vfs

import "sort"

// segmentOverhead is what a segment costs besides its bytes, so that many small ones are bounded too.
const segmentOverhead = 96

// segment is a run of written bytes.
type segment struct {
	off  uint64
	data []byte
}

func (s *segment) end() uint64 { return s.off + uint64(len(s.data)) }

func (s *segment) cost() int64 { return int64(len(s.data)) + segmentOverhead }

// segments are sorted by offset and do not overlap.
type segments []segment

// write puts p at off over whatever is there. It returns by how much the cost has grown, and whether a segment has become
// full: none grows beyond max.
func (l *segments) write(off uint64, p []byte, max int) (cost int64, full bool) {
	i := l.search(off)
	for len(p) > 0 {
		var n int
		if i < len(*l) && (*l)[i].off <= off {
			n = copy((*l)[i].data[off-(*l)[i].off:], p)
			i++
		} else {
			gap := len(p)
			if i < len(*l) {
				gap = int(min(uint64(gap), (*l)[i].off-off))
			}
			var grown int64
			n, grown, i = l.fill(i, off, p[:gap], max)
			cost += grown
			full = full || len((*l)[i-1].data) >= max
		}
		off, p = off+uint64(n), p[n:]
	}
	return cost, full
}

// search is the index of the first segment that ends behind off.
func (l *segments) search(off uint64) int {
	return sort.Search(len(*l), func(i int) bool { return (*l)[i].end() > off })
}

// fill writes the start of p into the gap before segment i: at the end of the segment before it, or as a new one.
// It returns how much of p, the cost, and the index of the segment behind.
func (l *segments) fill(i int, off uint64, p []byte, max int) (n int, cost int64, next int) {
	if i > 0 && (*l)[i-1].end() == off && len((*l)[i-1].data) < max {
		last := &(*l)[i-1]
		n = min(len(p), max-len(last.data))
		last.data = appendDoubling(last.data, p[:n], max)
		return n, int64(n), i
	}
	n = min(len(p), max)
	*l = append(*l, segment{})
	copy((*l)[i+1:], (*l)[i:])
	(*l)[i] = segment{off: off, data: append([]byte(nil), p[:n]...)}
	return n, int64(n) + segmentOverhead, i + 1
}

// appendDoubling is append for streams: growing a large slice by a quarter, as append does, copies too often.
func appendDoubling(b, p []byte, max int) []byte {
	need := len(b) + len(p)
	if need > cap(b) {
		grown := make([]byte, len(b), min(max, 2*need))
		copy(grown, b)
		b = grown
	}
	return append(b, p...)
}

// cut drops what lies at or behind size, and returns its cost.
func (l *segments) cut(size uint64) (cost int64) {
	i := l.search(size)
	if i < len(*l) && (*l)[i].off < size {
		s := &(*l)[i]
		keep := size - s.off
		cost += int64(uint64(len(s.data)) - keep)
		s.data = s.data[:keep]
		i++
	}
	cost += segments((*l)[i:]).cost()
	clear((*l)[i:])
	*l = (*l)[:i]
	return cost
}

// from is the part of l at or behind off.
func (l segments) from(off uint64) segments {
	l = l[l.search(off):]
	if len(l) == 0 || l[0].off >= off {
		return l
	}
	first := segment{off, l[0].data[off-l[0].off:]}
	return append(segments{first}, l[1:]...)
}

// runs cuts l into what one Write operation each can map: no more than span bytes of the file, holes included, and no more
// than extentsPerOp segments.
func (l segments) runs(span uint64) []segments {
	var list []segments
	var run segments
	for _, s := range l {
		for len(s.data) > 0 {
			if k := len(run); k > 0 && (k == extentsPerOp || s.off-run[0].off >= span) {
				list, run = append(list, run), nil
			}
			start := s.off
			if len(run) > 0 {
				start = run[0].off
			}
			n := min(uint64(len(s.data)), span-(s.off-start))
			run = append(run, segment{s.off, s.data[:n:n]})
			s = segment{s.off + n, s.data[n:]}
		}
	}
	if len(run) > 0 {
		list = append(list, run)
	}
	return list
}

// takeAll empties l.
func (l *segments) takeAll(int) segments {
	all := *l
	*l = nil
	return all
}

// takeFull takes out the segments that have grown to max.
func (l *segments) takeFull(max int) segments {
	var full segments
	rest := (*l)[:0]
	for _, s := range *l {
		if len(s.data) >= max {
			full = append(full, s)
		} else {
			rest = append(rest, s)
		}
	}
	clear((*l)[len(rest):])
	*l = rest
	return full
}

func (l segments) end() uint64 {
	if len(l) == 0 {
		return 0
	}
	return l[len(l)-1].end()
}

func (l segments) cost() (n int64) {
	for i := range l {
		n += l[i].cost()
	}
	return n
}

func (l segments) bytes() (n int64) {
	for i := range l {
		n += int64(len(l[i].data))
	}
	return n
}
