package fusefs

import (
	"sync/atomic"
	"time"
)

// OpStat is how one kind of request has fared since the mount.
type OpStat struct {
	Op       Op
	Count    uint64
	Errors   uint64 // answered with an errno, ENOENT of a lookup included
	Busy     time.Duration
	InFlight int64
}

// Stats is what the mount has done so far.
type Stats struct {
	Ops        []OpStat // one of each kind
	Interrupts uint64   // calls that a fatal signal ended early
	Survived   uint64   // calls that went on although a signal had come
	Panics     uint64
	Files      int // open file handles
	Dirs       int // open directory handles
}

type opCounter struct {
	count, errors, nanos atomic.Uint64
	inFlight             atomic.Int64
}

type counters struct {
	ops                          [opCount]opCounter
	interrupts, survived, panics atomic.Uint64
}

func (c *counters) begin(op Op) { c.ops[op].inFlight.Add(1) }

func (c *counters) end(op Op, took time.Duration, failed bool) {
	o := &c.ops[op]
	o.inFlight.Add(-1)
	o.count.Add(1)
	o.nanos.Add(uint64(took))
	if failed {
		o.errors.Add(1)
	}
}

func (c *counters) snapshot() Stats {
	s := Stats{Ops: make([]OpStat, opCount), Interrupts: c.interrupts.Load(),
		Survived: c.survived.Load(), Panics: c.panics.Load()}
	for i := range s.Ops {
		o := &c.ops[i]
		s.Ops[i] = OpStat{
			Op:       Op(i),
			Count:    o.count.Load(),
			Errors:   o.errors.Load(),
			Busy:     time.Duration(o.nanos.Load()),
			InFlight: o.inFlight.Load(),
		}
	}
	return s
}
