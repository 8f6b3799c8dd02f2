package badgerstore

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"dfs/blob"
	"dfs/blob/blobtest"
	"dfs/fs"
)

// TestReclaimOfADamagedFile_LosesOnlyTheDamagedBlob: Badger by itself loses every blob behind a flipped bit in the file
// that it rewrites.
func TestReclaimOfADamagedFile_LosesOnlyTheDamagedBlob(t *testing.T) {
	for name, off := range map[string]int{
		"in the bytes":                     70_000,
		"in our header":                    12 - headerLen(16),
		"in Badger's copy of the key":      -headerLen(16) - versionLen - 5,
		"in Badger's checksum":             mib + 1,
		"in the header of Badger's record": -headerLen(16) - versionLen - keyLen - 1, // the expiry
	} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig(t, t.TempDir())
			cfg.ValueLogFileBytes = 8 * mib
			s := openStore(t, cfg)
			blobs := fillBy(t, s, 1, 28, mib, 1) // three files and a part
			victim := oldest(t, cfg.Dir)
			damageAt(t, cfg.Dir, victim, off)
			kept := func(i int) bool { return i%5 == 0 || blobs[i].ID == victim }
			deleteSome(t, s, blobs, func(i int) bool { return !kept(i) })
			if err := s.Reclaim(t.Context()); err != nil {
				t.Fatal(err)
			}
			if !gone(files(t, cfg.Dir, ".vlog"), "000001.vlog") {
				t.Error("the damaged file has not been reclaimed")
			}
			checkAll(t, s, blobs, mib, func(i int) bool { return kept(i) && blobs[i].ID != victim })
			b := seeded(1, victim.Counter, mib)
			rightOrCorrupt(t, s, b)
			if _, err := s.Stage(t.Context(), blobtest.Tx(1, 2), b); err != nil {
				t.Fatal(err)
			}
			checkAll(t, s, blobs, mib, kept)
		})
	}
}

func rightOrCorrupt(t *testing.T, s *Store, b *blob.Blob) {
	t.Helper()
	info := b.Info(nil)
	r, err := s.Get(t.Context(), &info, 0, info.Length)
	if err == nil {
		_, err := r.Verify(&info, 0, info.Length)
		if err != nil {
			t.Fatal(err)
		}
	} else if !errors.Is(err, fs.ErrCorrupt) {
		t.Fatalf("the damaged blob: %v", err)
	}
}

func gone(list []string, name string) bool {
	return !slices.ContainsFunc(list, func(path string) bool { return filepath.Base(path) == name })
}

// TestDamagedLengths_StopTheStore: Badger believes the lengths in its record and forgets to unlock the file when they
// turn out wrong.
func TestDamagedLengths_StopTheStore(t *testing.T) {
	for name, back := range map[string]int{"key length": 6, "value length": 5, "value length's end": 2} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig(t, t.TempDir())
			s, err := Open(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			fill(t, s, 1, 4, mib)
			b := seeded(1, 1, mib)
			damageAt(t, cfg.Dir, b.ID, -headerLen(16)-versionLen-keyLen-back)
			rightOrCorrupt(t, s, b)
			if _, err := s.Stage(t.Context(), blobtest.Tx(2, 1), seeded(2, 1, 10)); s.leaked.Load() && err == nil {
				t.Error("a store that has stopped takes a blob")
			}
			if err := s.Close(); s.leaked.Load() != errors.Is(err, fs.ErrCorrupt) {
				t.Errorf("close: %v", err)
			}
		})
	}
}

// oldest is the first blob in the first file.
func oldest(t *testing.T, dir string) fs.BlobID {
	t.Helper()
	data, err := os.ReadFile(files(t, dir, ".vlog")[0])
	if err != nil {
		t.Fatal(err)
	}
	return blobsIn(data)[1]
}

func TestFirstBad_ReadsWhatBadgerWrote(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	s := openStore(t, cfg)
	blobs := fill(t, s, 1, 40, mib)
	list := files(t, cfg.Dir, ".vlog")
	found := 0
	for _, path := range list[:len(list)-1] { // without the active one
		at, err := firstBad(path)
		if err != nil || at != -1 {
			t.Fatalf("%s: a bad record at %d, %v", filepath.Base(path), at, err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		found += len(blobsIn(data))
	}
	if found == 0 || found > len(blobs) {
		t.Fatalf("%d of %d blobs found in sealed files", found, len(blobs))
	}
	data, err := os.ReadFile(list[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int64{vlogHeader + 3, 5000, int64(len(data)) / 2, int64(len(data)) - 1} {
		path := filepath.Join(t.TempDir(), "x.vlog")
		writeFile(t, path, string(data))
		flip(t, path, at, data[at])
		if bad, err := firstBad(path); err != nil || bad < 0 || bad > at {
			t.Errorf("byte %d flipped: first bad record at %d, %v", at, bad, err)
		}
	}
	short := filepath.Join(t.TempDir(), "short.vlog")
	writeFile(t, short, string(data[:len(data)-7]))
	if bad, err := firstBad(short); err != nil || bad < 0 {
		t.Errorf("a file cut short: first bad record at %d, %v", bad, err)
	}
}

func TestNextToCollect_IsTheFileThatBadgerTakes(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	s := openStore(t, cfg)
	blobs := fill(t, s, 1, 80, mib)
	deleteSome(t, s, blobs, func(i int) bool { return i%3 > 0 })
	if err := s.submit(t.Context(), &job{alone: s.flush}); err != nil {
		t.Fatal(err)
	}
	next, err := s.nextToCollect()
	if err != nil || next == "" {
		t.Fatalf("next is %q, %v", next, err)
	}
	if err := s.collectOne(0.5); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(next); err == nil {
		t.Fatalf("Badger has taken another file than %s", filepath.Base(next))
	}
}
