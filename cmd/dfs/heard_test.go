package main

import (
	"testing"
	"time"

	"dfs/fs"
)

func TestHearing_WantsTwoBeatsOfEachMount(t *testing.T) {
	start := time.Now()
	h := &hearing{map[fs.SessionID]time.Time{}, map[fs.SessionID]int{}, start}
	at := func(ms int64, idle ...int64) int {
		s := &fs.Status{}
		for i, d := range idle {
			s.Sessions = append(s.Sessions, fs.SessionStatus{Session: fs.Session{ID: fs.SessionID(i + 1)}, IdleMillis: d})
		}
		return h.note(s, start.Add(time.Duration(ms)*time.Millisecond))
	}
	for _, c := range []struct {
		ms   int64
		idle []int64
		want int
	}{
		{100, []int64{500, 500}, 2},       // both before
		{1000, []int64{500, -1}, 2},       // one; of the other nothing is known
		{1100, []int64{500, 1600}, 2},     // right behind it
		{2000, []int64{500, 100}, 1},      // twice, once
		{2900, []int64{1400, 100}, 0},     // twice each
		{3000, []int64{1400, 100, 10}, 1}, // one more
	} {
		if got := at(c.ms, c.idle...); got != c.want {
			t.Errorf("after %d ms %d are silent, want %d", c.ms, got, c.want)
		}
	}
}
