package vfs

import (
	"bytes"
	"fmt"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"dfs/fs"
	"dfs/raftmeta/localmeta"
)

// filler is a file that a front of mount a has mapped, and that b writes.
type filler struct {
	t    *testing.T
	a, b *mount
	k    *kernel // a's
	h    *Handle // a's
	w    *Handle // b's
	old  []byte
}

func fillers(t *testing.T, fn func(f *filler)) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, localmeta.Config{})
		f := &filler{t: t, a: w.leased(t, Config{}), b: w.leased(t, Config{}), old: pattern(1, 20000), k: &kernel{}}
		f.a.SetKernel(f.k)
		f.w = f.b.create("f")
		f.w.mustWrite(t, f.old, 0)
		f.w.mustFlush(t)
		f.h = f.a.open("f", syscall.O_RDONLY)
		fn(f)
	})
}

type filled struct {
	data    []byte
	covered bool
	err     error
}

// fill reads all as a front does that keeps pages.
func (f *filler) fill() filled {
	p := make([]byte, len(f.old))
	n, covered, err := f.h.ReadPages(ctxT(f.t), p, 0)
	return filled{p[:n], covered, err}
}

func (f *filler) is(got filled, want []byte) {
	f.t.Helper()
	if got.err != nil || !got.covered || !bytes.Equal(got.data, want) {
		f.t.Fatalf("covered %v, %v: %s", got.covered, got.err, diff(got.data, want))
	}
}

func (f *filler) later(fn func() filled) chan filled {
	done := make(chan filled, 1)
	go func() { done <- fn() }()
	return done
}

// write has b write, and returns a channel that tells when that is done.
func (f *filler) write(p []byte) chan filled {
	return f.later(func() filled {
		_, err := f.w.Write(ctxT(f.t), p, 0)
		return filled{err: err}
	})
}

func (f *filler) drops() int {
	f.k.mu.Lock()
	defer f.k.mu.Unlock()
	return f.k.dropped[f.h.Ino()]
}

func TestFill_UnderALeaseThatIsGivenBackMeanwhileReadsAnew(t *testing.T) {
	fillers(t, func(f *filler) {
		g := f.a.block("get")
		page := f.later(f.fill)
		<-g.reached
		changed := pattern(2, 20000)
		if r := <-f.write(changed); r.err != nil {
			t.Fatal(r.err)
		}
		close(g.open)
		f.is(<-page, changed)
	})
}

func TestFill_DuringThePassIsHeldBackOrDroppedByAnother(t *testing.T) {
	for _, ends := range []bool{true, false} {
		t.Run(fmt.Sprintf("the pass ends soon %v", ends), func(t *testing.T) {
			fillers(t, func(f *filler) {
				f.is(f.fill(), f.old)
				hold := make(chan struct{})
				f.k.hold, f.k.reached = hold, make(chan struct{}, 9)
				changed := pattern(2, 20000)
				written := f.write(changed)
				<-f.k.reached
				page := f.later(f.fill)
				synctest.Wait()
				if len(page) > 0 {
					t.Error("a page is answered at once while others are being dropped")
				}
				if !ends { // it waits for this page, perhaps
					time.Sleep(2 * fillPatience)
					f.is(<-page, f.old)
				}
				f.k.mu.Lock()
				f.k.hold = nil
				f.k.mu.Unlock()
				close(hold)
				if r := <-written; r.err != nil {
					t.Fatal(r.err)
				}
				if ends {
					f.is(<-page, changed)
				}
				if got, want := f.drops(), map[bool]int{true: 1, false: 2}[ends]; got != want {
					t.Errorf("the pages were dropped %d times before the change, want %d", got, want)
				}
			})
		})
	}
}

// A file that is opened while its lease goes back, of which the front is not thought to have anything, is dropped all the same.
func TestFill_OfWhatNobodyIsToldOfIsDropped(t *testing.T) {
	l := newLeases(func() time.Duration { return 0 }, 10)
	k := &known{ino: 5}
	l.giving[5] = &giving{k: k}
	if !l.covers(ctxT(t), 5, k, l.entered()) || !l.giving[5].again {
		t.Error("the page stays")
	}
}

// A session ends while a lease goes back, and the next one gets a lease on the same inode: that one's pages still go before it does.
func TestGivingBack_TakesNothingOfTheNextSessionsLease(t *testing.T) {
	l := newLeases(func() time.Duration { return 0 }, 10)
	l.holder.Renew(0, time.Hour)
	l.attached(1)
	l.back(l.leave(), &fs.LeaseCall{Term: 1, Got: []fs.Lease{{Ino: 5, Mode: fs.LeaseShared, Seq: 1}}}, func() {})
	k := l.known[5]
	l.giving[5] = &giving{}
	if told, lowered := l.forgetting([]fs.Ino{5}, map[fs.Ino]bool{5: true}); l.known[5] != k || len(told)+len(lowered) > 0 {
		t.Error("what is known under it is forgotten")
	}
	l.holder.Recalled(fs.Recall{Ino: 5, Seq: 1})
	if told, _ := l.forgetting([]fs.Ino{5}, map[fs.Ino]bool{5: true}); len(told) != 1 {
		t.Error("its pages stay")
	}
}
