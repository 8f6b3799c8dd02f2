package badgerstore

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"dfs/blob/blobtest"
	"dfs/fs"
)

// files are the store's files with a suffix, oldest first.
func files(t *testing.T, dir, suffix string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, badgerDir, "*"+suffix))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestFlippedByteOnDisk_IsCorruptAfterReopening(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	s := openStore(t, cfg)
	b, other := seeded(1, 1, 300_000), seeded(1, 2, 300_000)
	for _, x := range []uint64{1, 2} {
		if _, err := s.Stage(t.Context(), blobtest.Tx(1, 1), seeded(1, x, 300_000)); err != nil {
			t.Fatal(err)
		}
	}
	closeStore(t, s)
	damage(t, cfg.Dir, b.ID, 200_000)
	s = openStore(t, cfg)
	info := b.Info(nil)
	if _, err := s.Get(t.Context(), &info, 0, info.Length); !errors.Is(err, fs.ErrCorrupt) {
		t.Fatalf("the damaged blob: %v", err)
	}
	// Badger cuts its last value-log file at the first damaged record when it opens, and what came after is gone: that
	// must be said as well, and never answered with other bytes.
	info = other.Info(nil)
	if r, err := s.Get(t.Context(), &info, 0, info.Length); err == nil {
		if _, err := r.Verify(&info, 0, info.Length); err != nil {
			t.Fatal(err)
		}
	} else if !errors.Is(err, fs.ErrCorrupt) {
		t.Fatalf("the blob behind it: %v", err)
	}
	if list, err := s.List(t.Context(), fs.BlobID{}, 10); err != nil || len(list) != 2 {
		t.Fatalf("list: %v, %v; both blobs must be listed, so that a scrub finds them", list, err)
	}
}

// TestFlippedByteAnywhere_NeverYieldsOtherBytes damages each file of a closed store in many places, one at a time.
func TestFlippedByteAnywhere_NeverYieldsOtherBytes(t *testing.T) {
	for _, suffix := range []string{".sst", ".vlog", "MANIFEST"} {
		t.Run(suffix, func(t *testing.T) {
			cfg := testConfig(t, t.TempDir())
			s := openStore(t, cfg)
			fill(t, s, 1, 20, 40_000)
			closeStore(t, s)
			refused, lost := 0, 0
			for _, path := range files(t, cfg.Dir, suffix) {
				data, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				for at := 0; at < len(data); at += max(1, len(data)/12) {
					trial := testConfig(t, copyOf(t, cfg.Dir))
					flip(t, filepath.Join(trial.Dir, badgerDir, filepath.Base(path)), int64(at), data[at])
					opened, missing := survey(t, trial, 20, 40_000)
					if !opened {
						refused++
					}
					lost += missing
				}
			}
			t.Logf("%s: %d times refused, %d blobs reported lost or corrupt", suffix, refused, lost)
		})
	}
}

// survey opens the store and reads every blob: each must be right or reported.
func survey(t *testing.T, cfg Config, n, size int) (opened bool, missing int) {
	t.Helper()
	s, err := Open(t.Context(), cfg)
	if err != nil {
		t.Logf("refused: %v", err)
		return false, 0
	}
	defer closeStore(t, s)
	for i := range uint64(n) {
		b := seeded(1, i+1, size)
		info := b.Info(nil)
		r, err := s.Get(t.Context(), &info, 0, info.Length)
		if err != nil {
			if !errors.Is(err, fs.ErrCorrupt) && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("blob %s: %v", b.ID, err)
			}
			missing++
			continue
		}
		if _, err := r.Verify(&info, 0, info.Length); err != nil {
			t.Error(err)
		}
	}
	return true, missing
}

func copyOf(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

func TestIndexTableDamaged_RefusesToOpen(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	s := openStore(t, cfg)
	fill(t, s, 1, 20, 4000)
	closeStore(t, s)
	tables := files(t, cfg.Dir, ".sst")
	if len(tables) == 0 {
		t.Fatal("no table after a clean close")
	}
	data, err := os.ReadFile(tables[0])
	if err != nil {
		t.Fatal(err)
	}
	flip(t, tables[0], 100, data[100])
	if s, err := Open(t.Context(), cfg); !errors.Is(err, fs.ErrCorrupt) {
		if err == nil {
			closeStore(t, s)
		}
		t.Fatalf("open: %v, want %v", err, fs.ErrCorrupt)
	}
}

// TestUnreadableSector_IsCorruptAndNotTheEnd: the kernel reports it as a fault on the mapped memory, and so it does a
// file that has become too short, which is easier to make.
func TestUnreadableSector_IsCorruptAndNotTheEnd(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	s, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	fill(t, s, 1, 40, mib) // more than one file
	first := files(t, cfg.Dir, ".vlog")[0]
	if err := os.Truncate(first, 4096); err != nil {
		t.Fatal(err)
	}
	corrupt := 0
	for i := range uint64(40) {
		b := seeded(1, i+1, mib)
		info := b.Info(nil)
		_, err := s.Get(t.Context(), &info, 0, info.Length)
		if errors.Is(err, fs.ErrCorrupt) {
			corrupt++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if corrupt == 0 || corrupt == 40 {
		t.Fatalf("%d of 40 blobs are corrupt", corrupt)
	}
	select {
	case err := <-s.Failed():
		if !errors.Is(err, fs.ErrCorrupt) {
			t.Errorf("failed with %v", err)
		}
	default:
		t.Error("the store has not stopped")
	}
	if _, err := s.Stage(t.Context(), blobtest.Tx(2, 1), seeded(2, 1, 10)); err == nil {
		t.Error("a store that has stopped takes a blob")
	}
	if err := s.Close(); !errors.Is(err, fs.ErrCorrupt) {
		t.Errorf("close: %v", err)
	}
}
