package memstore_test

import (
	"errors"
	"testing"

	"dfs/blob"
	"dfs/blob/blobtest"
	"dfs/blob/memstore"
	"dfs/fs"
)

func TestMemstore_PassesTheSuite(t *testing.T) {
	blobtest.Run(t,
		func(*testing.T) blob.Store { return memstore.New(memstore.Config{Node: "a"}) },
		blobtest.WithCapacity(func(_ *testing.T, bytes uint64) blob.Store {
			return memstore.New(memstore.Config{Node: "a", CapacityBytes: bytes})
		}),
		blobtest.WithFence(func(_ *testing.T, fence func(fs.Epoch, fs.SessionID) bool) blob.Store {
			return memstore.New(memstore.Config{Node: "a", Fence: fence})
		}),
		blobtest.WithDamage(func(*testing.T) (blob.Store, func(*testing.T, fs.BlobID, uint32)) {
			s := memstore.New(memstore.Config{Node: "a"})
			return s, func(t *testing.T, id fs.BlobID, off uint32) {
				if !s.Damage(id, off) {
					t.Fatalf("no byte %d of blob %s to damage", off, id)
				}
			}
		}),
		blobtest.WithReopen(func(*testing.T) (blob.Store, func(*testing.T) blob.Store) {
			s := memstore.New(memstore.Config{Node: "a"})
			return s, func(*testing.T) blob.Store { return s } // a crash loses nothing
		}),
	)
}

func TestFaultAfterStage_LosesTheAnswerAndKeepsTheBlob(t *testing.T) {
	lost := errors.New("the answer is lost")
	s := memstore.New(memstore.Config{Node: "a", Faults: func(step string) error {
		if step == "stage.after" {
			return lost
		}
		return nil
	}})
	b := blob.New(blobtest.ID(1, 1), blobtest.Bytes(100, 1))
	if _, err := s.Stage(t.Context(), blobtest.Tx(1, 1), b); !errors.Is(err, lost) {
		t.Fatalf("stage: %v, want %v", err, lost)
	}
	if list, err := s.List(t.Context(), fs.BlobID{}, 10); err != nil || len(list) != 1 {
		t.Fatalf("list: %v, %v; want the blob", list, err)
	}
}

func TestFaultBefore_StopsEveryMethod(t *testing.T) {
	broken := errors.New("broken")
	s := memstore.New(memstore.Config{Node: "a", Faults: func(string) error { return broken }})
	b := blob.New(blobtest.ID(1, 1), blobtest.Bytes(100, 1))
	info := b.Info(nil)
	_, stage := s.Stage(t.Context(), blobtest.Tx(1, 1), b)
	_, get := s.Get(t.Context(), &info, 0, 1)
	_, list := s.List(t.Context(), fs.BlobID{}, 1)
	_, usage := s.Usage(t.Context())
	for _, err := range []error{stage, get, list, usage,
		s.Commit(t.Context(), nil), s.Drop(t.Context(), nil), s.Delete(t.Context(), nil)} {
		if !errors.Is(err, broken) {
			t.Errorf("%v, want %v", err, broken)
		}
	}
}
