package balance

import (
	"testing"
	"testing/synctest"
	"time"

	"dfs/fs"
)

// A node answers a late request quickly while an early one still runs: its latency is that of the quick one.
func TestOverlappingRequests_AreTimedEachByItsOwnEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := New("random", "p2c", "", 1)
		if err != nil {
			t.Fatal(err)
		}
		b.Update([]fs.NodeInfo{{ID: "a", State: fs.NodeAlive}, {ID: "b", State: fs.NodeAlive}}, 2)
		early := b.Begin("a")
		time.Sleep(10 * time.Millisecond)
		late := b.Begin("a")
		other := b.Begin("b")
		time.Sleep(time.Millisecond)
		late(nil)
		time.Sleep(4 * time.Millisecond)
		other(nil) // after 5 ms
		early(nil) // after 15 ms: smoothed with the 1 ms, 3.8 ms; paired the other way round, 9.8 ms
		first := map[fs.NodeID]int{}
		for range 1000 {
			first[b.ReadOrder(b.Nodes())[0].ID]++
		}
		if first["a"] < 900 {
			t.Errorf("the faster node came first %d times in 1000", first["a"])
		}
	})
}
