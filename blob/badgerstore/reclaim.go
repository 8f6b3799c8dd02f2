package badgerstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"
)

const (
	// reclaimSeldom bounds how long little garbage may lie.
	reclaimSeldom = time.Minute
	// A file is rewritten when at least this share of it is garbage; less when space is short.
	garbageShare      = 0.5
	garbageShareShort = 0.2
)

// reclaimLoop is the reclaimer.
func (s *Store) reclaimLoop() {
	defer close(s.idle)
	ctx := s.life
	ticker := time.NewTicker(s.cfg.ReclaimEvery)
	defer ticker.Stop()
	last := time.Now().Add(-reclaimSeldom)
	s.freedBefore()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if !s.due(last) {
			continue
		}
		if err := s.Reclaim(ctx); err != nil && ctx.Err() == nil {
			s.cfg.Logger.Warn("reclaim of deleted blobs", "err", err)
		}
		last = time.Now()
	}
}

// freedBefore counts as deleted what the files hold beyond the blobs, if it is much: what was deleted by earlier
// processes and is not reclaimed yet is not known in any other way.
func (s *Store) freedBefore() {
	if g := s.garbage(); g >= int64(s.cfg.ReclaimBytes) {
		s.counts.freed.Add(g)
	}
}

// garbage estimates the bytes in value-log files that no blob needs.
func (s *Store) garbage() int64 {
	u, err := measure(s.space.dir)
	if err != nil {
		return 0 // only an estimate; Usage reports the error
	}
	return int64(u.vlog) - s.counts.bytes.Load()
}

// due says whether it is time: much has been deleted, or something long ago, or something while space is short.
func (s *Store) due(last time.Time) bool {
	freed := s.counts.freed.Load()
	if freed <= 0 || s.failure.get() != nil {
		return false
	}
	return freed >= int64(s.cfg.ReclaimBytes) || time.Since(last) >= reclaimSeldom || s.short()
}

func (s *Store) short() bool {
	r, err := s.space.room()
	return err == nil && r.readOnly
}

// Reclaim gives the space of deleted blobs back to the disk, as far as the files they lie in are mostly garbage. The
// reclaimer calls it when there is something to do; nobody else needs to.
func (s *Store) Reclaim(ctx context.Context) error {
	leave, err := s.read(ctx)
	if err != nil {
		return fmt.Errorf("reclaim: %w", err)
	}
	defer leave()
	select {
	case s.reclaiming <- struct{}{}:
		defer func() { <-s.reclaiming }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	freed := s.counts.freed.Swap(0)
	start, before := time.Now(), s.garbage()
	if err := s.reclaim(ctx); err != nil {
		s.counts.freed.Add(freed) // not done
		return fmt.Errorf("reclaim %d deleted bytes: %w", freed, err)
	}
	s.space.stale()
	s.cfg.Logger.Debug("reclaimed", "deletedBytes", freed, "garbageBefore", before, "garbageAfter", s.garbage(), "took", time.Since(start))
	return nil
}

func (s *Store) reclaim(ctx context.Context) error {
	if err := s.sweep(ctx); err != nil {
		return err
	}
	if err := s.collect(ctx); err != nil {
		return err
	}
	if !s.stuck() {
		return nil
	}
	if err := s.rotate(ctx); err != nil {
		return err
	}
	return s.collect(ctx)
}

// collect finds out what is garbage, and rewrites the files that hold much of it.
func (s *Store) collect(ctx context.Context) error {
	if err := s.submit(ctx, &job{alone: s.flush}); err != nil {
		return fmt.Errorf("flush: %w", err)
	}
	share := garbageShare
	if s.short() {
		share = garbageShareShort
	}
	for {
		start := time.Now()
		if err := s.guard(ctx); err != nil {
			return err
		}
		err := s.collectOne(share)
		if errors.Is(err, badger.ErrNoRewrite) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("value-log file: %w", err)
		}
		if err := pause(ctx, time.Since(start)); err != nil {
			return err
		}
	}
}

// collectOne rewrites one value-log file, the one with the most garbage.
func (s *Store) collectOne(share float64) error {
	if err := s.failure.get(); err != nil {
		return err
	}
	return guarded(func() error { return s.db.RunValueLogGC(share) })
}

// pause leaves the disk to others for as long as it was kept busy.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
