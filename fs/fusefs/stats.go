package fusefs

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"dfs/fs"
)

// OpStat is how one kind of request has fared since the mount.
type OpStat struct {
	Op       Op
	Count    uint64
	Errors   uint64 // answered with an errno, ENOENT of a lookup included
	Busy     time.Duration
	InFlight int64
	// Buckets count the requests by the time that they took: Buckets[i] those above the bound before it and up to
	// LatencyBounds()[i]. What took longer than the last bound is in Count only.
	Buckets []uint64
}

// Stats is what the mount has done so far.
type Stats struct {
	Ops        []OpStat // one of each kind
	Interrupts uint64   // calls that a fatal signal ended early
	Survived   uint64   // calls that went on although a signal had come
	Panics     uint64
	Uncovered  uint64 // drops of pages that no lease would have recalled
	Read       uint64 // bytes of file data
	Written    uint64
	Files      int // open file handles
	Dirs       int // open directory handles
}

// latencyBounds are the buckets' upper bounds: from what the page cache takes to what a time-out allows.
var latencyBounds = [...]time.Duration{50 * time.Microsecond, 100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2500 * time.Millisecond, 5 * time.Second,
	10 * time.Second, 30 * time.Second}

// LatencyBounds are the upper bounds of OpStat.Buckets, rising.
func LatencyBounds() []time.Duration { return slices.Clone(latencyBounds[:]) }

type opCounter struct {
	count, errors, nanos atomic.Uint64
	inFlight             atomic.Int64
	buckets              [len(latencyBounds)]atomic.Uint64
}

type counters struct {
	ops                          [opCount]opCounter
	interrupts, survived, panics atomic.Uint64
	uncovered                    atomic.Uint64
	read, written                atomic.Uint64 // bytes
}

func (c *counters) begin(op Op) { c.ops[op].inFlight.Add(1) }

func (c *counters) end(op Op, took time.Duration, failed bool) {
	o := &c.ops[op]
	o.inFlight.Add(-1)
	o.count.Add(1)
	o.nanos.Add(uint64(took))
	if i, _ := slices.BinarySearch(latencyBounds[:], took); i < len(latencyBounds) {
		o.buckets[i].Add(1)
	}
	if failed {
		o.errors.Add(1)
	}
}

func (c *counters) snapshot() Stats {
	s := Stats{Ops: make([]OpStat, opCount), Interrupts: c.interrupts.Load(),
		Survived: c.survived.Load(), Panics: c.panics.Load(), Uncovered: c.uncovered.Load(), Read: c.read.Load(), Written: c.written.Load()}
	for i := range s.Ops {
		o := &c.ops[i]
		s.Ops[i] = OpStat{
			Op:       Op(i),
			Count:    o.count.Load(),
			Errors:   o.errors.Load(),
			Busy:     time.Duration(o.nanos.Load()),
			InFlight: o.inFlight.Load(),
			Buckets:  make([]uint64, len(latencyBounds)),
		}
		for b := range o.buckets {
			s.Ops[i].Buckets[b] = o.buckets[b].Load()
		}
	}
	return s
}

// Activity is the sum over all kinds of request.
func (s *Stats) Activity() fs.Activity {
	a := fs.Activity{ReadBytes: s.Read, WriteBytes: s.Written}
	for i := range s.Ops {
		o := &s.Ops[i]
		a.Ops += o.Count
		a.Errors += o.Errors
		a.BusyNanos += uint64(o.Busy)
		a.InFlight += uint64(max(0, o.InFlight))
	}
	return a
}

// String is a table for people, of the kinds that have been asked for.
func (s *Stats) String() string {
	out := &strings.Builder{}
	t := tabwriter.NewWriter(out, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "requests\terrors\tin flight\tmean ms\tkind\t")
	for i := range s.Ops {
		o := &s.Ops[i]
		if o.Count == 0 && o.InFlight == 0 {
			continue
		}
		fmt.Fprintf(t, "%d\t%d\t%d\t%.3f\t%s\t\n", o.Count, o.Errors, o.InFlight, float64(o.Busy)/1e6/float64(max(1, o.Count)), o.Op)
	}
	_ = t.Flush() // a strings.Builder does not fail
	fmt.Fprintf(out, "%d bytes read, %d written; %d files and %d directories open; %d interrupts, %d panics\n",
		s.Read, s.Written, s.Files, s.Dirs, s.Interrupts, s.Panics)
	return out.String()
}
