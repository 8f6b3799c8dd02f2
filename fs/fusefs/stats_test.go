package fusefs

import (
	"testing"
	"time"
)

func TestStats_CountLatenciesInBuckets(t *testing.T) {
	var c counters
	for _, took := range []time.Duration{0, 50 * time.Microsecond, 51 * time.Microsecond, time.Second, time.Hour} {
		c.begin(OpRead)
		c.end(OpRead, took, took == time.Hour)
	}
	c.begin(OpWrite)
	c.read.Add(100)
	s := c.snapshot()
	read := s.Ops[OpRead]
	want := map[time.Duration]uint64{50 * time.Microsecond: 2, 100 * time.Microsecond: 1, time.Second: 1}
	for i, bound := range LatencyBounds() {
		if read.Buckets[i] != want[bound] {
			t.Errorf("up to %v: %d, want %d", bound, read.Buckets[i], want[bound])
		}
	}
	if read.Count != 5 || read.Errors != 1 {
		t.Errorf("%+v", read)
	}
	if a := s.Activity(); a.Ops != 5 || a.Errors != 1 || a.InFlight != 1 || a.ReadBytes != 100 || a.BusyNanos != uint64(time.Hour+time.Second+101*time.Microsecond) {
		t.Errorf("%+v", a)
	}
}
