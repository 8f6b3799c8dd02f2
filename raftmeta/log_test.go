package raftmeta

import (
	"bytes"
	"errors"
	"fmt"
	iofs "io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/raft"

	"dfs/fs"
)

func openTestLog(t *testing.T, dir string) (*logStore, error) {
	t.Helper()
	return openLog(dir, &Config{Logger: slog.New(slog.DiscardHandler), segmentSize: 64 << 10}, func(error) {})
}

func mustOpenLog(t *testing.T, dir string) *logStore {
	t.Helper()
	l, err := openTestLog(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func testEntry(index uint64) *raft.Log {
	return &raft.Log{Index: index, Term: 1 + index/10, Type: raft.LogCommand, Data: bytes.Repeat([]byte{byte(index)}, 100+int(index)),
		Extensions: bytes.Repeat([]byte{7}, int(index%3)*8)}
}

func fillLog(t *testing.T, l *logStore, from, to uint64) {
	t.Helper()
	for i := from; i <= to; i += 2 {
		entries := []*raft.Log{testEntry(i)}
		if i < to {
			entries = append(entries, testEntry(i+1))
		}
		if err := l.StoreLogs(entries); err != nil {
			t.Fatal(err)
		}
	}
}

func wantEntries(l *logStore, from, to uint64) error {
	for i := from; i <= to; i++ {
		var got raft.Log
		if err := l.GetLog(i, &got); err != nil {
			return err
		}
		if want := testEntry(i); got.Term != want.Term || !bytes.Equal(got.Data, want.Data) || !bytes.Equal(got.Extensions, want.Extensions) {
			return fmt.Errorf("entry %d is not what was stored", i)
		}
	}
	return nil
}

func TestLog_KeepsEntriesAndValuesOverRestart(t *testing.T) {
	dir := t.TempDir()
	l := mustOpenLog(t, dir)
	fillLog(t, l, 1, 40)
	if err := errors.Join(wantEntries(l, 1, 40), l.SetUint64([]byte("CurrentTerm"), 9), l.Set([]byte("LastVoteCand"), []byte("x")),
		l.DeleteRange(31, 40), l.DeleteRange(1, 5), l.close()); err != nil {
		t.Fatal(err)
	}
	l = mustOpenLog(t, dir)
	defer func() { _ = l.close() }()
	if err := wantEntries(l, 6, 30); err != nil {
		t.Error(err)
	}
	var e raft.Log
	if err := l.GetLog(31, &e); !errors.Is(err, raft.ErrLogNotFound) {
		t.Errorf("an entry that was cut off: %v", err)
	}
	if term, err := l.GetUint64([]byte("CurrentTerm")); term != 9 || err != nil {
		t.Errorf("term %d %v", term, err)
	}
	if none, err := l.GetUint64([]byte("LastVoteTerm")); none != 0 || err != nil {
		t.Errorf("a value that was never set: %d %v", none, err)
	}
}

// flip changes one bit of a file.
func flip(t *testing.T, path string, at int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	var b [1]byte
	if _, err := f.ReadAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1 << (at % 8)
	if _, err := f.WriteAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// copyDir copies a directory that may be changing: files that vanish meanwhile are left out.
func copyDir(t *testing.T, from string) string {
	t.Helper()
	to := t.TempDir()
	err := filepath.WalkDir(from, func(path string, d iofs.DirEntry, err error) error {
		if errors.Is(err, iofs.ErrNotExist) {
			return nil
		}
		rel, _ := filepath.Rel(from, path) // path begins with from
		if err != nil || d.IsDir() {
			return errors.Join(err, os.MkdirAll(filepath.Join(to, rel), 0o700))
		}
		data, err := os.ReadFile(path)
		if errors.Is(err, iofs.ErrNotExist) {
			return nil
		}
		return errors.Join(err, os.WriteFile(filepath.Join(to, rel), data, 0o600))
	})
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// Whatever bit of a log is flipped, the log must be refused, or be whole: never shorter, never different.
func TestLog_AnyFlippedBitIsRefusedOrHarmless(t *testing.T) {
	dir := t.TempDir()
	l := mustOpenLog(t, dir)
	fillLog(t, l, 1, 400) // two segments and more, the last of which is the tail
	if err := l.close(); err != nil {
		t.Fatal(err)
	}
	segments, err := filepath.Glob(filepath.Join(dir, "*.wal"))
	if err != nil || len(segments) < 2 {
		t.Fatalf("%d segments, %v: too few to be a test", len(segments), err)
	}
	refused := 0
	for i := range 120 {
		work := copyDir(t, dir)
		path := filepath.Join(work, filepath.Base(segments[i%len(segments)]))
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		at := rand.Int64N(info.Size())
		flip(t, path, at)
		l, err := openTestLog(t, work)
		if err != nil {
			refused++
			if !errors.Is(err, fs.ErrCorrupt) {
				t.Errorf("byte %d of %s: refused with %v, which is not ErrCorrupt", at, filepath.Base(path), err)
			}
			continue
		}
		if err := wantEntries(l, 1, 400); err != nil {
			t.Errorf("byte %d of %s: opened, but %v", at, filepath.Base(path), err)
		}
		if err := l.close(); err != nil {
			t.Error(err)
		}
	}
	if refused < 20 {
		t.Errorf("only %d of 120 flips were noticed", refused)
	}
}

func TestLog_RefusesALostTail(t *testing.T) {
	dir := t.TempDir()
	l := mustOpenLog(t, dir)
	fillLog(t, l, 1, 11) // one segment; the last write is entry 11 alone
	if err := l.close(); err != nil {
		t.Fatal(err)
	}
	segments, _ := filepath.Glob(filepath.Join(dir, "*.wal"))
	data, err := os.ReadFile(segments[0])
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.LastIndex(data, bytes.Repeat([]byte{11}, 50))
	flip(t, segments[0], int64(at))
	if l, err := openTestLog(t, dir); !errors.Is(err, fs.ErrCorrupt) {
		last, _ := l.LastIndex()
		t.Fatalf("opened with last entry %d: %v", last, err)
	}
}

func TestLog_StableValueOfAnotherKeyIsRefused(t *testing.T) {
	l := mustOpenLog(t, t.TempDir())
	defer func() { _ = l.close() }()
	if err := l.SetUint64([]byte("CurrentTerm"), 3); err != nil {
		t.Fatal(err)
	}
	raw, err := l.wal.Get([]byte("CurrentTerm"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		bad := bytes.Clone(raw)
		bad[i] ^= 4
		if _, err := unsealValue([]byte("CurrentTerm"), bad); !errors.Is(err, fs.ErrCorrupt) {
			t.Errorf("byte %d: %v", i, err)
		}
	}
	if _, err := unsealValue([]byte("LastVoteTerm"), raw); !errors.Is(err, fs.ErrCorrupt) {
		t.Errorf("under another key: %v", err)
	}
}

func TestLog_CutOnPurposeIsNoLoss(t *testing.T) {
	dir := t.TempDir()
	l := mustOpenLog(t, dir)
	fillLog(t, l, 1, 20)
	if err := l.DeleteRange(1, 20); err != nil { // as after a snapshot was installed
		t.Fatal(err)
	}
	crashed := copyDir(t, dir)
	if err := l.close(); err != nil {
		t.Fatal(err)
	}
	l = mustOpenLog(t, crashed)
	defer func() { _ = l.close() }()
	if err := l.StoreLogs([]*raft.Log{testEntry(50)}); err != nil { // goes on behind the snapshot
		t.Fatal(err)
	}
	if err := wantEntries(l, 50, 50); err != nil {
		t.Error(err)
	}
}

func TestLog_FailureIsForGood(t *testing.T) {
	var failure error
	l, err := openLog(t.TempDir(), &Config{Logger: slog.New(slog.DiscardHandler)}, func(err error) { failure = err })
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.close() }()
	fillLog(t, l, 1, 2)
	if err := l.StoreLogs([]*raft.Log{testEntry(9)}); err == nil || failure == nil { // a gap
		t.Fatalf("a failing write: %v, told %v", err, failure)
	}
	if err := l.StoreLogs([]*raft.Log{testEntry(3)}); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("a write after a failed one: %v", err)
	}
}

func TestLogCache_IsTheLogOrNothing(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	c := newLogCache(3000)
	stored := map[uint64]uint64{} // index → term
	first, last, term := uint64(1), uint64(0), uint64(1)
	for range 5000 {
		switch rng.IntN(6) {
		case 0: // a conflicting suffix is cut
			if last > first {
				from := first + rng.Uint64N(last-first+1)
				c.drop(from, last)
				for i := from; i <= last; i++ {
					delete(stored, i)
				}
				last, term = from-1, term+1
			}
		case 1: // a prefix is compacted
			if last > first {
				to := first + rng.Uint64N(last-first)
				c.drop(first, to)
				for i := first; i <= to; i++ {
					delete(stored, i)
				}
				first = to + 1
			}
		default:
			last++
			stored[last] = term
			c.put([]*raft.Log{{Index: last, Term: term, Data: make([]byte, rng.IntN(800))}})
		}
		for i := uint64(1); i <= last+1; i++ {
			var e raft.Log
			if c.get(i, &e) && (e.Index != i || e.Term != stored[i]) {
				t.Fatalf("the cache has entry %d of term %d at %d, the log one of term %d", e.Index, e.Term, i, stored[i])
			}
		}
		if c.size > 3000 {
			t.Fatalf("%d bytes in a cache of 3000", c.size)
		}
	}
}
