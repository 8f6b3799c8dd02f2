package balance

import (
	"testing"
	"testing/synctest"
	"time"

	"dfs/blob/replica"
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
		early := b.Begin("a", replica.GetRequest)
		time.Sleep(10 * time.Millisecond)
		late := b.Begin("a", replica.GetRequest)
		other := b.Begin("b", replica.GetRequest)
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

// A node takes long over large stages, and is quick to read from all the same.
func TestStages_SayNothingOfReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := New("p2c", "p2c", "", 1)
		if err != nil {
			t.Fatal(err)
		}
		b.Update([]fs.NodeInfo{{ID: "a", State: fs.NodeAlive}, {ID: "b", State: fs.NodeAlive}}, 2)
		request := func(node fs.NodeID, kind replica.Request, took time.Duration) {
			end := b.Begin(node, kind)
			time.Sleep(took)
			end(nil)
		}
		request("a", replica.StageRequest, 500*time.Millisecond)
		request("a", replica.GetRequest, time.Millisecond)
		request("b", replica.StageRequest, 50*time.Millisecond)
		request("b", replica.GetRequest, 10*time.Millisecond)
		read, write := map[fs.NodeID]int{}, map[fs.NodeID]int{}
		for range 1000 {
			read[b.ReadOrder(b.Nodes())[0].ID]++
			write[b.WriteOrder(b.Nodes())[0].ID]++
		}
		if read["a"] < 900 || write["b"] < 900 {
			t.Errorf("first to be read from %v, to be written to %v", read, write)
		}
	})
}
