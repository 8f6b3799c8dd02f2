package blobtest

import (
	"errors"
	"slices"
	"testing"

	"dfs/blob"
	"dfs/fs"
)

func (s *suite) runList(t *testing.T) {
	s.on(t, "List_OfAnEmptyStoreIsEmpty", func(s subject) {
		s.listed()
		s.counts(0, 0)
	})
	s.on(t, "List_RisesBySessionThenCounterInPagesOfAnySize", func(s subject) {
		// Counters on both sides of a byte's bounds: an encoding that does not sort as numbers do shows here.
		var want []blob.Entry
		for _, session := range []uint64{300, 1, 256, 255} {
			for _, counter := range []uint64{1 << 40, 2, 256, 255, 1} {
				b, tx := sample(ID(session, counter), 5), Tx(session, 1)
				s.stage(tx, b)
				want = append(want, entry(b, &tx))
			}
		}
		slices.SortFunc(want, func(a, b blob.Entry) int {
			if a.ID.Less(b.ID) {
				return -1
			}
			return 1
		})
		for _, page := range []int{1, 3, len(want), len(want) + 1, blob.ListMax} {
			if got := s.list(page); !slices.Equal(got, want) {
				s.t.Fatalf("in pages of %d: %d entries %+v", page, len(got), got)
			}
		}
		half, err := s.List(s.t.Context(), ID(256, 0), 100)
		if err != nil || len(half) != 10 || half[0].ID != ID(256, 1) {
			s.t.Fatalf("list after 256-0: %d entries, %v", len(half), err)
		}
	})
	s.on(t, "List_OfAnImpossibleLengthIsInvalid", func(s subject) {
		for _, limit := range []int{-1, 0, blob.ListMax + 1} {
			if _, err := s.List(s.t.Context(), fs.BlobID{}, limit); !errors.Is(err, fs.ErrInvalid) {
				s.t.Fatalf("list of %d: %v, want %v", limit, err, fs.ErrInvalid)
			}
		}
	})
	s.on(t, "Usage_KnowsTheDisk", func(s subject) {
		u, err := s.Usage(s.t.Context())
		if err != nil {
			s.t.Fatal(err)
		}
		if u.TotalBytes == 0 || u.FreeBytes == 0 || u.FreeBytes > u.TotalBytes || u.ReadOnly {
			s.t.Fatalf("usage of an empty store: %+v", u)
		}
	})
}
