package torture

import (
	"hash/maphash"
	"slices"

	"github.com/anishathalye/porcupine"
)

// moment is what the names mean after an operation that touched the directories in touched (bit 1<<dir).
type moment struct {
	names   tree
	touched uint8
}

// namesState is all names: as contentState, with the moments at which they may be left by a fence. A mount's changes become durable
// in their order; what another mount sees of a directory makes all durable that leads to it.
type namesState []moment

const everyDir = 1<<dirs - 1

// namesModel is the names of a round. What fenced, a mount, has changed and not synced may be lost at a fence; -1: nobody's.
type namesModel struct{ fenced int }

func (m namesModel) model() porcupine.Model {
	seed := maphash.MakeSeed()
	n := porcupine.NondeterministicModel{
		Init: func() []any { return []any{namesState{{}}} },
		Step: func(state, input, _ any) []any { return m.step(state.(namesState), input.(*Record)) },
		Equal: func(a, b any) bool {
			return slices.Equal(a.(namesState), b.(namesState))
		},
		Hash: func(s any) uint64 {
			moments := s.(namesState)
			return maphash.Comparable(seed, moments[len(moments)-1]) + uint64(len(moments))
		},
	}
	return n.ToModel()
}

// touches is which directories an operation is about.
func (r *Record) touches() uint8 {
	mask := uint8(1) << r.Name.Dir
	switch r.Kind {
	case Rename, NoReplace, Exchange:
		mask |= 1 << r.To.Dir
	case Link:
		mask = everyDir
	case linked:
		mask = 0
	}
	return mask
}

// known is s with what has touched those directories, and what was before that, made sure.
func (s namesState) known(touched uint8) namesState {
	for i := len(s) - 1; i > 0; i-- {
		if s[i].touched&touched != 0 {
			s = s[i:]
			break
		}
	}
	if s[0].touched == 0 {
		return s
	}
	s = slices.Clone(s)
	s[0].touched = 0
	return s
}

// step is what r may have made of s; nothing if it cannot have happened.
func (m namesModel) step(s namesState, r *Record) []any {
	if r.Kind == fence {
		var left []any
		for _, one := range s {
			left = append(left, namesState{{names: one.names}})
		}
		return left
	}
	if r.Mount != m.fenced || r.Kind == SyncDir && r.Errno == 0 {
		s = s.known(r.touches())
	}
	if !r.settled() {
		worked := *r
		worked.Errno = 0
		return append([]any{s}, m.happens(s, &worked)...)
	}
	return m.happens(s, r)
}

func (m namesModel) happens(s namesState, r *Record) []any {
	var next []any
	now := s[len(s)-1].names
	for _, names := range outcomes(now, r) {
		switch {
		case names == now:
			next = append(next, s)
		case r.Mount == m.fenced && r.Op.changes():
			next = append(next, append(slices.Clone(s), moment{names, r.touches()}))
		default:
			next = append(next, s.change(r, names))
		}
	}
	return next
}

// change does to each moment what r, of a mount that loses nothing, does now; names is the last one after that. Nothing that may be lost
// has touched the directories that r is about, so it does the same to all.
func (s namesState) change(r *Record, names tree) namesState {
	s = slices.Clone(s)
	for i := range s[:len(s)-1] {
		if all := outcomes(s[i].names, r); len(all) > 0 {
			s[i].names = all[0]
		}
	}
	s[len(s)-1].names = names
	return s
}

// outcomes is what r may make of t.
func outcomes(t tree, r *Record) []tree {
	if r.Kind == Link {
		return t.link(r)
	}
	var all []tree
	if next, ok := t.apply(r); ok {
		all = append(all, next)
	}
	if r.twice && r.Errno == 0 { // nothing was done
		all = append(all, t)
	}
	return all
}
