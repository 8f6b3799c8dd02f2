package badgerstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"dfs/blob"
	"dfs/blob/blobtest"
	"dfs/fs"
)

// TestConcurrentStages_ShareOneSync holds the writer at its first sync while others queue up behind it.
func TestConcurrentStages_ShareOneSync(t *testing.T) {
	var batches atomic.Int32
	held, release := make(chan struct{}, 1), make(chan struct{})
	cfg := testConfig(t, t.TempDir())
	cfg.Faults = func(step string) error {
		if step == "batch.before" && batches.Add(1) == 1 {
			held <- struct{}{}
			<-release
		}
		return nil
	}
	s := openStore(t, cfg)
	var wg sync.WaitGroup
	stage := func(i uint64) {
		if _, err := s.Stage(t.Context(), blobtest.Tx(1, 1), seeded(1, i, 1000)); err != nil {
			t.Errorf("stage: %v", err)
		}
	}
	wg.Go(func() { stage(1) })
	<-held
	const others = 20
	for i := range uint64(others) {
		wg.Go(func() { stage(i + 2) })
	}
	within(t, timeoutLong, func() bool { return len(s.queue) == others })
	close(release)
	wg.Wait()
	if n := batches.Load(); n != 2 {
		t.Fatalf("%d stages took %d syncs, want 2", others+1, n)
	}
}

// TestBatch_StaysWithinItsBounds: what does not fit goes into the next batch, and nothing is lost between them.
func TestBatch_StaysWithinItsBounds(t *testing.T) {
	var batches atomic.Int32
	held, release := make(chan struct{}, 1), make(chan struct{})
	cfg := testConfig(t, t.TempDir()) // files of 16 MiB: batches of 8
	cfg.Faults = func(step string) error {
		if step == "batch.before" && batches.Add(1) == 1 {
			held <- struct{}{}
			<-release
		}
		return nil
	}
	s := openStore(t, cfg)
	var wg sync.WaitGroup
	for i := range uint64(13) {
		wg.Go(func() {
			if _, err := s.Stage(t.Context(), blobtest.Tx(1, 1), seeded(1, i+1, 4*mib)); err != nil {
				t.Errorf("stage: %v", err)
			}
		})
		if i == 0 {
			<-held
		}
	}
	within(t, timeoutLong, func() bool { return len(s.queue) == 12 })
	close(release)
	wg.Wait()
	if n := batches.Load(); n < 7 {
		t.Fatalf("52 MiB went into %d batches of at most 8 MiB", n)
	}
	if list, err := s.List(t.Context(), fs.BlobID{}, 100); err != nil || len(list) != 13 {
		t.Fatalf("%d blobs, %v", len(list), err)
	}
}

// TestAbandonedStage_GivesBackWhatItHeld: the caller leaves while the writer is at work on its blob.
func TestAbandonedStage_GivesBackWhatItHeld(t *testing.T) {
	held, release := make(chan struct{}, 1), make(chan struct{})
	cfg := testConfig(t, t.TempDir())
	cfg.Faults = func(step string) error {
		if step == "batch.before" {
			held <- struct{}{}
			<-release
		}
		return nil
	}
	s := openStore(t, cfg)
	ctx, cancel := context.WithCancel(t.Context())
	answer := make(chan error, 1)
	b := seeded(1, 1, mib)
	go func() {
		_, err := s.Stage(ctx, blobtest.Tx(1, 1), b)
		answer <- err
	}()
	<-held
	cancel()
	if err := <-answer; !errors.Is(err, context.Canceled) {
		t.Fatalf("stage: %v", err)
	}
	clear(b.Data) // the caller's again
	close(release)
	within(t, timeoutLong, func() bool {
		s.space.mu.Lock()
		defer s.space.mu.Unlock()
		return s.space.inFlight == 0 && s.staging.TryAcquire(inFlightBytes)
	})
	whole := seeded(1, 1, mib)
	info := whole.Info(nil)
	if _, err := s.Get(t.Context(), &info, 0, info.Length); err != nil {
		t.Fatalf("what the writer had taken is %v", err)
	}
}

func BenchmarkStage(b *testing.B) {
	for _, size := range []int{64 << 10, fs.BlobMax} {
		for _, callers := range []int{1, 16} {
			b.Run(fmt.Sprintf("%dKiB/callers=%d", size>>10, callers), func(b *testing.B) { benchStage(b, size, callers) })
		}
	}
}

// benchStage deletes as it goes, so that it can run for long: with one caller each blob has a sync of its own, with
// many they share.
func benchStage(b *testing.B, size, callers int) {
	s, err := Open(b.Context(), Config{Dir: b.TempDir(), NodeID: "n1", MaxBytes: 4 << 30})
	if err != nil {
		b.Fatal(err)
	}
	data := blobtest.Bytes(size, 1)
	sums := blob.SumsOf(data)
	var next atomic.Uint64
	b.SetBytes(int64(size))
	b.ResetTimer()
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for {
				i := next.Add(1)
				if i > uint64(b.N) {
					return
				}
				bl := &blob.Blob{ID: blobtest.ID(1, i), Data: data, Sums: sums}
				if _, err := s.Stage(b.Context(), blobtest.Tx(1, i), bl); err != nil {
					b.Errorf("stage: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	if err := s.Close(); err != nil {
		b.Error(err)
	}
}
