package torture

import "math/rand/v2"

// Promise is what a filesystem is held to.
type Promise int

const (
	// Published is: what one mount has fsynced the others see, and names are everybody's at once. So whatever changes content
	// is followed by fsync before it counts as over, one process a mount looks at files' content, and only one mount
	// appends to a file.
	Published Promise = iota
	// Coherent is: two mounts behave as two processes on one machine. What was not fsynced may be lost, from its end,
	// if the mount's session ends before anybody else has looked.
	Coherent
)

// Mounts and workers: worker w is on mount w % Mounts.
const (
	Mounts          = 2
	workersPerMount = 2
	Workers         = Mounts * workersPerMount
)

// Files. Each is made of slots of eight bytes, stride bytes apart, with holes between.
const (
	narrow = iota // eight bytes apart: all in one page, and in the metadata
	wide          // spread over pages, and too large for the metadata
	log           // only ever appended to
	cutLog        // appended to and truncated
	files
)

const (
	slots     = 6    // of narrow and wide
	slotsRead = 256  // as many as a read of all may find
	wideApart = 1504 // bytes
)

func stride(file int) int64 {
	if file == wide {
		return wideApart
	}
	return 8
}

// Plan makes operations.
type Plan struct {
	Seed    uint64
	Promise Promise
}

// Round makes the operations of a round: for each phase, for each worker, a list. Rounds of one plan with equal numbers are equal.
// The first operations of phase 1 mostly change content.
func (p Plan) Round(number, phases, opsPerPhase int) [][Workers][]Op {
	chance := rand.New(rand.NewPCG(p.Seed, uint64(number)))
	g := &generator{Rand: chance, promise: p.Promise, appender: chance.IntN(Mounts)}
	all := make([][Workers][]Op, phases)
	for phase := range all {
		for w := range Workers {
			for i := range opsPerPhase {
				g.busy = phase == 1 && i < busyOps
				all[phase][w] = append(all[phase][w], g.next(w))
			}
		}
	}
	return all
}

type generator struct {
	*rand.Rand
	promise  Promise
	appender int  // the mount that appends, where only one may
	busy     bool // most operations change content: a fault begins among them, and what it meets is what it can lose
	values   uint32
}

func (g *generator) next(worker int) Op {
	switch {
	case g.promise == Published && worker >= Mounts:
		return g.onNames()
	case g.busy && g.IntN(8) > 0:
		for range busyTries {
			if op := g.onContent(worker % Mounts); op.changes() {
				return op
			}
		}
	case g.IntN(2) == 0:
		return g.onNames()
	}
	return g.onContent(worker % Mounts)
}

const (
	busyOps   = 5 // that a fault may meet; after more of them what was lost would be written over before anybody sees
	busyTries = 4 // how often an operation that changes something is looked for
)

// pick chooses by weight.
func pick[T any](g *generator, choices []weighted[T]) T {
	sum := 0
	for _, c := range choices {
		sum += c.weight
	}
	n := g.IntN(sum)
	for _, c := range choices {
		if n -= c.weight; n < 0 {
			return c.of
		}
	}
	panic("the weights do not sum up")
}

type weighted[T any] struct {
	of     T
	weight int
}

func (g *generator) onNames() Op {
	op := Op{Name: g.name(), To: g.name(), Kind: pick(g, []weighted[Kind]{
		{Create, 10}, {Open, 10}, {Stat, 22}, {Unlink, 12}, {Mkdir, 6}, {Rmdir, 6}, {Rename, 12}, {NoReplace, 5}, {Exchange, 5},
		{Link, 6}, {List, 6}, {SyncDir, 2},
	})}
	for op.To == op.Name {
		op.To = g.name()
	}
	switch op.Kind {
	case Rename, NoReplace, Exchange, Link:
	default:
		op.To = Name{}
	}
	return op
}

func (g *generator) name() Name { return Name{Dir: g.IntN(dirs), Name: g.IntN(namesPerDir)} }

func (g *generator) onContent(mount int) Op {
	op := Op{File: g.IntN(files)}
	mayAppend := g.promise == Coherent || mount == g.appender
	switch op.File {
	case narrow, wide:
		op.Slot = g.IntN(slots)
		op.Kind = pick(g, []weighted[Kind]{{Write, 30}, {Truncate, 8}, {Read, 22}, {ReadAll, 8}, {ReadMap, 10}, {Size, 14}, {Sync, 4}, {Reopen, 4}})
	case log:
		op.Kind = pick(g, []weighted[Kind]{{Append, 50}, {Read, 15}, {ReadAll, 15}, {Size, 12}, {Sync, 4}, {Reopen, 4}})
		op.Slot = g.IntN(4 * slots)
	case cutLog:
		op.Kind = pick(g, []weighted[Kind]{{Append, 45}, {Truncate, 10}, {Read, 15}, {Size, 22}, {Sync, 4}, {Reopen, 4}})
		op.Slot = g.IntN(slots)
	}
	if !mayAppend && op.File >= log && op.changes() {
		op.Kind = Size
	}
	if op.Kind == Size || op.Kind == Append || op.Kind == Sync || op.Kind == Reopen || op.Kind == ReadAll {
		op.Slot = 0
	}
	if op.Kind == Write || op.Kind == Append {
		g.values++
		op.Value = g.values
	}
	op.Sync = op.changes() && (g.promise == Published || g.IntN(5) == 0)
	return op
}
