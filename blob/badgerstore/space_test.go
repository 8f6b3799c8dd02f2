package badgerstore

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"dfs/blob"
	"dfs/blob/blobtest"
	"dfs/fs"
)

// smallDisk mounts a filesystem of so many bytes in memory.
func smallDisk(t *testing.T, bytes uint64) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounting a small disk needs root")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", bytes)); err != nil {
		t.Skipf("mount a small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

// stageUntilFull stages blobs of 1 MiB until the store refuses and returns them.
func stageUntilFull(t *testing.T, s *Store, session uint64) []*blob.Blob {
	t.Helper()
	var kept []*blob.Blob
	for i := uint64(1); i < 2000; i++ {
		b := seeded(session, i, mib)
		_, err := s.Stage(t.Context(), blobtest.Tx(session, 1), b)
		if errors.Is(err, fs.ErrNoSpace) {
			return kept
		}
		if err != nil {
			t.Fatalf("stage: %v", err)
		}
		kept = append(kept, &blob.Blob{ID: b.ID, Sums: b.Sums})
	}
	t.Fatal("the disk does not fill")
	return nil
}

func TestFullDisk_ReadsAndDeletesGoOnAndSpaceComesBack(t *testing.T) {
	cfg := Config{Dir: smallDisk(t, 200*mib), NodeID: "n1", ReclaimEvery: 20 * time.Millisecond, Logger: testConfig(t, "").Logger}
	s := openStore(t, cfg)
	for round := uint64(1); round <= 4; round++ {
		kept := stageUntilFull(t, s, round)
		if len(kept) < 30 {
			t.Fatalf("round %d: full at %d MiB of 200", round, len(kept))
		}
		u, err := s.Usage(t.Context())
		if err != nil || !u.ReadOnly {
			t.Fatalf("a full store says %+v, %v", u, err)
		}
		checkAll(t, s, kept, mib, all)
		deleteSome(t, s, kept, all)
		within(t, 30*time.Second, func() bool {
			u, err := s.Usage(t.Context())
			return err == nil && !u.ReadOnly && u.FreeBytes > 40*mib
		})
	}
	select {
	case err := <-s.Failed():
		t.Fatal(err)
	default:
	}
}

// TestDiskFilledByOthers: the reserve is there for the store when others have taken everything else.
func TestDiskFilledByOthers_RefusesStagesAndDeletes(t *testing.T) {
	dir := smallDisk(t, 300*mib)
	cfg := Config{Dir: filepath.Join(dir, "store"), NodeID: "n1", ReserveBytes: 64 * mib, ReclaimEvery: time.Hour, Logger: testConfig(t, "").Logger}
	s := openStore(t, cfg)
	kept := fill(t, s, 1, 60, mib)
	_, free, err := statfs(dir)
	if err != nil {
		t.Fatal(err)
	}
	hog(t, filepath.Join(dir, "hog"), int64(free-40*mib))
	if _, err := s.Stage(t.Context(), blobtest.Tx(1, 1), seeded(1, 1000, mib)); !errors.Is(err, fs.ErrNoSpace) {
		t.Fatalf("stage on a full disk: %v", err)
	}
	u, err := s.Usage(t.Context())
	if err != nil || !u.ReadOnly || u.FreeBytes != 0 {
		t.Fatalf("usage %+v, %v", u, err)
	}
	checkAll(t, s, kept, mib, all)
	deleteSome(t, s, kept, func(i int) bool { return i < 55 })
	if err := s.Reclaim(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkAll(t, s, kept, mib, func(i int) bool { return i >= 55 })
	if _, err := s.Stage(t.Context(), blobtest.Tx(1, 1), seeded(1, 1001, mib)); err != nil {
		t.Fatalf("stage after the space came back: %v", err)
	}
}

func hog(t *testing.T, path string, n int64) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.CopyN(f, zeros{}, n)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestSpace_CountsWhatIsInFlight(t *testing.T) {
	dir := t.TempDir()
	s := &space{dir: dir, max: 64 * mib}
	n := 0
	for s.admit(4*mib) == nil {
		if n++; n > 16 {
			t.Fatal("admitted more than there is")
		}
	}
	if n < 12 {
		t.Fatalf("admitted %d blobs of 4 MiB to 64 MiB", n)
	}
	for range n {
		s.settle(4*mib, false)
	}
	if err := s.admit(4 * mib); err != nil {
		t.Fatalf("when nothing is in flight any more: %v", err)
	}
}

func TestReadOnly_EndsOnlyWhenThereIsRoomForMany(t *testing.T) {
	s := &space{dir: t.TempDir(), max: 128 * mib}
	set := func(used uint64) bool {
		s.used, s.written, s.at = used, 0, time.Now().Add(time.Hour) // no measuring
		r, err := s.room()
		if err != nil {
			t.Fatal(err)
		}
		return r.readOnly
	}
	for _, step := range []struct {
		freeMiB  uint64
		readOnly bool
	}{{128, false}, {9, false}, {7, true}, {9, true}, {20, true}, {25, false}, {9, false}, {0, true}} {
		if got := set(128*mib - step.freeMiB*mib); got != step.readOnly {
			t.Fatalf("at %d MiB free: read-only is %v", step.freeMiB, got)
		}
	}
}

func TestConfig_DefaultsFollowTheDisk(t *testing.T) {
	for _, c := range []struct {
		disk, reserve uint64
		file          int64
	}{
		{200 * mib, 100 * mib, 16 * mib},
		{10 << 30, 1 << 30, 64 * mib},
		{100 << 30, 5 << 30, 64 * mib},
		{2 << 40, (2 << 40) / 20, 128 * mib},
		{8 << 40, (8 << 40) / 20, 256 * mib},
	} {
		cfg := Config{}.withDefaults(c.disk)
		if cfg.ReserveBytes != c.reserve || cfg.ValueLogFileBytes != c.file {
			t.Errorf("a disk of %d: reserve %d, files of %d", c.disk, cfg.ReserveBytes, cfg.ValueLogFileBytes)
		}
		if cfg.ReserveBytes < cfg.reserveLeast() {
			t.Errorf("a disk of %d: the reserve of %d is less than the %d needed", c.disk, cfg.ReserveBytes, cfg.reserveLeast())
		}
	}
}
