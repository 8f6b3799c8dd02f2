package lock

import (
	"slices"

	"dfs/fs"
)

// Range is a run of bytes, Start to End, both included.
type Range struct {
	Start, End uint64
	Type       fs.LockType
}

// Ranges is what one owner holds on one inode. Invariant: sorted, disjoint, and neighbours that touch differ in type.
type Ranges []Range

// Set makes [start, end] of a type, whatever it was. r itself is not changed.
func (r Ranges) Set(start, end uint64, t fs.LockType) Ranges {
	return append(r.Clear(start, end), Range{start, end, t}).merged()
}

// Clear takes [start, end] out. r itself is not changed.
func (r Ranges) Clear(start, end uint64) Ranges {
	out := make(Ranges, 0, len(r)+2)
	for _, x := range r {
		if x.End < start || x.Start > end {
			out = append(out, x)
			continue
		}
		if x.Start < start {
			out = append(out, Range{x.Start, start - 1, x.Type})
		}
		if x.End > end {
			out = append(out, Range{end + 1, x.End, x.Type})
		}
	}
	return out
}

// merged sorts r and joins what touches and has one type; r's parts are disjoint.
func (r Ranges) merged() Ranges {
	slices.SortFunc(r, func(a, b Range) int {
		if a.Start < b.Start {
			return -1
		}
		return 1
	})
	out := r[:0]
	for _, x := range r {
		if n := len(out); n > 0 && out[n-1].Type == x.Type && out[n-1].End+1 == x.Start {
			out[n-1].End = x.End
			continue
		}
		out = append(out, x)
	}
	return out
}

// Covers reports whether all of [start, end] is of type t.
func (r Ranges) Covers(start, end uint64, t fs.LockType) bool {
	for _, x := range r { // touching neighbours differ in type, so that one must do
		if x.Type == t && x.Start <= start && end <= x.End {
			return true
		}
	}
	return false
}

// Overlaps reports whether anything in [start, end] is held.
func (r Ranges) Overlaps(start, end uint64) bool {
	_, ok := r.conflict(start, end, fs.LockWrite)
	return ok
}

// Lowered is r with [start, end] no stronger than a read lock, and whether that is less than r.
func (r Ranges) Lowered(start, end uint64) (Ranges, bool) {
	out, less := r, false
	for _, x := range r {
		if x.Type == fs.LockWrite && x.Start <= end && start <= x.End {
			out, less = out.Set(max(x.Start, start), min(x.End, end), fs.LockRead), true
		}
	}
	return out, less
}

// conflict is the first part of r that does not go together with another owner's lock of type t on [start, end].
func (r Ranges) conflict(start, end uint64, t fs.LockType) (Range, bool) {
	for _, x := range r {
		if x.Start <= end && start <= x.End && (x.Type == fs.LockWrite || t == fs.LockWrite) {
			return x, true
		}
	}
	return Range{}, false
}
