package torture

import (
	"encoding/binary"
	"hash/maphash"
	"slices"
	"strings"

	"github.com/anishathalye/porcupine"
)

// content is what a file holds: a value, or zero, in each slot.
type content struct {
	size   int64
	values string // four bytes a slot, without zeros at the end
}

func (c content) at(slot int) uint32 {
	if len(c.values) < 4*(slot+1) {
		return 0
	}
	return binary.LittleEndian.Uint32([]byte(c.values[4*slot : 4*slot+4]))
}

func (c content) with(slot int, value uint32, stride int64) content {
	b := []byte(c.values)
	for len(b) < 4*(slot+1) {
		b = append(b, 0)
	}
	binary.LittleEndian.PutUint32(b[4*slot:], value)
	return content{max(c.size, int64(slot)*stride+8), string(b)}
}

func (c content) cut(slot int, stride int64) content {
	values := c.values[:min(len(c.values), 4*slot)]
	for strings.HasSuffix(values, "\x00\x00\x00\x00") && len(values)%4 == 0 {
		values = values[:len(values)-4]
	}
	return content{int64(slot) * stride, values}
}

// contentState is a file. The last one is what it holds, the first what it holds if the fenced mount's session ends now, before
// it has synced and before anybody else has looked; those between are what may be left as well.
type contentState []content

// contentModel is a file whose slots are stride bytes apart. What fenced, a mount, has not synced may be lost at a fence; -1: nobody's.
type contentModel struct {
	stride int64
	fenced int
}

func (m contentModel) model() porcupine.Model {
	seed := maphash.MakeSeed()
	n := porcupine.NondeterministicModel{
		Init: func() []any { return []any{contentState{{}}} },
		Step: func(state, input, _ any) []any { return m.step(state.(contentState), input.(*Record)) },
		Equal: func(a, b any) bool {
			return slices.Equal(a.(contentState), b.(contentState))
		},
		Hash: func(s any) uint64 {
			now := s.(contentState).now()
			return maphash.String(seed, now.values) + uint64(now.size) + uint64(len(s.(contentState)))<<32
		},
	}
	return n.ToModel()
}

func (s contentState) now() content { return s[len(s)-1] }

// known is s with everything that may be lost made sure.
func (s contentState) known() contentState { return s[len(s)-1:] }

// step is what r may have made of s; nothing if it cannot have happened.
func (m contentModel) step(s contentState, r *Record) []any {
	if r.Kind == fence {
		var left []any
		for i := range s {
			left = append(left, s[i:i+1])
		}
		return left
	}
	if r.Mount != m.fenced {
		s = s.known()
	}
	if r.Op.changes() {
		return m.change(s, r)
	}
	if !m.tells(s.now(), r) {
		return nil
	}
	if r.Kind == Sync {
		s = s.known()
	}
	return []any{s}
}

// change is s after a change. One that has failed may never happen: then its place is after all others.
func (m contentModel) change(s contentState, r *Record) []any {
	next := m.apply(s.now(), r.Op)
	after := contentState{next}
	if r.Mount == m.fenced && (!r.Op.Sync || r.Errno != 0) {
		after = append(slices.Clone(s), next)
	}
	return []any{after}
}

func (m contentModel) apply(c content, op Op) content {
	switch op.Kind {
	case Write:
		return c.with(op.Slot, op.Value, m.stride)
	case Append:
		return c.with(int((c.size+m.stride-1)/m.stride), op.Value, m.stride)
	default:
		return c.cut(op.Slot, m.stride)
	}
}

// tells reports whether r is told what c holds.
func (m contentModel) tells(c content, r *Record) bool {
	at := int64(r.Slot) * m.stride
	switch r.Kind {
	case Read, part:
		if len(r.Values) == 0 {
			return c.size <= at
		}
		return c.size > at && c.at(r.Slot) == r.Values[0]
	case ReadMap:
		return m.mapped(c, r, at)
	case Size:
		return c.size == r.Size
	case ReadAll:
		return c.size == r.Size && m.holds(c, r.Values)
	}
	return true
}

// mapped is about a shared mapping: whole pages, of which the end beyond the file is zero. Those behind the end may be missing.
func (m contentModel) mapped(c content, r *Record, at int64) bool {
	switch {
	case r.Values[0] == 0:
		return c.at(r.Slot) == 0
	}
	return c.size > at && c.at(r.Slot) == r.Values[0]
}

func (m contentModel) holds(c content, values []uint32) bool {
	for i, v := range values {
		if c.at(i) != v {
			return false
		}
	}
	return len(c.values) <= 4*len(values)
}
