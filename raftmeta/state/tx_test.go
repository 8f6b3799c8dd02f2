package state_test

import (
	"errors"
	"reflect"
	"testing"

	"dfs/fs"
	"dfs/raftmeta/command"
	"dfs/raftmeta/state"
)

func TestTx_RepeatedGetsItsFirstAnswer(t *testing.T) {
	c := newCluster(t)
	tx := c.newTx(&fs.Create{Parent: 1, Name: "a", Ino: 2, Type: fs.TypeRegular, Time: 5})
	first := c.do(tx).Tx
	c.ok(&fs.Unlink{Parent: 1, Name: "a", Time: 6})
	before := c.digest()
	if again := c.do(tx).Tx; !reflect.DeepEqual(again, first) {
		t.Errorf("repeated: %+v, first %+v", again, first)
	}
	if c.digest() != before {
		t.Error("repeating changed the state")
	}
}

func TestTx_RefusedLeavesNothingButItsAnswer(t *testing.T) {
	c := newCluster(t)
	c.file(2, "a")
	c.store(2, 0, c.info(10))
	info := c.info(4)
	refused := c.newTx(
		&fs.Create{Parent: 1, Name: "b", Ino: 3, Type: fs.TypeDir, Time: 5},
		&fs.Setxattr{Ino: 2, Name: "user.x", Value: []byte("y"), Time: 5},
		&fs.Write{Ino: 2, Extents: []fs.Extent{{Off: 2, Len: 4, Blob: info.ID}}, Time: 5},
		&fs.Rename{Parent: 1, Name: "a", NewParent: 3, NewName: "c", Time: 5},
		&fs.Rmdir{Parent: 1, Name: "b", Time: 5})
	refused.Blobs = []fs.BlobInfo{info}
	// An Abort of the same transaction leaves an answer behind and nothing else: the yardstick.
	other := c.kv.Clone()
	r := c.do(refused).Tx
	if r.Err != fs.CodeNotEmpty || r.Failed != 4 || r.Results != nil {
		t.Fatalf("answered %+v", r)
	}
	if _, err := state.Apply(other, c.index, &command.Abort{Tx: refused.ID, Epoch: refused.Epoch}); err != nil {
		t.Fatal(err)
	}
	if got, want := withoutAnswers(t, c.kv), withoutAnswers(t, other); !reflect.DeepEqual(got, want) {
		t.Errorf("the refused transaction left\n%q\nwant\n%q", got, want)
	}
}

func withoutAnswers(t *testing.T, kv *state.Memory) (list []pair) {
	for _, p := range contents(t, kv, "!", "{", 1<<20) {
		if p.key[0] != 'r' {
			list = append(list, p)
		}
	}
	return list
}

func TestTx_OfAForeignOrEndedEpochIsFenced(t *testing.T) {
	c := newCluster(t)
	tx := c.newTx(&fs.Setattr{Ino: 1, Time: 5})
	for _, change := range []func(*command.Tx){
		func(tx *command.Tx) { tx.Epoch++ },
		func(tx *command.Tx) { tx.ID.Session++ },
	} {
		foreign := *tx
		change(&foreign)
		before := c.digest()
		if a := c.send(&foreign); a.Err != fs.CodeFenced || a.Tx != nil {
			t.Errorf("%+v: answered %+v", foreign, a)
		}
		if c.digest() != before {
			t.Error("a fenced transaction left a trace")
		}
	}
	c.do(tx)
	c.do(&command.EndSession{Session: c.s.ID, Epoch: c.s.Epoch + 1})
	if a := c.send(tx); a.Err != fs.CodeOK {
		t.Errorf("a foreign epoch ended the session: %+v", a)
	}
	c.do(&command.EndSession{Session: c.s.ID, Epoch: c.s.Epoch})
	if a := c.send(tx); a.Err != fs.CodeFenced || a.Tx != nil {
		t.Errorf("after the end: %+v", a)
	}
	if a := c.send(&command.AllocInos{Session: c.s.ID, Epoch: c.s.Epoch, N: 1}); a.Err != fs.CodeFenced {
		t.Errorf("numbers are allotted after the end: %+v", a)
	}
}

func TestTx_DoneForgetsAnswersBelowIt(t *testing.T) {
	c := newCluster(t)
	old := c.newTx(&fs.Setattr{Ino: 1, Time: 5})
	c.do(old)
	kept := c.newTx(&fs.Setattr{Ino: 1, Time: 6})
	c.do(kept)
	done := c.newTx(&fs.Unlink{Parent: 1, Name: "none"}) // refused: the promise counts all the same
	done.Done = kept.ID.Seq
	c.do(done)
	if a := c.send(old); a.Err != fs.CodeStale || a.Tx != nil {
		t.Errorf("below Done: %+v", a)
	}
	if a := c.send(&command.Abort{Tx: old.ID, Epoch: c.s.Epoch}); a.Err != fs.CodeStale {
		t.Errorf("abort below Done: %+v", a)
	}
	if a := c.send(kept); a.Tx == nil || a.Tx.Err != fs.CodeOK {
		t.Errorf("at Done: %+v", a)
	}
	far := c.newTx()
	far.Done = 1 << 60
	c.do(far)
	if a := c.send(far); a.Tx == nil || a.Tx.Err != fs.CodeOK {
		t.Errorf("a Done beyond its own number forgot the transaction's own answer: %+v", a)
	}
	if a := c.send(c.newTx()); a.Tx == nil {
		t.Errorf("a Done beyond its own number swallowed the next transaction: %+v", a)
	}
}

func TestAbort_BeforeTheCommitWins(t *testing.T) {
	c := newCluster(t)
	tx := c.newTx(&fs.Create{Parent: 1, Name: "a", Ino: 2, Type: fs.TypeRegular, Time: 5})
	abort := &command.Abort{Tx: tx.ID, Epoch: tx.Epoch}
	if a := c.do(abort); a.Tx == nil || a.Tx.Err != fs.CodeAborted {
		t.Fatalf("abort: %+v", a)
	}
	if a := c.do(tx); a.Tx == nil || a.Tx.Err != fs.CodeAborted {
		t.Errorf("the late transaction: %+v", a)
	}
	if _, err := c.view().Lookup(1, "a"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an aborted transaction made a file: %v", err)
	}
}

func TestAbort_AfterTheCommitTellsTheOutcome(t *testing.T) {
	c := newCluster(t)
	tx := c.newTx(&fs.Create{Parent: 1, Name: "a", Ino: 2, Type: fs.TypeRegular, Time: 5})
	first := c.do(tx).Tx
	if a := c.do(&command.Abort{Tx: tx.ID, Epoch: tx.Epoch}); !reflect.DeepEqual(a.Tx, first) {
		t.Errorf("abort after commit: %+v, want %+v", a.Tx, first)
	}
	if a := c.send(&command.Abort{Tx: tx.ID, Epoch: tx.Epoch + 1}); a.Err != fs.CodeFenced {
		t.Errorf("abort of a foreign epoch: %+v", a)
	}
}

func TestOutcome_FollowsTheLifeOfATransaction(t *testing.T) {
	c := newCluster(t)
	expect := func(when string, tx fs.TxID, epoch fs.Epoch, want state.Outcome) {
		t.Helper()
		if got, err := c.view().Outcome(tx, epoch); err != nil || got != want {
			t.Errorf("%s: outcome %v, %v; want %v", when, got, err, want)
		}
	}
	good, bad := c.newTx(), c.newTx(&fs.Unlink{Parent: 1, Name: "none"})
	expect("before", good.ID, c.s.Epoch, state.Undecided)
	c.do(good)
	expect("committed", good.ID, c.s.Epoch, state.Committed)
	expect("with another epoch", good.ID, c.s.Epoch+1, state.Aborted)
	c.do(bad)
	expect("refused", bad.ID, c.s.Epoch, state.Aborted)
	late := c.newTx()
	c.do(&command.Abort{Tx: late.ID, Epoch: c.s.Epoch})
	expect("aborted", late.ID, c.s.Epoch, state.Aborted)
	last := c.newTx()
	last.Done = last.ID.Seq
	c.do(last)
	expect("below Done", good.ID, c.s.Epoch, state.Forgotten)
	next := c.newTx()
	expect("of a live session", next.ID, c.s.Epoch, state.Undecided)
	future := fs.TxID{Session: c.s.ID + 1, Seq: 1}
	expect("of a session that this state has not seen open", future, 77, state.Undecided)
	c.do(&command.EndSession{Session: c.s.ID, Epoch: c.s.Epoch})
	expect("of an ended session", next.ID, c.s.Epoch, state.Forgotten)
}

// The verdict on which staged blobs are dropped: once given, no command brings the blob into the table.
func TestOutcome_DecidedWithoutABlobStaysSo(t *testing.T) {
	c := newCluster(t)
	c.file(2, "a")
	info := c.info(8)
	tx := c.newTx(&fs.Write{Ino: 2, Extents: []fs.Extent{{Len: 8, Blob: info.ID}}, Time: 5})
	tx.Blobs = []fs.BlobInfo{info}
	for name, decide := range map[string]command.Command{
		"aborted":      &command.Abort{Tx: tx.ID, Epoch: tx.Epoch},
		"fenced":       &command.EndSession{Session: c.s.ID, Epoch: c.s.Epoch, Expired: true},
		"session over": &command.EndSession{Session: c.s.ID, Epoch: c.s.Epoch},
	} {
		kv := c.kv.Clone()
		for n, cmd := range []command.Command{decide, tx, &command.OpenSession{}, tx} {
			if _, err := state.Apply(kv, c.index+1+uint64(n), cmd); err != nil {
				t.Fatal(err)
			}
		}
		if outcome, err := state.NewView(kv).Outcome(tx.ID, tx.Epoch); err != nil || outcome == state.Undecided {
			t.Errorf("%s: %v, %v", name, outcome, err)
		}
		if _, there, err := state.NewView(kv).Blob(info.ID); err != nil || there {
			t.Errorf("%s: the blob came into the table: %v", name, err)
		}
	}
}

func TestTx_BoundsAndMalformedBlobsAreRefused(t *testing.T) {
	c := newCluster(t)
	c.do(&command.PutNode{Node: fs.NodeInfo{ID: "gone"}})
	c.do(&command.RemoveNode{Node: "gone"})
	known := c.info(4)
	register := c.newTx()
	register.Blobs = []fs.BlobInfo{known}
	c.do(register)
	for name, test := range map[string]struct {
		change func(*fs.BlobInfo, *command.Tx)
		want   fs.Code
	}{
		"good":                {func(*fs.BlobInfo, *command.Tx) {}, fs.CodeOK},
		"empty":               {func(b *fs.BlobInfo, _ *command.Tx) { b.Length = 0 }, fs.CodeInvalid},
		"too long":            {func(b *fs.BlobInfo, _ *command.Tx) { b.Length = fs.BlobMax + 1 }, fs.CodeInvalid},
		"of another session":  {func(b *fs.BlobInfo, _ *command.Tx) { b.ID.Session++ }, fs.CodeInvalid},
		"without a counter":   {func(b *fs.BlobInfo, _ *command.Tx) { b.ID.Counter = 0 }, fs.CodeInvalid},
		"known already":       {func(b *fs.BlobInfo, _ *command.Tx) { b.ID = known.ID }, fs.CodeInvalid},
		"no replica":          {func(b *fs.BlobInfo, _ *command.Tx) { b.Replicas = nil }, fs.CodeInvalid},
		"one replica":         {func(b *fs.BlobInfo, _ *command.Tx) { b.Replicas = b.Replicas[:1] }, fs.CodeConflict},
		"one replica twice":   {func(b *fs.BlobInfo, _ *command.Tx) { b.Replicas = []fs.NodeID{"n1", "n1"} }, fs.CodeConflict},
		"a nameless replica":  {func(b *fs.BlobInfo, _ *command.Tx) { b.Replicas[0] = "" }, fs.CodeInvalid},
		"a removed replica":   {func(b *fs.BlobInfo, _ *command.Tx) { b.Replicas = []fs.NodeID{"n1", "gone"} }, fs.CodeConflict},
		"wanted nowhere":      {func(_ *fs.BlobInfo, tx *command.Tx) { tx.Replicas = 0 }, fs.CodeInvalid},
		"wanted everywhere":   {func(_ *fs.BlobInfo, tx *command.Tx) { tx.Replicas = 1000 }, fs.CodeInvalid},
		"too many operations": {func(_ *fs.BlobInfo, tx *command.Tx) { tx.Ops = make([]fs.Op, fs.TxOpsMax+1) }, fs.CodeTooLarge},
	} {
		info, tx := c.info(4), c.newTx(&fs.Setattr{Ino: 1, Time: 5})
		test.change(&info, tx)
		tx.Blobs = []fs.BlobInfo{info}
		r := c.do(tx).Tx
		if r.Err != test.want || r.Err != fs.CodeOK && r.Failed != len(tx.Ops) {
			t.Errorf("%s: %v at %d, want %v", name, fs.FromCode(r.Err), r.Failed, fs.FromCode(test.want))
		}
	}
	twice := c.newTx()
	twice.Blobs = []fs.BlobInfo{c.info(4)}
	twice.Blobs = append(twice.Blobs, twice.Blobs[0])
	if r := c.do(twice).Tx; r.Err != fs.CodeInvalid {
		t.Errorf("the same blob twice in one transaction: %+v", r)
	}
}

func TestCheck_FailsTheTransactionWhenTheVersionMoved(t *testing.T) {
	c := newCluster(t)
	c.file(2, "a")
	v := c.attr(2).Version
	touch := &fs.Setattr{Ino: 2, Time: 5}
	if r := c.try(&fs.Check{Ino: 2, Version: v}, touch, &fs.Check{Ino: 2, Version: v}); r.Err != fs.CodeConflict || r.Failed != 2 {
		t.Errorf("a change within the transaction went unseen: %+v", r)
	}
	if a := c.ok(&fs.Check{Ino: 2, Version: v}).Attr; a.Version != v {
		t.Errorf("checking changed the version from %d to %d", v, a.Version)
	}
	c.ok(touch)
	c.refused(fs.CodeConflict, &fs.Check{Ino: 2, Version: v})
	c.refused(fs.CodeConflict, &fs.Check{Ino: 99, Version: v})
}
