package room

import (
	"math"
	"testing"
	"time"

	"dfs/fs"
)

func TestGrant_LeavesRoomForWhatIsGranted(t *testing.T) {
	table, now := NewTable(), time.Now()
	tree := func(left uint64) []Account { return []Account{{fs.QuotaID{Number: 2}, left}} }
	none, all := fs.Return{}, fs.Return{All: true}
	check := func(what string, got fs.Room, bytes uint64, wait bool) {
		t.Helper()
		if got.Bytes != bytes || got.Wait != wait {
			t.Errorf("%s: %+v", what, got)
		}
	}
	check("without accounts", table.Grant(1, nil, 10, none, now), grantMax, false)
	if r := table.Grant(1, nil, 10, none, now); r.Left != math.MaxUint64 || r.Millis != grantLife.Milliseconds() {
		t.Errorf("%+v", r)
	}
	check("the first", table.Grant(1, tree(1000), 10, none, now), 500, false)
	check("another's beside it", table.Grant(2, tree(1000), 10, none, now), 250, false)
	check("its own beside them", table.Grant(1, tree(1000), 10, none, now), 125, false)
	check("too much", table.Grant(3, tree(1000), 63, none, now), 0, true)
	check("the first has flushed 625 and returns", table.Grant(1, tree(375), 63, all, now), 0, true)
	check("what fits", table.Grant(1, tree(375), 62, none, now), 62, false)
	check("it returns with something in memory", table.Grant(1, tree(375), 50, fs.Return{All: true, Held: 60}, now), 0, true)
	check("the other returns", table.Grant(2, tree(375), 150, all, now), 157, false)
	if full, short := table.Grant(1, tree(0), 1, none, now), table.Grant(1, []Account{{ID: fs.QuotaID{}}}, 1, none, now); !full.Full || short.Full {
		t.Errorf("a quota that leaves nothing: %+v; space that may be exhausted: %+v", full, short)
	}
	// The scarcest account decides, and each of them remembers.
	both := []Account{{fs.QuotaID{Number: 7}, 1000}, {fs.QuotaID{User: true, Number: 7}, 40}}
	check("two accounts", table.Grant(1, both, 20, none, now), 20, false)
	check("the other sees it", table.Grant(2, both[1:], 11, none, now), 0, true)
	later := now.Add(grantLife)
	check("when the time is over", table.Grant(3, tree(1000), 10, none, later), 500, false)
	check("and again", table.Grant(2, both[1:], 11, none, later), 20, false)
}

func TestGrant_HoldsWhatIsWrittenThrough(t *testing.T) {
	table, now := NewTable(), time.Now()
	account := []Account{{fs.QuotaID{Number: 9}, 100}}
	all := fs.Return{All: true}
	if r := table.Grant(1, account, 70, all, now); r.Bytes != 0 || r.Wait || r.Left != 100 {
		t.Errorf("nothing is in the way: %+v", r)
	}
	if r := table.Grant(2, account, 20, all, now); r.Bytes != 0 || !r.Wait {
		t.Errorf("what is written through is in the way: %+v", r)
	}
	if r := table.Grant(1, []Account{{fs.QuotaID{Number: 9}, 30}}, 70, all, now); r.Bytes != 0 || r.Wait {
		t.Errorf("its own next one: %+v", r)
	}
	if r := table.Grant(2, []Account{{fs.QuotaID{Number: 9}, 0}}, 20, all, now.Add(grantLife)); r.Bytes != 0 || r.Wait {
		t.Errorf("nothing is left, nor in the way: %+v", r)
	}
}

// What a mount says of itself may be wrong: it neither makes room out of nothing nor takes all that there is.
func TestGrant_BelievesNoAbsurdNumbers(t *testing.T) {
	now, account := time.Now(), []Account{{fs.QuotaID{Number: 2}, 1000}}
	table := NewTable()
	for id := range fs.SessionID(2) { // their sum would be 0
		table.Grant(id+1, account, 1, fs.Return{All: true, Held: 1 << 63}, now)
	}
	if r := table.Grant(3, account, 1, fs.Return{}, now); r.Bytes != 0 || !r.Wait {
		t.Errorf("granted beside what is in memory: %+v", r)
	}
	account[0].Left = 1 << 40
	table = NewTable()
	table.Grant(1, account, math.MaxUint64, fs.Return{All: true}, now)
	if r := table.Grant(2, account, 10, fs.Return{}, now); r.Bytes == 0 {
		t.Errorf("one session holds a terabyte: %+v", r)
	}
}

func TestGrant_ForgetsWhatIsOver(t *testing.T) {
	table, now := NewTable(), time.Now()
	for n := range 1000 {
		table.Grant(1, []Account{{fs.QuotaID{Number: 2}, 1 << 40}}, 1, fs.Return{}, now.Add(time.Duration(n)*grantLife))
	}
	if n := len(table.grants[fs.QuotaID{Number: 2}]); n != 1 {
		t.Errorf("%d grants are remembered", n)
	}
}
