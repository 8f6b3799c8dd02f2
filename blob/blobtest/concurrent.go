package blobtest

import (
	"fmt"
	"sync"
	"testing"

	"dfs/blob"
	"dfs/fs"
)

func (s *suite) runConcurrency(t *testing.T) {
	s.on(t, "ConcurrentLives_DoNotDisturbEachOther", func(s subject) {
		const workers, rounds = 8, 12
		var kept [workers][]*blob.Blob
		var wg sync.WaitGroup
		for w := range workers {
			wg.Go(func() {
				for i := range uint64(rounds) {
					b := sample(ID(uint64(w+1), i+1), 50_000*(w+1))
					live, err := oneLife(s, uint64(w+1), i, b)
					if err != nil {
						s.t.Errorf("blob %s: %v", b.ID, err)
						return
					}
					if live {
						kept[w] = append(kept[w], b)
					}
				}
			})
		}
		wg.Wait()
		var want []blob.Entry
		for _, blobs := range kept {
			for _, b := range blobs {
				s.holds(b)
				want = append(want, entry(b, nil))
			}
		}
		s.listed(want...)
		s.counts(uint64(len(want)), 0)
	})
	s.on(t, "ConcurrentStagesOfOneBlob_AllSucceed", func(s subject) {
		b, tx := sample(ID(1, 1), 300_000), Tx(1, 1)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if _, err := s.Stage(s.t.Context(), tx, b); err != nil {
					s.t.Errorf("stage: %v", err)
				}
			})
		}
		wg.Wait()
		s.holds(b)
		s.listed(entry(b, &tx))
		s.counts(1, 1)
	})
}

// oneLife takes a blob through its life, which ends in one of three ways, and reports whether it is left live.
func oneLife(s subject, session, round uint64, b *blob.Blob) (bool, error) {
	ctx, tx := s.t.Context(), Tx(session, round+1)
	if _, err := s.Stage(ctx, tx, b); err != nil {
		return false, err
	}
	info := b.Info(nil)
	r, err := s.Get(ctx, &info, 0, info.Length)
	if err != nil {
		return false, err
	}
	if _, err := r.Verify(&info, 0, info.Length); err != nil {
		return false, err
	}
	ids := []fs.BlobID{b.ID}
	switch round % 3 {
	case 0:
		return false, s.Drop(ctx, []blob.Staged{{ID: b.ID, Tx: tx.ID}})
	case 1:
		if err := s.Commit(ctx, ids); err != nil {
			return false, fmt.Errorf("commit: %w", err)
		}
		return false, s.Delete(ctx, ids)
	default:
		return true, s.Commit(ctx, ids)
	}
}
