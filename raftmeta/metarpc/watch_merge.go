package metarpc

import "dfs/fs"

// merge makes one stream of changes of what several nodes tell of the same log. Each message says from where to where it tells
// all: so what is behind last, and goes on from there or before, loses nothing.
type merge struct {
	last fs.Position // everything up to it has been told
}

// next picks from what the lines have brought what goes on from last, and takes it away; false if something must come first.
// When all lines are beyond last, and lost says that no other can be had, what is between is missing.
func (m *merge) next(lines []**fs.Changes, lost bool) (fs.Changes, bool) {
	var best **fs.Changes
	all := true
	for _, line := range lines {
		if *line == nil {
			all = false
			continue
		}
		if best == nil || (*line).From.Less((*best).From) {
			best = line
		}
	}
	if best == nil {
		return fs.Changes{}, false
	}
	gap := m.last.Less((*best).From)
	if gap && !(all && lost) {
		return fs.Changes{}, false
	}
	c := **best
	*best = nil
	c.Missing = gap
	for len(c.List) > 0 && !m.last.Less(c.List[0].Position) {
		c.List = c.List[1:]
	}
	if c.Upto.Less(m.last) {
		c.Upto = m.last
	}
	if !gap {
		c.From = m.last
	}
	m.last = c.Upto
	return c, true
}
