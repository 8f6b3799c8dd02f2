package replica

import (
	"math"
	"testing"

	"dfs/blob"
	"dfs/fs"
	"dfs/raftmeta/command"
	"dfs/raftmeta/state"
)

// TestFate_IsTheTableInDESIGN goes through the verdicts one by one.
func TestFate_IsTheTableInDESIGN(t *testing.T) {
	w := newWorld(t, "x", "y", "z")
	defer w.close()
	m, gone := w.newWriter(), w.newWriter()
	here, elsewhere := m.prepare(0, []fs.NodeID{"x", "y"}), m.prepare(1, []fs.NodeID{"y", "z"})
	for _, p := range []*write{here, elsewhere} {
		if a := p.decide(); a.Tx.Err != fs.CodeOK {
			t.Fatalf("%+v", a)
		}
	}
	open, aborted, orphan := m.prepare(2, nil), m.prepare(2, nil), gone.prepare(0, nil)
	aborted.abort()
	w.decide(&command.EndSession{Session: gone.session.ID, Epoch: gone.session.Epoch})
	at := Position{Index: uint64(w.end()), Term: 7}

	owner := func(p *write) blob.Tx { return blob.Tx{ID: p.tx, Epoch: p.m.session.Epoch} }
	label := func(s fs.SessionID, term, index uint64) blob.Tx {
		var l labels
		return l.next(s, Position{Index: index}, term)
	}
	foreign := blob.Tx{ID: fs.TxID{Session: m.session.ID + 1000, Seq: 1}, Epoch: 1}
	unborn := fs.BlobID{Session: 1 << 40, Counter: 1} // of a session that this node has not seen open

	for _, c := range []struct {
		name string
		id   fs.BlobID
		tx   *blob.Tx // nil: live
		want fate
	}{
		{"listed here, owner", here.id, new(owner(here)), commit},
		{"listed here, repair", here.id, new(label(repairSession, 7, 1)), commit},
		{"listed here, live", here.id, nil, keep},
		{"listed elsewhere, owner", elsewhere.id, new(owner(elsewhere)), drop},
		{"listed elsewhere, live", elsewhere.id, nil, keep},
		{"listed elsewhere, heal", elsewhere.id, new(label(healSession, 0, at.Index)), drop},
		{"listed elsewhere, heal from the future", elsewhere.id, new(label(healSession, 0, at.Index+1)), keep},
		{"listed elsewhere, repair of an older term", elsewhere.id, new(label(repairSession, 6, at.Index)), drop},
		{"listed elsewhere, repair of this term", elsewhere.id, new(label(repairSession, 7, 1)), keep},
		{"listed elsewhere, repair of an unknown term", elsewhere.id, new(label(repairSession, 0, 1)), keep},
		{"unregistered, undecided", open.id, new(owner(open)), keep},
		{"unregistered, aborted", aborted.id, new(owner(aborted)), drop},
		{"unregistered, session over", orphan.id, new(owner(orphan)), drop},
		{"unregistered, session not seen yet", unborn, &blob.Tx{ID: fs.TxID{Session: unborn.Session, Seq: 1}, Epoch: 1}, keep},
		{"unregistered, another session's label", open.id, &foreign, keep},
		{"unregistered, another session's label, session over", orphan.id, &foreign, drop},
		{"unregistered, heal", open.id, new(label(healSession, 0, at.Index)), drop},
		{"unregistered, repair", open.id, new(label(repairSession, 7, at.Index)), drop},
		{"unregistered, repair from the future", open.id, new(label(repairSession, 7, at.Index+1)), keep},
		{"unregistered, live", open.id, nil, unknown},
		{"unregistered, live, session over", orphan.id, nil, erase},
		{"unregistered, live, session not seen yet", unborn, nil, unknown},
	} {
		e := blob.Entry{ID: c.id, Staged: c.tx != nil}
		if c.tx != nil {
			e.Tx = *c.tx
		}
		got, err := fateOf("x", state.NewView(w.truth), at, &e)
		if err != nil || got != c.want {
			t.Errorf("%s: %v, %v; want %v", c.name, got, err, c.want)
		}
	}
}

func TestLabels_RiseFromOneToTheNextAndFromTermToTerm(t *testing.T) {
	var first, second labels
	var last blob.Tx
	for i, next := range []blob.Tx{
		first.next(healSession, Position{Index: 900}, 0),
		first.next(repairSession, Position{Index: 100}, 3),
		first.next(repairSession, Position{Index: 100}, 3),
		first.next(repairSession, Position{Index: 102}, 3),
		second.next(repairSession, Position{Index: 100}, 4), // a new leader that has applied less
		second.next(repairSession, Position{Index: 101}, 4),
	} {
		if next.Succeeds(last) == false || i > 0 && last.Succeeds(next) {
			t.Errorf("label %d, %v, does not come after %v", i, next.ID, last.ID)
		}
		last = next
	}
	if l := first.next(repairSession, Position{Index: 7 << 20}, 1<<20-1); labelTerm(l) != 1<<20-1 || labelIndex(l) != 7<<20 {
		t.Errorf("label %v has term %d, index %d", l.ID, labelTerm(l), labelIndex(l))
	}
	writer := blob.Tx{ID: fs.TxID{Session: 1 << 50, Seq: math.MaxUint64}}
	heal, repair := first.next(healSession, Position{Index: 1 << 30}, 0), second.next(repairSession, Position{Index: 1}, 4)
	if writer.Succeeds(heal) || !heal.Succeeds(writer) || heal.Succeeds(repair) || !repair.Succeeds(heal) {
		t.Error("the order is not writer, heal, repair")
	}
	if !IsReserved(healSession) || !IsReserved(repairSession) || IsReserved(writer.ID.Session) {
		t.Error("IsReserved does not tell keepers' sessions from mounts'")
	}
}
