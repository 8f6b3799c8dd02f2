package changes

import (
	"errors"

	"dfs/fs"
	"dfs/raftmeta/state"
)

// Tracer turns transactions into changes as they are applied. It belongs to the goroutine that applies them.
type Tracer struct {
	feed  *Feed
	begun uint64 // which of the times that somebody began to watch names is from
	names *names
}

// NewTracer makes a Tracer that feeds f.
func NewTracer(f *Feed) *Tracer { return &Tracer{feed: f, names: newNames()} }

// Watching says whether anybody watches. It is asked once before an entry of the log is applied, and holds for all of it.
func (t *Tracer) Watching() bool {
	begun := t.feed.begun.Load()
	if begun != t.begun { // what was done meanwhile has been missed
		t.names.forget()
		t.begun = begun
	}
	return begun != 0
}

// Entry follows one entry of the log. A nil Entry follows nothing.
func (t *Tracer) Entry(index uint64) *Entry { return &Entry{t: t, index: index} }

// Entry is what the transactions of an entry of the log have changed.
type Entry struct {
	t     *Tracer
	index uint64
	n     uint32
	list  []*event
}

// event is a change and where it was: of several names each.
type event struct {
	fs.Change
	at, to []*where
}

// Step is a transaction that is about to be applied.
type Step struct {
	e      *Entry
	tx     *fs.Tx
	places places
	who    fs.Mount

	versions map[fs.Ino]uint64 // of what is renamed, before the operation at hand
}

// Before reads, in the state before a transaction, where all lies that it speaks of. Nil if it was decided before: then it changes
// nothing.
func (e *Entry) Before(v state.View, tx *fs.Tx) (*Step, error) {
	outcome, err := v.Outcome(tx.ID, tx.Epoch)
	if err != nil || outcome != state.Undecided {
		return nil, err
	}
	session, _, err := v.Session(tx.ID.Session)
	if err != nil {
		return nil, err
	}
	s := &Step{e: e, tx: tx, places: places{}, who: session.Mount, versions: map[fs.Ino]uint64{}}
	e.t.names.left = scanMax
	for _, op := range tx.Ops {
		for _, ino := range spokenOf(op) {
			if err := s.places.load(v, e.t.names, ino); err != nil {
				return nil, err
			}
		}
		if err := s.note(v, op); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// note keeps the version of what a Rename is to move, if it is there already: one that does nothing leaves it.
func (s *Step) note(v state.View, op fs.Op) error {
	o, ok := op.(*fs.Rename)
	if !ok {
		return nil
	}
	attr, err := v.Lookup(o.Parent, o.Name)
	if err == nil {
		s.versions[attr.Ino] = attr.Version
	}
	if refused := (*fs.Error)(nil); errors.As(err, &refused) && refused.Code != fs.CodeCorrupt {
		return nil // the transaction makes it, or will be refused
	}
	return err
}

// After follows a transaction, by its result. A nil Step does nothing.
func (s *Step) After(r *fs.TxResult) {
	if s == nil || r == nil || r.Err != fs.CodeOK || len(r.Results) != len(s.tx.Ops) {
		return
	}
	written := map[fs.Ino]bool{}
	for i, op := range s.tx.Ops {
		s.follow(op, &r.Results[i], written)
	}
}

// tell numbers a change, whether it can be told where it was or not: all nodes must number alike.
func (s *Step) tell(c fs.Change, at, to []*where) {
	s.e.n++
	c.Position = fs.Position{Index: s.e.index, N: s.e.n}
	c.Session, c.Host, c.Mount = s.tx.ID.Session, s.who.Host, s.who.Path
	if len(at)+len(to) > 0 {
		s.e.list = append(s.e.list, &event{c, at, to})
	}
}
