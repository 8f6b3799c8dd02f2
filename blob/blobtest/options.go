package blobtest

import (
	"errors"
	"sync/atomic"
	"testing"

	"dfs/blob"
	"dfs/fs"
)

func (s *suite) runOptions(t *testing.T) {
	if s.fenced != nil {
		t.Run("Fenced_EpochsStageNothingMore", s.testFence)
	}
	if s.capacity != nil {
		t.Run("FullStore_RefusesNewBlobsReadsAndDeletes", s.testFull)
	}
	if s.damaged != nil {
		t.Run("Damage_IsCorruptAndNeverOtherBytes", s.testDamage)
		t.Run("Damage_IsMendedByStagingAgain", s.testMend)
	}
	if s.reopened != nil {
		t.Run("Reopened_HasWhatWasVotedFor", s.testReopen)
	}
}

func (s *suite) testFence(t *testing.T) {
	var over atomic.Uint64
	sub := subject{t, s.fenced(t, func(e fs.Epoch, _ fs.SessionID) bool { return uint64(e) == over.Load() })}
	first, tx := sample(ID(1, 1), 10), Tx(1, 1)
	sub.stage(tx, first)
	over.Store(uint64(tx.Epoch))
	if _, err := sub.Stage(t.Context(), tx, sample(ID(1, 2), 10)); !errors.Is(err, fs.ErrFenced) {
		t.Fatalf("stage under a fenced epoch: %v, want %v", err, fs.ErrFenced)
	}
	sub.stage(Tx(2, 1), sample(ID(2, 1), 10))
	sub.holds(first)
	sub.counts(2, 2)
}

func (s *suite) testFull(t *testing.T) {
	const capacity = 64 << 20
	sub := subject{t, s.capacity(t, capacity)}
	var kept []*blob.Blob
	for i := uint64(1); ; i++ {
		b := sample(ID(1, i), 1<<20)
		_, err := sub.Stage(t.Context(), Tx(1, 1), b)
		if errors.Is(err, fs.ErrNoSpace) {
			break
		}
		if err != nil {
			t.Fatalf("stage blob %s: %v", b.ID, err)
		}
		if kept = append(kept, b); len(kept) > capacity>>20 {
			t.Fatalf("a store of %d MiB took %d blobs of 1 MiB", capacity>>20, len(kept))
		}
	}
	if len(kept) < 16 {
		t.Fatalf("a store of %d MiB is full at %d blobs of 1 MiB", capacity>>20, len(kept))
	}
	for _, b := range kept {
		sub.commit(b.ID)
		sub.holds(b)
	}
	for _, b := range kept {
		sub.delete(b.ID)
		sub.lacks(b)
	}
	sub.counts(0, 0)
}

func (s *suite) testDamage(t *testing.T) {
	store, damage := s.damaged(t)
	sub := subject{t, store}
	other, b := sample(ID(1, 1), 3*blob.ChunkSize), sample(ID(1, 2), 3*blob.ChunkSize)
	sub.stage(Tx(1, 1), other, b)
	damage(t, b.ID, blob.ChunkSize+100)
	sub.getFails(b, fs.ErrCorrupt)
	info := b.Info(nil)
	if _, err := sub.Get(t.Context(), &info, blob.ChunkSize, 1); !errors.Is(err, fs.ErrCorrupt) {
		t.Fatalf("get from the damaged chunk: %v, want %v", err, fs.ErrCorrupt)
	}
	sub.reads(b, 0, blob.ChunkSize) // the chunks on both sides are sound
	sub.reads(b, 2*blob.ChunkSize, blob.ChunkSize)
	sub.holds(other)
}

func (s *suite) testMend(t *testing.T) {
	store, damage := s.damaged(t)
	sub := subject{t, store}
	b := sample(ID(1, 1), 3*blob.ChunkSize)
	sub.stage(Tx(1, 1), b)
	sub.commit(b.ID)
	damage(t, b.ID, 5)
	sub.getFails(b, fs.ErrCorrupt)
	sub.stage(Tx(2, 1), b) // a yes vote must not count on the damaged copy
	sub.holds(b)
	sub.listed(entry(b, nil))
}

func (s *suite) testReopen(t *testing.T) {
	store, reopen := s.reopened(t)
	sub := subject{t, store}
	staged, live, dropped, deleted := sample(ID(1, 1), 200_000), sample(ID(1, 2), 10), sample(ID(1, 3), 5000), sample(ID(2, 1), 70_000)
	tx := Tx(1, 1)
	sub.stage(tx, staged, live, dropped, deleted)
	sub.commit(live.ID, deleted.ID)
	sub.drop(tx, dropped.ID)
	sub.delete(deleted.ID)
	for range 2 {
		sub.Store = reopen(t)
		sub.holds(staged)
		sub.holds(live)
		sub.lacks(dropped)
		sub.lacks(deleted)
		sub.listed(entry(staged, &tx), entry(live, nil))
		sub.counts(2, 1)
	}
}
