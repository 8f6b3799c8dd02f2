package blobtest

import (
	"errors"
	"testing"

	"dfs/blob"
	"dfs/fs"
)

func (s *suite) on(t *testing.T, name string, test func(s subject)) {
	t.Run(name, func(t *testing.T) { test(subject{t, s.open(t)}) })
}

// runLife is the life of a blob: staged, live, deleted.
func (s *suite) runLife(t *testing.T) {
	s.on(t, "Staged_IsReadableAndListedUnderItsTransaction", func(s subject) {
		b, tx := sample(ID(1, 1), 100_000), Tx(1, 1)
		s.stage(tx, b)
		s.holds(b)
		s.listed(entry(b, &tx))
		s.counts(1, 1)
	})
	s.on(t, "Committed_IsLive", func(s subject) {
		b := sample(ID(1, 1), 100_000)
		s.stage(Tx(1, 1), b)
		s.commit(b.ID)
		s.holds(b)
		s.listed(entry(b, nil))
		s.counts(1, 0)
	})
	s.on(t, "Commit_MayBeRepeatedAndPassesOverUnknownIDs", func(s subject) {
		b := sample(ID(1, 1), 10)
		s.stage(Tx(1, 1), b)
		s.commit(b.ID, ID(9, 9), b.ID)
		s.commit(b.ID)
		s.commit()
		s.listed(entry(b, nil))
	})
	s.on(t, "Drop_DeletesWhatIsStagedUnderTheTransaction", func(s subject) {
		a, b := sample(ID(1, 1), 10), sample(ID(1, 2), 10)
		s.stage(Tx(1, 1), a, b)
		s.drop(Tx(1, 1), a.ID, ID(9, 9))
		s.drop(Tx(1, 1), a.ID)
		s.lacks(a)
		s.holds(b)
		s.counts(1, 1)
	})
	s.on(t, "Drop_SparesWhatIsLive", func(s subject) {
		b := sample(ID(1, 1), 10)
		s.stage(Tx(1, 1), b)
		s.commit(b.ID)
		s.drop(Tx(1, 1), b.ID)
		s.listed(entry(b, nil))
	})
	s.on(t, "Drop_SparesWhatAnotherTransactionStaged", func(s subject) {
		b := sample(ID(1, 1), 10)
		s.stage(Tx(1, 2), b)
		s.drop(Tx(1, 1), b.ID)
		s.drop(Tx(2, 2), b.ID)
		s.holds(b)
	})
	s.on(t, "Delete_TakesStagedAndLiveAndPassesOverUnknownIDs", func(s subject) {
		staged, live, other := sample(ID(1, 1), 10), sample(ID(1, 2), 10), sample(ID(1, 3), 10)
		s.stage(Tx(1, 1), staged, live, other)
		s.commit(live.ID)
		s.delete(staged.ID, live.ID, ID(9, 9), live.ID)
		s.delete(live.ID)
		s.lacks(staged)
		s.lacks(live)
		s.holds(other)
		s.counts(1, 1)
	})
	s.on(t, "Delete_OfALongList", func(s subject) {
		b := sample(ID(1, 1), 10)
		s.stage(Tx(1, 1), b)
		ids := make([]fs.BlobID, 0, 10_000)
		for i := range uint64(10_000) {
			ids = append(ids, ID(7, i+1))
		}
		s.delete(append(ids, b.ID)...)
		s.counts(0, 0)
	})
	runRestage(s, t)
}

func runRestage(s *suite, t *testing.T) {
	s.on(t, "Restage_OfTheSameBytesIsASuccess", func(s subject) {
		b, tx := sample(ID(1, 1), 100_000), Tx(1, 1)
		s.stage(tx, b, b)
		s.listed(entry(b, &tx))
	})
	s.on(t, "Restage_MovesTheBlobToTheLaterTransaction", func(s subject) {
		b, later := sample(ID(1, 1), 10), Tx(1, 2)
		s.stage(Tx(1, 1), b)
		s.stage(later, b)
		s.drop(Tx(1, 1), b.ID)
		s.listed(entry(b, &later))
	})
	s.on(t, "Restage_DeliveredLateDoesNotTakeTheBlobBack", func(s subject) {
		b, later := sample(ID(1, 1), 10), Tx(1, 2)
		s.stage(later, b)
		s.stage(Tx(1, 1), b)
		s.drop(Tx(1, 1), b.ID)
		s.listed(entry(b, &later))
	})
	s.on(t, "Restage_OfALiveBlobLeavesItLive", func(s subject) {
		b := sample(ID(1, 1), 10)
		s.stage(Tx(1, 1), b)
		s.commit(b.ID)
		s.stage(Tx(1, 2), b)
		s.drop(Tx(1, 2), b.ID)
		s.listed(entry(b, nil))
	})
	s.on(t, "Restage_OfOtherBytesIsInvalidAndChangesNothing", func(s subject) {
		b, tx := sample(ID(1, 1), 100), Tx(1, 1)
		s.stage(tx, b)
		for _, other := range []*blob.Blob{blob.New(b.ID, Bytes(100, 99)), blob.New(b.ID, b.Data[:99])} {
			if _, err := s.Stage(s.t.Context(), Tx(1, 2), other); !errors.Is(err, fs.ErrInvalid) {
				s.t.Fatalf("stage other bytes: %v, want %v", err, fs.ErrInvalid)
			}
		}
		s.holds(b)
		s.listed(entry(b, &tx))
	})
	s.on(t, "Restage_AfterDeleteBringsTheBlobBack", func(s subject) {
		b, tx := sample(ID(1, 1), 1000), Tx(1, 1)
		s.stage(tx, b)
		s.delete(b.ID)
		s.stage(tx, b)
		s.holds(b)
		s.listed(entry(b, &tx))
	})
}
