package changes

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"dfs/fs"
)

const (
	keptMax      = 16 << 10       // changes that are remembered
	keptBytesMax = 16 << 20       // … and bytes of them, about
	keepFor      = time.Minute    // how long they are, when nobody watches any more: a watcher may come back
	watchersMax  = 256            // of one node
	eventBytes   = 512            // of a change, but for its paths
	allOfEntry   = math.MaxUint32 // behind all changes of an entry
)

// Feed is a node's memory of the latest changes. The zero value is of no use; see NewFeed.
//
// Invariant: if begun is not 0, list has every change behind from, up to upto, in order.
type Feed struct {
	begun atomic.Uint64 // counts the times that somebody began to watch; 0: nobody watches

	mu       sync.Mutex
	times    uint64 // what begun was last
	watchers int
	left     uint64      // counts how often the last watcher left
	idle     *time.Timer // ends the memory; nil while somebody watches, or there is none
	list     []*event
	bytes    int
	from     fs.Position
	upto     fs.Position
	changed  chan struct{} // closed and replaced when anything above is
}

// NewFeed makes a Feed that nobody watches.
func NewFeed() *Feed { return &Feed{changed: make(chan struct{})} }

// Close ends what the Feed does by itself. No watcher is left by then.
func (f *Feed) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.idle != nil {
		f.idle.Stop()
	}
}

// enter adds a watcher. The result is the position behind which all will be told: committed is asked, once the Tracer cannot
// miss that somebody watches, for an index that is not below that of any entry which it may be applying already.
func (f *Feed) enter(committed func() uint64) (fs.Position, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.watchers >= watchersMax {
		return fs.Position{}, fmt.Errorf("%d watch already, no more are taken: %w", f.watchers, fs.ErrUnavailable)
	}
	f.watchers++
	if f.idle != nil {
		f.idle.Stop()
		f.idle = nil
	}
	if f.begun.Load() != 0 {
		return fs.Position{Index: committed(), N: allOfEntry}, nil
	}
	f.times++
	f.begun.Store(f.times)
	f.from = fs.Position{Index: committed(), N: allOfEntry}
	f.upto = f.from
	return f.from, nil
}

// leave takes a watcher away. When it was the last the memory stays for a while.
func (f *Feed) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.watchers--; f.watchers == 0 {
		f.left++
		left := f.left
		f.idle = time.AfterFunc(keepFor, func() { f.end(left) })
	}
}

// end forgets everything, unless somebody came meanwhile.
func (f *Feed) end(left uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.idle != nil && f.left == left {
		f.idle, f.list, f.bytes = nil, nil, 0
		f.begun.Store(0)
	}
}

// Publish adds what the entries up to an index have changed; they are applied.
func (f *Feed) Publish(entries []*Entry, upto uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.begun.Load() == 0 || upto <= f.from.Index {
		return
	}
	for _, e := range entries {
		for _, c := range e.list {
			if f.from.Less(c.Position) { // what was applied while the first watcher came is partly known
				f.add(c)
			}
		}
	}
	f.upto = fs.Position{Index: upto, N: allOfEntry}
	f.wake()
}

// Lose records that changes up to an index are not known.
func (f *Feed) Lose(upto uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.begun.Load() == 0 || upto < f.upto.Index {
		return
	}
	f.times++ // names that are remembered may be wrong
	f.begun.Store(f.times)
	f.list, f.bytes = nil, 0
	f.from = fs.Position{Index: upto, N: allOfEntry}
	f.upto = f.from
	f.wake()
}

func (f *Feed) wake() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// add keeps a change, and as many before it as there is room for.
func (f *Feed) add(c *event) {
	f.list = append(f.list, c)
	f.bytes += c.size()
	n := 0
	for ; len(f.list)-n > keptMax || f.bytes > keptBytesMax && len(f.list)-n > 1; n++ {
		f.bytes -= f.list[n].size()
		f.from = f.list[n].Position
		f.list[n] = nil
	}
	f.list = f.list[n:]
}

// size is what a change takes, about.
func (c *event) size() int {
	n := eventBytes + len(c.Xattr)
	for _, list := range [][]*where{c.at, c.to} {
		for _, w := range list {
			n += len(w.path) + 8*len(w.dirs)
		}
	}
	return n
}

// batch is what a watcher takes out of a Feed at once.
type batch struct {
	list       []*event
	from, upto fs.Position
	missing    bool
	changed    <-chan struct{}
}

// after returns at most limit changes behind a position.
func (f *Feed) after(at fs.Position, limit int) batch {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := batch{from: at, upto: f.upto, changed: f.changed}
	if at.Less(f.from) {
		b.from, b.missing = f.from, true
	}
	first, _ := slices.BinarySearchFunc(f.list, b.from, func(c *event, p fs.Position) int {
		if p.Less(c.Position) {
			return 1
		}
		return -1
	})
	b.list = slices.Clone(f.list[first:min(len(f.list), first+limit)])
	if first+len(b.list) < len(f.list) {
		b.upto = b.list[len(b.list)-1].Position
	}
	if b.upto.Less(b.from) {
		b.upto = b.from // this node is behind what the watcher knows
	}
	return b
}
