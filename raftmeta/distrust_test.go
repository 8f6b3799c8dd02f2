package raftmeta

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/raft"

	"dfs/fs"
	"dfs/raftmeta/state"
)

// tallyOf counts a snapshot anew.
func tallyOf(t *testing.T, s *snapshot) (seen tally) {
	t.Helper()
	r := s.reader
	r.seen = &seen
	if err := r.Scan([]byte(keysFrom), []byte(keysTo), func(_, _ []byte) bool { return true }); err != nil {
		t.Fatal(err)
	}
	return seen
}

const damageKeys = 2000

// tabledState is an open state whose keys lie in a table of many blocks, and what it has told the node.
func tabledState(t *testing.T) (s *stateDB, table string, failure *error) {
	t.Helper()
	s, _ = openTestDB(t, t.TempDir(), "b")
	o := state.NewOverlay(state.NewMemory())
	for i := range damageKeys {
		if err := o.Set(fmt.Appendf(nil, "k%06d", i), fmt.Appendf(nil, "value-%06d-%0200d", i, 0)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(s.write(o, position{5, 1}), s.close()); err != nil {
		t.Fatal(err)
	}
	failure = new(error)
	s, fresh, err := openStateDB(s.dir, dbConfig("b"), func(err error) { *failure = err })
	if err != nil || fresh {
		t.Fatalf("fresh %v, %v", fresh, err)
	}
	tables, err := filepath.Glob(filepath.Join(s.dir, s.live.name, "*.sst"))
	if err != nil || len(tables) != 1 {
		t.Fatalf("tables %v, %v", tables, err)
	}
	return s, tables[0], failure
}

func flipBehind(t *testing.T, path, text string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(content, []byte(text))
	if at < 0 {
		t.Fatalf("%q is not in the table", text)
	}
	at += len(text) + 20
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt([]byte{content[at] ^ 1}, int64(at))
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

// write puts bytes under a key behind the state's back; nil removes it.
func forge(t *testing.T, s *stateDB, key string, sealed []byte) {
	t.Helper()
	txn := s.live.db.NewTransactionAt(s.applied(), true)
	err := txn.Delete(stateKey([]byte(key)))
	if sealed != nil {
		err = txn.Set(stateKey([]byte(key)), sealed)
	}
	if err := errors.Join(err, txn.CommitAt(s.applied(), nil)); err != nil {
		t.Fatal(err)
	}
}

// checkDistrusted closes the state and finds that the node was stopped, without the advice to remove anything, and that
// the state begins anew.
func checkDistrusted(t *testing.T, s *stateDB, failure error) {
	t.Helper()
	if failure == nil || errors.Is(failure, fs.ErrCorrupt) || !strings.Contains(failure.Error(), "start the node again") {
		t.Errorf("the node was told %v", failure)
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	cur, err := readCurrent(s.dir)
	if err != nil || cur.Phase != phaseDamaged {
		t.Errorf("CURRENT is %+v, %v", cur, err)
	}
	r, fresh := openTestDB(t, s.dir, "b")
	if !fresh {
		t.Error("a damaged state is trusted after a restart")
	}
	if err := r.close(); err != nil {
		t.Error(err)
	}
}

func TestStateDB_FlippedBitInAClosedStateIsRebuilt(t *testing.T) {
	s, table, _ := tabledState(t)
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	flipBehind(t, table, "value-000100-")
	r, fresh := openTestDB(t, s.dir, "b")
	if !fresh {
		t.Error("the state is trusted")
	}
	if err := r.close(); err != nil {
		t.Error(err)
	}
}

func TestStateDB_ValueThatDoesNotMatchItsChecksumIsDistrusted(t *testing.T) {
	good := sealValue(stateKey([]byte("k000007")), []byte("x"))
	bad := bytes.Clone(good)
	bad[0] ^= 1
	for name, sealed := range map[string][]byte{"flipped": bad, "another key's": sealValue(stateKey([]byte("k000008")), []byte("x")), "short": {1, 2}} {
		for way, read := range map[string]func(*stateDB, *snapshot) error{
			"get": func(_ *stateDB, s *snapshot) error { _, err := s.reader.Get([]byte("k000007")); return err },
			"scan": func(_ *stateDB, s *snapshot) error {
				return s.reader.Scan([]byte("k"), []byte("l"), func(_, _ []byte) bool { return true })
			},
			"write": func(db *stateDB, _ *snapshot) error {
				o := state.NewOverlay(state.NewMemory())
				return errors.Join(o.Set([]byte("k000007"), []byte("y")), db.write(o, position{6, 1}))
			},
		} {
			t.Run(name+", "+way, func(t *testing.T) {
				s, _, failure := tabledState(t)
				forge(t, s, "k000007", sealed)
				snap, err := s.read()
				if err != nil {
					t.Fatal(err)
				}
				if err := read(s, snap); !errors.Is(err, fs.ErrCorrupt) {
					t.Errorf("%v", err)
				}
				snap.close()
				checkDistrusted(t, s, *failure)
			})
		}
	}
}

func TestSnapshot_IsRefusedOfADamagedState(t *testing.T) {
	stale := sealValue(stateKey([]byte("k000007")), []byte("older"))
	for name, damage := range map[string]func(s *stateDB, table string){
		"a block":     func(_ *stateDB, table string) { flipBehind(t, table, "value-000100-") },
		"a lost key":  func(s *stateDB, _ string) { forge(t, s, "k000007", nil) },
		"a stale key": func(s *stateDB, _ string) { forge(t, s, "k000007", stale) },
		"a ghost":     func(s *stateDB, _ string) { forge(t, s, "zzz", sealValue(stateKey([]byte("zzz")), []byte("x"))) },
	} {
		t.Run(name, func(t *testing.T) {
			s, table, failure := tabledState(t)
			f, _ := newTestFSM(t, s)
			f.handed = s.applied()
			persist := func() error {
				snap, err := f.Snapshot()
				if err != nil {
					t.Fatal(err)
				}
				defer snap.Release()
				return snap.Persist(discardSink{io.Discard})
			}
			if err := persist(); err != nil {
				t.Fatalf("while it is sound: %v", err)
			}
			damage(s, table)
			if err := persist(); !errors.Is(err, fs.ErrCorrupt) {
				t.Errorf("%v", err)
			}
			checkDistrusted(t, s, *failure)
		})
	}
}

type discardSink struct{ io.Writer }

func (discardSink) Close() error  { return nil }
func (discardSink) ID() string    { return "" }
func (discardSink) Cancel() error { return nil }

var _ raft.SnapshotSink = discardSink{}

func TestStateDB_CollectFindsADamagedBlock(t *testing.T) {
	s, table, failure := tabledState(t)
	if err := s.collect(); err != nil {
		t.Fatal(err)
	}
	flipBehind(t, table, "value-000100-")
	if err := s.collect(); !errors.Is(err, fs.ErrCorrupt) {
		t.Errorf("%v", err)
	}
	checkDistrusted(t, s, *failure)
}

func TestStateDB_ErrorThatBadgerOnlyLogsIsDistrusted(t *testing.T) {
	s, _, failure := tabledState(t)
	opt := s.live.db.Opts()
	opt.Errorf("error flushing memtable to disk: %v, retrying", errors.New("input/output error"))
	checkDistrusted(t, s, *failure)
}

// The tally of a restored state, and of one written in pieces, is that of its content.
func TestTally_FollowsEveryWayToWrite(t *testing.T) {
	s, _, _ := tabledState(t)
	defer func() { _ = s.close() }()
	next, _, err := s.restoreDump(dumpOf(t, testMemory(t, 100), position{9, 2}), nil)
	if err == nil {
		err = s.replace(next)
	}
	if err != nil {
		t.Fatal(err)
	}
	o := state.NewOverlay(state.NewMemory())
	keys := int(s.live.db.MaxBatchCount()) * 2
	for i := range keys {
		if err := o.Set(fmt.Appendf(nil, "k%06d", i), []byte("v")); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(o.Delete([]byte("k000003")), o.Delete([]byte("none")), s.write(o, position{10, 2})); err != nil {
		t.Fatal(err)
	}
	snap, err := s.read()
	if err != nil {
		t.Fatal(err)
	}
	defer snap.close()
	if seen := tallyOf(t, snap); seen != snap.tally || seen.keys != uint64(keys-1) {
		t.Errorf("the state has the tally %v and not %v; %d keys were written", seen, snap.tally, keys)
	}
}

func TestDamagedState_StopsTheNodeAndARestartMendsIt(t *testing.T) {
	c := newCluster(t, 3, nil)
	s := c.session()
	for i := range 20 {
		c.must(c.leader(), s.tx(s.create(fmt.Sprint("f", i))))
	}
	c.converge()
	n := c.follower()
	var keys []string
	err := n.local(func(s *snapshot) error {
		return s.reader.Scan([]byte(keysFrom), []byte(keysTo), func(key, _ []byte) bool {
			keys = append(keys, string(key))
			return true
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		forge(t, n.db, k, []byte("other bytes"))
	}
	c.must(c.leader(), s.tx(s.create("another"))) // the follower meets the damage when it applies this
	if err := <-n.Failed(); errors.Is(err, fs.ErrCorrupt) || strings.Contains(err.Error(), "remove") {
		t.Errorf("the node says %v", err)
	}
	c.stop(n.cfg.ID)
	c.start(n.cfg.ID)
	c.must(c.leader(), s.tx(s.create("one more")))
	c.converge()
}
