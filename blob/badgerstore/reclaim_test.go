package badgerstore

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"dfs/blob"
	"dfs/blob/blobtest"
	"dfs/fs"
)

const (
	mib         = 1 << 20
	timeoutLong = 30 * time.Second
)

// fill stages and commits n blobs of size bytes, several at a time, and returns them without their bytes.
func fill(t *testing.T, s *Store, session uint64, n, size int) []*blob.Blob {
	t.Helper()
	return fillBy(t, s, session, n, size, 8)
}

// fillBy is fill with so many callers: with one, files are full at the same number of blobs.
func fillBy(t *testing.T, s *Store, session uint64, n, size, callers int) []*blob.Blob {
	t.Helper()
	blobs := make([]*blob.Blob, n)
	ids := make([]fs.BlobID, n)
	var wg sync.WaitGroup
	slots := make(chan struct{}, callers)
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			b := seeded(session, uint64(i+1), size)
			if _, err := s.Stage(t.Context(), blobtest.Tx(session, 1), b); err != nil {
				t.Errorf("stage: %v", err)
			}
			ids[i] = b.ID
			blobs[i] = &blob.Blob{ID: b.ID, Sums: b.Sums}
		})
	}
	wg.Wait()
	if err := s.Commit(t.Context(), ids); err != nil {
		t.Fatalf("commit: %v", err)
	}
	return blobs
}

func seeded(session, counter uint64, size int) *blob.Blob {
	return blob.New(blobtest.ID(session, counter), blobtest.Bytes(size, session<<32|counter))
}

func deleteSome(t *testing.T, s *Store, blobs []*blob.Blob, which func(i int) bool) {
	t.Helper()
	var ids []fs.BlobID
	for i, b := range blobs {
		if which(i) {
			ids = append(ids, b.ID)
		}
	}
	if err := s.Delete(t.Context(), ids); err != nil {
		t.Fatalf("delete: %v", err)
	}
}

func checkAll(t *testing.T, s *Store, blobs []*blob.Blob, size int, which func(i int) bool) {
	t.Helper()
	for i, b := range blobs {
		if !which(i) {
			continue
		}
		info := fs.BlobInfo{ID: b.ID, Length: uint32(size), Sum: b.Sums.Root()}
		r, err := s.Get(t.Context(), &info, 0, uint32(size))
		if err != nil {
			t.Fatalf("get: %v", err)
		}
		if _, err := r.Verify(&info, 0, uint32(size)); err != nil {
			t.Fatal(err)
		}
	}
}

func diskUse(t *testing.T, s *Store) usage {
	t.Helper()
	u, err := measure(s.space.dir)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func all(int) bool { return true }

func TestReclaimer_GivesBackTheSpaceOfDeletedBlobs(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	cfg.ReclaimEvery = 50 * time.Millisecond
	s := openStore(t, cfg)
	blobs := fill(t, s, 1, 96, 4*mib)
	full := diskUse(t, s).all
	if full < 96*4*mib {
		t.Fatalf("%d bytes on the disk with 384 MiB of blobs", full)
	}
	deleteSome(t, s, blobs, all)
	within(t, time.Minute, func() bool { return diskUse(t, s).all < full/10 })
	within(t, time.Minute, func() bool { return s.counts.freed.Load() == 0 })
}

func TestReclaimer_RunsAtOnceForWhatAnEarlierProcessDeleted(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	s := openStore(t, cfg)
	blobs := fill(t, s, 1, 32, 4*mib)
	deleteSome(t, s, blobs, all)
	closeStore(t, s)
	cfg.ReclaimEvery = 50 * time.Millisecond
	s = openStore(t, cfg)
	within(t, time.Minute, func() bool { return diskUse(t, s).vlog < 20*mib })
}

func TestReclaim_KeepsWhatIsAlive(t *testing.T) {
	s := openStore(t, testConfig(t, t.TempDir()))
	const size = 1 * mib
	blobs := fill(t, s, 1, 128, size)
	odd := func(i int) bool { return i%4 == 3 }
	deleteSome(t, s, blobs, func(i int) bool { return !odd(i) })
	if err := s.Reclaim(t.Context()); err != nil {
		t.Fatal(err)
	}
	if u := diskUse(t, s); u.vlog > 80*mib {
		t.Errorf("%d MiB of files for 32 MiB of blobs", u.vlog/mib)
	}
	checkAll(t, s, blobs, size, odd)
	if u, err := s.Usage(t.Context()); err != nil || u.Blobs != 32 {
		t.Errorf("usage %+v, %v; want 32 blobs", u, err)
	}
}

// TestReclaim_WithReadersAndWriters: a blob that is there must never seem lost while the file that it lies in is
// rewritten under its readers.
func TestReclaim_WithReadersAndWriters(t *testing.T) {
	s := openStore(t, testConfig(t, t.TempDir()))
	const size = 512 << 10
	blobs := fill(t, s, 1, 160, size)
	kept := func(i int) bool { return i%5 == 0 }
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for ctx.Err() == nil {
				checkAll(t, s, blobs, size, kept)
				if _, err := s.List(t.Context(), fs.BlobID{}, blob.ListMax); err != nil {
					t.Errorf("list: %v", err)
				}
			}
		})
	}
	wg.Go(func() {
		for i := uint64(1); ctx.Err() == nil; i++ {
			b := seeded(9, i, 100_000)
			if _, err := s.Stage(t.Context(), blobtest.Tx(9, i), b); err != nil {
				t.Errorf("stage: %v", err)
			}
			if err := s.Drop(t.Context(), []blob.Staged{{ID: b.ID, Tx: blobtest.Tx(9, i).ID}}); err != nil {
				t.Errorf("drop: %v", err)
			}
		}
	})
	deleteSome(t, s, blobs, func(i int) bool { return !kept(i) })
	for range 5 {
		if err := s.Reclaim(t.Context()); err != nil {
			t.Errorf("reclaim: %v", err)
		}
	}
	stop()
	wg.Wait()
	if err := s.Reclaim(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkAll(t, s, blobs, size, kept)
	if u := diskUse(t, s); u.vlog > 60*mib {
		t.Errorf("%d MiB of files for 16 MiB of blobs", u.vlog/mib)
	}
}

// TestReclaim_IsNotStuckAtTheActiveFile: Badger looks at the file with the most garbage only, and cannot rewrite the
// active one.
func TestReclaim_IsNotStuckAtTheActiveFile(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	cfg.ValueLogFileBytes = 8 * mib
	s := openStore(t, cfg)
	sealed := fillBy(t, s, 1, 120, mib, 1)
	if err := s.rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	active := fill(t, s, 2, 7, mib)
	keep := func(i int) bool { return i%3 == 0 } // in each sealed file there is less garbage than in the active one
	deleteSome(t, s, sealed, func(i int) bool { return !keep(i) })
	deleteSome(t, s, active, all)
	if err := s.Reclaim(t.Context()); err != nil {
		t.Fatal(err)
	}
	if u := diskUse(t, s); u.vlog > 70*mib {
		t.Errorf("%d MiB of files for 40 MiB of blobs", u.vlog/mib)
	}
	checkAll(t, s, sealed, mib, keep)
}

// TestGet_FindsAValueThatMovesWhileItIsRead: between the look-up of the value and its reading its file is rewritten.
func TestGet_FindsAValueThatMovesWhileItIsRead(t *testing.T) {
	moves := 0
	var s *Store
	cfg := testConfig(t, t.TempDir())
	cfg.Faults = func(step string) error {
		if step != "get.found" || moves > 0 {
			return nil
		}
		for s.collectOne(garbageShare) == nil {
			moves++
		}
		return nil
	}
	s = openStore(t, cfg)
	blobs := fill(t, s, 1, 64, mib)
	keep := func(i int) bool { return i%4 == 0 }
	deleteSome(t, s, blobs, func(i int) bool { return !keep(i) })
	if err := s.submit(t.Context(), &job{alone: s.flush}); err != nil {
		t.Fatal(err)
	}
	checkAll(t, s, blobs, mib, keep)
	if moves == 0 {
		t.Fatal("nothing has moved")
	}
}

func TestRotate_BeginsANewFile(t *testing.T) {
	s := openStore(t, testConfig(t, t.TempDir()))
	fill(t, s, 1, 4, mib)
	before, err := s.activeFile()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after, err := s.activeFile(); err != nil || after == before {
		t.Fatalf("active file %s after %s, %v", after, before, err)
	}
}

func TestSweep_DeletesValuesThatTheIndexDoesNotKnow(t *testing.T) {
	s := openStore(t, testConfig(t, t.TempDir()))
	blobs := fill(t, s, 1, 3, 5000)
	stray := seeded(1, 4, 5000)
	err := s.submit(t.Context(), &job{alone: func() error {
		return s.db.Update(func(txn *badger.Txn) error { return txn.Set(keyOf(valuePrefix, stray.ID), appendValue(nil, stray)) })
	}})
	if err != nil {
		t.Fatal(err)
	}
	info := stray.Info(nil)
	if _, err := s.Get(t.Context(), &info, 0, 1); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("a value without an index record is answered: %v", err)
	}
	if err := s.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left, err := s.strays(t.Context()); err != nil || len(left) != 0 {
		t.Fatalf("strays left: %v, %v", left, err)
	}
	checkAll(t, s, blobs, 5000, all)
}

// within polls until cond holds.
func within(t *testing.T, d time.Duration, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(d); !cond(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v", d)
		}
	}
}
