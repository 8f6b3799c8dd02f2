package raftmeta

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"dfs/fs"
	"dfs/raftmeta/state"
)

func dbConfig(boot string) *Config {
	return &Config{Logger: slog.New(slog.DiscardHandler), bootID: boot, stateTableSize: 1 << 20}
}

func openTestDB(t *testing.T, dir, boot string) (*stateDB, bool) {
	t.Helper()
	s, fresh, err := openStateDB(dir, dbConfig(boot), func(error) {})
	if err != nil {
		t.Fatal(err)
	}
	return s, fresh
}

// put writes one key at an index.
func put(t *testing.T, s *stateDB, index uint64, key, value string) {
	t.Helper()
	o := state.NewOverlay(state.NewMemory())
	if err := errors.Join(o.Set([]byte(key), []byte(value)), s.write(o, position{index, 1})); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, s *stateDB, key string) string {
	t.Helper()
	snap, err := s.read()
	if err != nil {
		t.Fatal(err)
	}
	defer snap.close()
	v, err := snap.reader.Get([]byte(key))
	if err != nil {
		t.Fatal(err)
	}
	return string(v)
}

// crash copies the directory as it is, as if the process had been killed.
func crash(t *testing.T, s *stateDB) string {
	t.Helper()
	dir := copyDir(t, s.dir)
	locks, err := filepath.Glob(filepath.Join(dir, "*", "LOCK"))
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range locks {
		if err := os.Remove(l); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestStateDB_IsTrustedAfterACleanCloseAndWithinOneBoot(t *testing.T) {
	s, fresh := openTestDB(t, t.TempDir(), "boot-1")
	if !fresh {
		t.Error("a new state is not fresh")
	}
	put(t, s, 5, "a", "1")
	crashed := crash(t, s)
	for _, c := range []struct {
		boot    string
		trusted bool
	}{{"boot-1", true}, {"boot-2", false}} {
		r, fresh := openTestDB(t, copyDir(t, crashed), c.boot)
		if fresh == c.trusted {
			t.Errorf("after a crash, boot %s: fresh is %v", c.boot, fresh)
		}
		if want := map[bool]string{true: "1", false: ""}[c.trusted]; get(t, r, "a") != want {
			t.Errorf("boot %s: a is %q, not %q", c.boot, get(t, r, "a"), want)
		}
		if err := r.close(); err != nil {
			t.Error(err)
		}
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	r, fresh := openTestDB(t, s.dir, "boot-2")
	if fresh || get(t, r, "a") != "1" || r.applied() != 5 {
		t.Errorf("after a clean close and a boot: fresh %v, a %q, applied %d", fresh, get(t, r, "a"), r.applied())
	}
	if err := r.close(); err != nil {
		t.Error(err)
	}
}

func TestStateDB_UnreadableCurrentIsRebuilt(t *testing.T) {
	s, _ := openTestDB(t, t.TempDir(), "b")
	put(t, s, 5, "a", "1")
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "{", `{"Format":1,"Name":"../x","Phase":"closed"}`} {
		if err := os.WriteFile(filepath.Join(s.dir, currentFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r, fresh := openTestDB(t, s.dir, "b")
		if !fresh || r.applied() != 0 {
			t.Errorf("CURRENT %q was trusted", text)
		}
		if err := r.close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A change that is too big for one transaction of the database is still seen whole or not at all, by readers and after a
// crash.
func TestStateDB_LargeChangeIsAllOrNothing(t *testing.T) {
	s, _ := openTestDB(t, t.TempDir(), "b")
	defer func() { _ = s.close() }()
	put(t, s, 1, "k0000000", "old")
	before, err := s.read()
	if err != nil {
		t.Fatal(err)
	}
	defer before.close()
	o := state.NewOverlay(state.NewMemory())
	keys := int(s.live.db.MaxBatchCount()) * 3
	for i := range keys {
		if err := o.Set(fmt.Appendf(nil, "k%07d", i), []byte("new")); err != nil {
			t.Fatal(err)
		}
	}
	var torn string
	w := s.batch(s.live, position{2, 1})
	if err := o.Flush(w); err != nil {
		t.Fatal(err)
	}
	if !w.torn {
		t.Fatal("the change did fit: the test tests nothing")
	}
	if get(t, s, "k0000000") != "old" || get(t, s, "k0000005") != "" {
		t.Error("a reader sees a part of the change")
	}
	torn = crash(t, s)
	if err := w.commit(); err != nil {
		t.Fatal(err)
	}
	if err := s.name(s.live, phaseOpen); err != nil {
		t.Fatal(err)
	}
	s.published(s.live, w.to)
	if get(t, s, "k0000000") != "new" || get(t, s, fmt.Sprintf("k%07d", keys-1)) != "new" {
		t.Error("the change is not there")
	}
	if v, _ := before.reader.Get([]byte("k0000000")); string(v) != "old" {
		t.Errorf("an older snapshot sees %q", v)
	}
	r, fresh := openTestDB(t, torn, "b")
	defer func() { _ = r.close() }()
	if !fresh {
		t.Error("a torn state was trusted")
	}
}

func TestStateDB_WriteSplitsByItself(t *testing.T) {
	s, _ := openTestDB(t, t.TempDir(), "b")
	defer func() { _ = s.close() }()
	o := state.NewOverlay(state.NewMemory())
	keys := int(s.live.db.MaxBatchCount()) * 2
	for i := range keys {
		if err := o.Set(fmt.Appendf(nil, "k%07d", i), []byte("v")); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.write(o, position{3, 1}); err != nil {
		t.Fatal(err)
	}
	if get(t, s, fmt.Sprintf("k%07d", keys-1)) != "v" || s.applied() != 3 {
		t.Error("the change is not there")
	}
	cur, err := readCurrent(s.dir)
	if err != nil || cur.Phase != phaseOpen {
		t.Errorf("afterwards: %+v %v", cur, err)
	}
}

func dumpOf(t *testing.T, m state.Reader, at position) io.Reader {
	t.Helper()
	var buf bytes.Buffer
	if err := writeDump(&buf, m, at); err != nil {
		t.Fatal(err)
	}
	return &buf
}

func TestStateDB_RestoreIsAtomic(t *testing.T) {
	errStop := errors.New("stop")
	for _, step := range []string{"restore.pair", "restore.filled", ""} {
		s, _ := openTestDB(t, t.TempDir(), "b")
		put(t, s, 5, "old", "1")
		var crashed string
		faults := func(at string) error {
			if at == step {
				crashed = crash(t, s)
				return errStop
			}
			return nil
		}
		next, _, err := s.restoreDump(dumpOf(t, testMemory(t, 100), position{9, 2}), faults)
		if step == "" {
			if err == nil {
				err = s.replace(next)
			}
			crashed = crash(t, s)
		}
		if (err != nil) != (step != "") {
			t.Fatalf("%s: %v", step, err)
		}
		for _, db := range []*stateDB{s, mustReopen(t, crashed)} {
			done := step == ""
			if (get(t, db, "old") == "1") == done || (get(t, db, "k000005") != "") != done {
				t.Errorf("stopped at %q: neither the old state nor the new one", step)
			}
			if names, _ := db.names(); len(names) > 2 {
				t.Errorf("remains: %v", names)
			}
			if err := db.close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func mustReopen(t *testing.T, dir string) *stateDB {
	s, fresh := openTestDB(t, dir, "b")
	if fresh {
		t.Error("the state begins anew")
	}
	return s
}

func TestStateDB_ReadersKeepTheirSnapshotOverAReplacement(t *testing.T) {
	s, _ := openTestDB(t, t.TempDir(), "b")
	put(t, s, 5, "old", "1")
	snap, err := s.read()
	if err != nil {
		t.Fatal(err)
	}
	next, _, err := s.restoreDump(dumpOf(t, testMemory(t, 3), position{9, 2}), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.replace(next); err != nil {
		t.Fatal(err)
	}
	if v, err := snap.reader.Get([]byte("old")); string(v) != "1" || err != nil {
		t.Errorf("the old snapshot: %q %v", v, err)
	}
	if get(t, s, "k000001") == "" {
		t.Error("the new state is not there")
	}
	snap.close()
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	if names, _ := s.names(); len(names) != 1 {
		t.Errorf("the old database is still there: %v", names)
	}
	if _, err := s.read(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("a read after close: %v", err)
	}
}

// Versions that nobody can read any more must go: a key that is written again and again must not fill the disk.
func TestStateDB_ForgetsOldVersions(t *testing.T) {
	s, _ := openTestDB(t, t.TempDir(), "b")
	value := string(bytes.Repeat([]byte("x"), 4000))
	for i := range uint64(6000) { // 24 MB of versions
		put(t, s, i+1, "counter", value)
	}
	if err := s.live.db.Flatten(1); err != nil {
		t.Fatal(err)
	}
	lsm, vlog := int64(0), int64(0)
	for _, table := range s.live.db.Tables() {
		lsm += int64(table.OnDiskSize)
	}
	if lsm+vlog > 4<<20 {
		t.Errorf("%d bytes are kept of a single key of 4000", lsm)
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
}

// … but not those that somebody still reads.
func TestStateDB_KeepsVersionsThatAreBeingRead(t *testing.T) {
	s, _ := openTestDB(t, t.TempDir(), "b")
	put(t, s, 1, "counter", "first")
	snap, err := s.read()
	if err != nil {
		t.Fatal(err)
	}
	value := string(bytes.Repeat([]byte("x"), 4000))
	for i := range uint64(3000) {
		put(t, s, i+2, "counter", value)
	}
	if err := s.live.db.Flatten(1); err != nil {
		t.Fatal(err)
	}
	if v, err := snap.reader.Get([]byte("counter")); string(v) != "first" || err != nil {
		t.Errorf("an open snapshot reads %.10q, %v", v, err)
	}
	snap.close()
	if err := s.close(); err != nil {
		t.Error(err)
	}
}
