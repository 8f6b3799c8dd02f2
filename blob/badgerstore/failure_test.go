package badgerstore

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"dfs/blob/blobtest"
	"dfs/fs"
)

// failing opens a store whose sync fails at step from the moment that the returned switch is set.
func failing(t *testing.T, step string) (*Store, *atomic.Bool) {
	t.Helper()
	on := new(atomic.Bool)
	cfg := testConfig(t, t.TempDir())
	cfg.Faults = func(s string) error {
		if s == step && on.Load() {
			return errors.New("input/output error")
		}
		return nil
	}
	return openStore(t, cfg), on
}

func TestFailedSync_StopsTheStoreForGood(t *testing.T) {
	for _, step := range []string{"batch.before", "batch.synced"} {
		t.Run(step, func(t *testing.T) {
			s, on := failing(t, step)
			old := fill(t, s, 1, 1, 1000)
			on.Store(true)
			if _, err := s.Stage(t.Context(), blobtest.Tx(1, 2), seeded(2, 1, 1000)); !errors.Is(err, fs.ErrUnavailable) {
				t.Fatalf("stage with a failing sync: %v", err)
			}
			on.Store(false) // the disk seems well again; it must not be believed
			for name, call := range map[string]func() error{
				"stage":   func() error { _, err := s.Stage(t.Context(), blobtest.Tx(1, 2), seeded(2, 2, 10)); return err },
				"commit":  func() error { return s.Commit(t.Context(), []fs.BlobID{old[0].ID}) },
				"delete":  func() error { return s.Delete(t.Context(), []fs.BlobID{old[0].ID}) },
				"reclaim": func() error { return s.Reclaim(t.Context()) },
			} {
				if err := call(); !errors.Is(err, fs.ErrUnavailable) {
					t.Errorf("%s afterwards: %v", name, err)
				}
			}
			select {
			case err := <-s.Failed():
				if !strings.Contains(err.Error(), "input/output error") {
					t.Errorf("failed with %v", err)
				}
			default:
				t.Error("nobody was told")
			}
			checkAll(t, s, old, 1000, all)
			if u, err := s.Usage(t.Context()); err != nil || !u.ReadOnly {
				t.Errorf("usage %+v, %v", u, err)
			}
		})
	}
}

func TestSyncFailureThatBadgerOnlyLogs_IsNoYesVote(t *testing.T) {
	s := openStore(t, testConfig(t, t.TempDir()))
	opt := s.db.Opts()
	opt.Errorf("Error while curlf sync: %v\n", errors.New("input/output error"))
	if _, err := s.Stage(t.Context(), blobtest.Tx(1, 1), seeded(1, 1, 10)); !errors.Is(err, fs.ErrUnavailable) {
		t.Fatalf("stage: %v", err)
	}
}

func TestWatcher_TakesEveryErrorForAFailureExceptThoseOfReads(t *testing.T) {
	for text, fatal := range map[string]bool{
		"Error while curlf sync: %v\n":                     true,
		"error flushing memtable to disk: %v, retrying":    true,
		"Ignoring table %s":                                true,
		"something that a later version says: %v":          true,
		"Unable to read: Key: %v, Version : %v":            false,
		"Invalid read: vp: %+v":                            true,
		"Key: %v, Version : %v, meta: %v, userMeta: %v %v": false,
	} {
		failed := false
		w := &watcher{log: slog.New(slog.DiscardHandler), fail: func(error) { failed = true }, leak: func(error) { failed = true }}
		w.Errorf(text, "x")
		if failed != fatal {
			t.Errorf("%q: failure is %v", text, failed)
		}
	}
}

// TestBadger_StillLogsAFailedSyncAsAnError reads Badger's source: that log line is the only sign of a value log that
// could not be synced. When it goes, find out what has come in its place.
func TestBadger_StillLogsAFailedSyncAsAnError(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/dgraph-io/badger/v4").Output()
	if err != nil {
		t.Skipf("no module source here: %v", err)
	}
	source, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(out)), "value.go"))
	if err != nil {
		t.Skipf("no module source here: %v", err)
	}
	for _, line := range []string{
		`vlog.opt.Errorf("Error while curlf sync: %v\n", err)`,
		`newlf, err := vlog.createVlogFile()`, // rotated files are synced in doneWriting before this
	} {
		if !strings.Contains(string(source), line) {
			t.Errorf("value.go has no line %q", line)
		}
	}
}

func TestFaultBeforeStage_IsAnsweredAndHarmless(t *testing.T) {
	s, on := failing(t, "stage.before")
	on.Store(true)
	if _, err := s.Stage(t.Context(), blobtest.Tx(1, 1), seeded(1, 1, 10)); err == nil {
		t.Fatal("no error")
	}
	on.Store(false)
	fill(t, s, 1, 1, 10)
}

func TestClosedStore_AnswersErrClosed(t *testing.T) {
	s := openStore(t, testConfig(t, t.TempDir()))
	b := seeded(1, 1, 10)
	info := b.Info(nil)
	closeStore(t, s)
	_, stage := s.Stage(t.Context(), blobtest.Tx(1, 1), b)
	_, get := s.Get(t.Context(), &info, 0, 1)
	_, list := s.List(t.Context(), fs.BlobID{}, 1)
	_, usage := s.Usage(t.Context())
	for _, err := range []error{stage, get, list, usage, s.Commit(t.Context(), []fs.BlobID{b.ID}), s.Reclaim(t.Context())} {
		if !errors.Is(err, fs.ErrClosed) {
			t.Errorf("%v, want %v", err, fs.ErrClosed)
		}
	}
	closeStore(t, s)
}

// TestClose_WaitsForCallersAndAnswersThem closes the store under load.
func TestClose_WaitsForCallersAndAnswersThem(t *testing.T) {
	for range 5 {
		s := openStore(t, testConfig(t, t.TempDir()))
		started, done := make(chan struct{}, 8), make(chan error, 8)
		for w := range uint64(8) {
			go func() {
				for i := uint64(1); ; i++ {
					b := seeded(w+1, i, 50_000)
					_, err := s.Stage(context.Background(), blobtest.Tx(1, 1), b)
					if err == nil {
						info := b.Info(nil)
						_, err = s.Get(context.Background(), &info, 0, info.Length)
					}
					if err != nil {
						done <- err
						return
					}
					if i == 2 {
						started <- struct{}{}
					}
				}
			}()
		}
		for range 8 {
			<-started
		}
		closeStore(t, s)
		for range 8 {
			if err := <-done; !errors.Is(err, fs.ErrClosed) {
				t.Errorf("%v, want %v", err, fs.ErrClosed)
			}
		}
	}
}
