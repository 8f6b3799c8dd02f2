package state

import "dfs/fs"

// Outcome is what became of a transaction, as far as the state remembers.
type Outcome uint8

// The outcomes. All but Undecided are for ever, up to a decided one becoming Forgotten.
const (
	// Undecided: it may still commit.
	Undecided Outcome = iota
	// Committed: it happened.
	Committed
	// Aborted: it was refused or aborted.
	Aborted
	// Forgotten: it never will commit, but may have done so. Whether it did is to be seen from its blobs being in the
	// blob table, or having been there.
	Forgotten
)

func (o Outcome) String() string {
	switch o {
	case Undecided:
		return "undecided"
	case Committed:
		return "committed"
	case Aborted:
		return "aborted"
	}
	return "forgotten"
}

// Outcome tells what became of a transaction. A blob that is staged under it may be dropped if the outcome is anything
// but Undecided and the blob is not in the blob table, *asked in this order or on one snapshot*: asked the other way
// round, the transaction could commit in between. DESIGN.md argues why that verdict holds for ever.
func (v View) Outcome(tx fs.TxID, epoch fs.Epoch) (Outcome, error) {
	s, err := readSession(v.r, tx.Session)
	if err != nil {
		return Undecided, err
	}
	if s == nil {
		return v.strangerOutcome(tx.Session)
	}
	if s.Epoch != epoch {
		return Aborted, nil // ids are used once: no session of this id will ever have that epoch
	}
	result, err := readAnswer(v.r, tx)
	switch {
	case err != nil:
		return Undecided, err
	case result != nil && result.Err == fs.CodeOK:
		return Committed, nil
	case result != nil:
		return Aborted, nil
	case tx.Seq < s.Done:
		return Forgotten, nil
	}
	return Undecided, nil
}

// strangerOutcome is the outcome of a transaction whose session is not here: it has ended, or this state is too old to
// have seen it open.
func (v View) strangerOutcome(id fs.SessionID) (Outcome, error) {
	var n counters
	formed, err := get(v.r, []byte(keyCounters), &n)
	if err != nil || !formed || id >= n.nextSession {
		return Undecided, err
	}
	return Forgotten, nil
}
