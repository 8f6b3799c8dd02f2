package main

import (
	"context"
	"time"

	"dfs/fs"
)

const (
	hearMax   = 5 * time.Second
	hearEvery = 200 * time.Millisecond
)

// hearing is which mounts have been heard of since a moment, and how often.
type hearing struct {
	last  map[fs.SessionID]time.Time
	beats map[fs.SessionID]int
	since time.Time
}

// note takes in a status, and returns how many mounts have not been heard of twice. The answer to the first beat tells a mount that there are
// limits; the second, some time later, comes from a mount that has got it.
func (h *hearing) note(s *fs.Status, now time.Time) (silent int) {
	for i := range s.Sessions {
		one := &s.Sessions[i]
		last, ok := h.last[one.ID]
		if !ok {
			last = h.since
		}
		if at := now.Add(-time.Duration(one.IdleMillis) * time.Millisecond); one.IdleMillis >= 0 && at.Sub(last) > hearEvery {
			h.last[one.ID] = at
			h.beats[one.ID]++
		}
		if h.beats[one.ID] < 2 {
			silent++
		}
	}
	return silent
}

// heard waits until every mount has heard of what was changed at the leader just now, and returns how many have not in time.
func (a *admin) heard(ctx context.Context) (silent int, err error) {
	h := &hearing{map[fs.SessionID]time.Time{}, map[fs.SessionID]int{}, time.Now()}
	for {
		err = a.askLeader(ctx, func(_ context.Context, s *fs.Status) error {
			silent = h.note(s, time.Now())
			return nil
		})
		if err != nil || silent == 0 || time.Since(h.since) > hearMax {
			return silent, err
		}
		select {
		case <-time.After(hearEvery):
		case <-ctx.Done():
			return silent, ctx.Err()
		}
	}
}
