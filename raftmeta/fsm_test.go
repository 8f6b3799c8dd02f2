package raftmeta

import (
	"errors"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/hashicorp/raft"

	"dfs/fs"
	"dfs/raftmeta/changes"
	"dfs/raftmeta/command"
	"dfs/raftmeta/state"
	"dfs/raftmeta/state/statetest"
)

func newTestFSM(t *testing.T, s *stateDB) (*fsm, *error) {
	t.Helper()
	var failure error
	return &fsm{db: s, progress: newProgress(), fail: func(err error) { failure = err },
		decided: func(uint64, command.Command, *state.Answer) {}, restored: func() {}, trace: newTracing(changes.NewFeed(), slog.New(slog.DiscardHandler))}, &failure
}

func entryOf(index uint64, cmds ...command.Command) *raft.Log {
	var b command.Batch
	for _, c := range cmds {
		b = append(b, command.Encode(c))
	}
	return &raft.Log{Index: index, Term: 1, Type: raft.LogCommand, Data: command.EncodeBatch(b)}
}

// The state machine must give the same answers and the same state on Badger, however the log is cut into batches and groups,
// and over restarts, as it does on a sorted map.
func TestFSM_OnBadgerEqualsOnMemory(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	gen := statetest.NewGenerator(rng.IntN)
	memory := state.NewMemory()
	s, _ := openTestDB(t, t.TempDir(), "b")
	f, failure := newTestFSM(t, s)
	var logs []*raft.Log
	var want []state.Answer
	index := uint64(0)
	for range 250 {
		index++
		var cmds []command.Command
		for range 1 + rng.IntN(6) {
			cmd := gen.Next()
			answer, err := state.Apply(memory, index, cmd)
			if err != nil {
				t.Fatal(err)
			}
			gen.Observe(cmd, answer)
			cmds, want = append(cmds, cmd), append(want, answer)
		}
		logs = append(logs, entryOf(index, cmds...))
		if rng.IntN(4) == 0 {
			index++
			logs = append(logs, &raft.Log{Index: index, Term: 1, Type: raft.LogConfiguration})
		}
	}
	var got []state.Answer
	for len(logs) > 0 {
		n := min(1+rng.IntN(20), len(logs))
		for _, r := range f.ApplyBatch(logs[:n]) {
			a := r.(*applied)
			if a.err != nil {
				t.Fatal(a.err)
			}
			got = append(got, a.answers...)
		}
		logs = logs[n:]
		if rng.IntN(10) == 0 { // a restart
			if err := s.close(); err != nil {
				t.Fatal(err)
			}
			s, _ = openTestDB(t, s.dir, "b")
			f.db = s
		}
	}
	defer func() { _ = s.close() }()
	if *failure != nil || len(got) != len(want) {
		t.Fatalf("%d answers, want %d; failure %v", len(got), len(want), *failure)
	}
	for i := range want {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Fatalf("answer %d: %+v, want %+v", i, got[i], want[i])
		}
	}
	snap, err := s.read()
	if err != nil {
		t.Fatal(err)
	}
	defer snap.close()
	wantDigest, _ := state.Digest(memory)
	if d, err := state.Digest(snap.reader); d != wantDigest || err != nil {
		t.Errorf("the digests differ (%v)", err)
	}
	if seen := tallyOf(t, snap); seen != snap.tally {
		t.Errorf("the state has the tally %v and not %v", seen, snap.tally)
	}
	if at, _ := f.progress.now(); at != index {
		t.Errorf("applied up to %d of %d", at, index)
	}
}

func TestFSM_SkipsWhatTheDatabaseHasApplied(t *testing.T) {
	s, _ := openTestDB(t, t.TempDir(), "b")
	f, _ := newTestFSM(t, s)
	init := testInit()
	logs := []*raft.Log{entryOf(1, &init), entryOf(2, &command.OpenSession{}), entryOf(3, &command.OpenSession{})}
	f.ApplyBatch(logs)
	f.ApplyBatch(logs) // as when the log is replayed after a restart
	sessions, nextAnswer := 0, f.ApplyBatch([]*raft.Log{entryOf(4, &command.OpenSession{})})[0].(*applied)
	snap, err := s.read()
	if err != nil {
		t.Fatal(err)
	}
	list, err := snap.Sessions()
	sessions = len(list)
	snap.close()
	if err != nil || sessions != 3 || nextAnswer.answers[0].Session.ID != 3 {
		t.Errorf("%d sessions after three were opened, the last is %d, %v", sessions, nextAnswer.answers[0].Session.ID, err)
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
}

func TestFSM_StopsAtWhatItDoesNotKnow(t *testing.T) {
	newer := []byte{2, 0}
	for name, bad := range map[string]*raft.Log{
		"batch version":  {Index: 2, Term: 1, Type: raft.LogCommand, Data: newer},
		"command kind":   {Index: 2, Term: 1, Type: raft.LogCommand, Data: command.EncodeBatch(command.Batch{{0x7f}})},
		"rubbish":        {Index: 2, Term: 1, Type: raft.LogCommand, Data: command.EncodeBatch(command.Batch{{1, 2, 3}})},
		"operation kind": {Index: 2, Term: 1, Type: raft.LogCommand, Data: command.EncodeBatch(command.Batch{{1, 1, 1, 1, 1, 1, 0x7f}})},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := openTestDB(t, t.TempDir(), "b")
			defer func() { _ = s.close() }()
			f, failure := newTestFSM(t, s)
			init := testInit()
			responses := f.ApplyBatch([]*raft.Log{entryOf(1, &init), bad, entryOf(3, &command.OpenSession{})})
			if *failure == nil {
				t.Fatal("the node was not stopped")
			}
			if err := responses[2].(*applied).err; err == nil {
				t.Error("an entry behind the unknown one was applied")
			}
			if r := f.ApplyBatch([]*raft.Log{entryOf(4, &command.OpenSession{})})[0].(*applied); r.err == nil {
				t.Error("a later batch was applied")
			}
			if s.applied() >= 2 {
				t.Errorf("the database says that it has applied %d", s.applied())
			}
			if _, err := f.Snapshot(); err == nil {
				t.Error("a snapshot can be taken of a state with a hole")
			}
		})
	}
}

func TestFSM_RefusesABatchOfAnotherTerm(t *testing.T) {
	s, _ := openTestDB(t, t.TempDir(), "b")
	defer func() { _ = s.close() }()
	f, failure := newTestFSM(t, s)
	init := testInit()
	late := entryOf(2, &command.OpenSession{})
	late.Extensions = be64(8)
	late.Term = 9
	r := f.ApplyBatch([]*raft.Log{entryOf(1, &init), late})
	if a := r[1].(*applied); a.err != nil || a.answers[0].Err != fs.CodeUnavailable || *failure != nil {
		t.Errorf("a batch made for term 8 in term 9: %+v", a)
	}
	late.Index, late.Term = 3, 8
	if a := f.ApplyBatch([]*raft.Log{late})[0].(*applied); a.answers[0].Err != fs.CodeOK {
		t.Errorf("a batch in its own term: %+v", a)
	}
}

func TestFSM_StoreFailureStopsTheNode(t *testing.T) {
	errDisk := errors.New("disk")
	s, _ := openTestDB(t, t.TempDir(), "b")
	defer func() { _ = s.close() }()
	f, failure := newTestFSM(t, s)
	f.faults = func(step string) error {
		if step == "apply.before" {
			return errDisk
		}
		return nil
	}
	init := testInit()
	r := f.ApplyBatch([]*raft.Log{entryOf(1, &init)})[0].(*applied)
	if !errors.Is(*failure, errDisk) || !errors.Is(r.err, errDisk) || s.applied() != 0 {
		t.Errorf("failure %v, answer %v, applied %d", *failure, r.err, s.applied())
	}
}

// The largest transaction that the limits allow must go through, by the way of several database transactions.
func TestFSM_AppliesTheLargestTransaction(t *testing.T) {
	s, _ := openTestDB(t, t.TempDir(), "b") // a table of 1 MiB takes 150 KiB in a transaction
	defer func() { _ = s.close() }()
	f, _ := newTestFSM(t, s)
	init := testInit()
	open := f.ApplyBatch([]*raft.Log{entryOf(1, &init), entryOf(2, &command.OpenSession{})})[1].(*applied).answers[0].Session
	inos := f.ApplyBatch([]*raft.Log{entryOf(3, &command.AllocInos{Session: open.ID, Epoch: open.Epoch, N: 5000})})[0].(*applied).answers[0].Inos
	tx := &command.Tx{Tx: fs.Tx{ID: fs.TxID{Session: open.ID, Seq: 1}, Epoch: open.Epoch, Done: 1, Replicas: 3}}
	names := make([]byte, 200)
	for i := range names {
		names[i] = 'x'
	}
	for i := range fs.TxOpsMax {
		tx.Ops = append(tx.Ops, &fs.Create{Parent: fs.RootIno, Name: string(names) + string(rune(0x4e00+i)), Ino: inos.From + fs.Ino(i),
			Type: fs.TypeRegular, Mode: 0o644, Time: 1})
	}
	a := f.ApplyBatch([]*raft.Log{entryOf(4, tx)})[0].(*applied)
	if a.err != nil || a.answers[0].Tx == nil || a.answers[0].Tx.Err != fs.CodeOK {
		t.Fatalf("%+v", a)
	}
	snap, err := s.read()
	if err != nil {
		t.Fatal(err)
	}
	defer snap.close()
	if stats, err := snap.Stats(); stats.Inodes != fs.TxOpsMax+1 || err != nil {
		t.Errorf("%d inodes, %v", stats.Inodes, err)
	}
}
