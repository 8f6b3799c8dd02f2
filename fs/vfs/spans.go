package vfs

// span is a range of a file that a read has not filled yet.
type span struct{ from, to uint64 }

// overlay copies from l what falls into the spans to p, which starts at off in the file, and returns the spans left.
func (l segments) overlay(p []byte, off uint64, spans []span) []span {
	if len(l) == 0 {
		return spans
	}
	var left []span
	for _, s := range spans {
		for i := l.search(s.from); i < len(l) && l[i].off < s.to; i++ {
			from, to := max(s.from, l[i].off), min(s.to, l[i].end())
			if from > s.from {
				left = append(left, span{s.from, from})
			}
			copy(p[from-off:to-off], l[i].data[from-l[i].off:])
			s.from = to
		}
		if s.from < s.to {
			left = append(left, s)
		}
	}
	return left
}
