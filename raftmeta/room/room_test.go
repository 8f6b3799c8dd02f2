package room

import (
	"math"
	"testing"
	"time"

	"dfs/fs"
)

func TestGrant_LeavesRoomForWhatOthersHold(t *testing.T) {
	table, now := NewTable(), time.Now()
	tree := func(left uint64) []Account { return []Account{{fs.QuotaID{Number: 2}, left}} }
	check := func(what string, got fs.Room, bytes uint64, wait bool) {
		t.Helper()
		if got.Bytes != bytes || got.Wait != wait {
			t.Errorf("%s: %+v", what, got)
		}
	}
	check("without accounts", table.Grant(1, nil, 10, 0, now), grantMax, false)
	if r := table.Grant(1, nil, 10, 0, now); r.Left != math.MaxUint64 || r.Millis != grantLife.Milliseconds() {
		t.Errorf("%+v", r)
	}
	check("the first", table.Grant(1, tree(1000), 10, 0, now), 500, false)
	check("beside it", table.Grant(2, tree(1000), 10, 0, now), 250, false)
	check("too much", table.Grant(3, tree(1000), 200, 0, now), 0, true)
	check("what fits", table.Grant(3, tree(1000), 125, 0, now), 125, false)
	// A session's own grants count as far as it has not flushed them.
	check("own, flushed", table.Grant(1, tree(1000), 10, 0, now), 312, false)
	check("own, not flushed", table.Grant(2, tree(2000), 10, 250, now), (2000-125-812-250)/2, false)
	check("own alone", table.Grant(9, []Account{{fs.QuotaID{Number: 9}, 100}}, 50, 0, now), 50, false)
	check("own in the way", table.Grant(9, []Account{{fs.QuotaID{Number: 9}, 100}}, 50, 50, now), 0, true)
	check("nothing in the way", table.Grant(9, []Account{{fs.QuotaID{Number: 9}, 50}}, 50, 0, now), 0, false)
	// The scarcest account decides, and each of them remembers.
	both := []Account{{fs.QuotaID{Number: 7}, 1000}, {fs.QuotaID{User: true, Number: 7}, 40}}
	check("two accounts", table.Grant(1, both, 20, 0, now), 20, false)
	check("the other sees it", table.Grant(2, both[1:], 11, 0, now), 0, true)
	later := now.Add(grantLife)
	check("when the time is over", table.Grant(3, tree(1000), 10, 0, later), 500, false)
	check("and again", table.Grant(2, both[1:], 11, 0, later), 20, false)
}

func TestGrant_ForgetsWhatIsOver(t *testing.T) {
	table, now := NewTable(), time.Now()
	for n := range 1000 {
		table.Grant(1, []Account{{fs.QuotaID{Number: 2}, 1 << 40}}, 1, 0, now.Add(time.Duration(n)*grantLife))
	}
	if n := len(table.grants[fs.QuotaID{Number: 2}]); n != 1 {
		t.Errorf("%d grants are remembered", n)
	}
}
