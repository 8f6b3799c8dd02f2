package leasedesk

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dfs/fs"
)

// office is a desk with two sessions, 1 and 2, whose mounts answer when the test says so.
type office struct {
	*Desk
	t     *testing.T
	mu    sync.Mutex
	heard map[fs.SessionID][]fs.Recall
}

// at runs a test at a desk, in fake time.
func at(t *testing.T, owing []fs.SessionID, fn func(t *testing.T, o *office)) {
	synctest.Test(t, func(t *testing.T) {
		o := &office{Desk: New(7, owing), t: t, heard: map[fs.SessionID][]fs.Recall{}}
		for s := fs.SessionID(1); s <= 2; s++ {
			o.Open(s)
			if !slices.Contains(owing, s) {
				o.attach(s)
			}
		}
		fn(t, o)
		o.Close(fs.ErrNotLeader)
		synctest.Wait()
	})
}

func (o *office) attach(s fs.SessionID, held ...fs.Lease) {
	o.t.Helper()
	err := o.Attach(s, held, time.Hour, func(r []fs.Recall) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.heard[s] = append(o.heard[s], r...)
	})
	if err == nil {
		err = o.Told(s)
	}
	if err != nil {
		o.t.Fatal(err)
	}
}

// recalls are what a session has been sent since it was last asked for, once all is quiet.
func (o *office) recalls(s fs.SessionID) []fs.Recall {
	synctest.Wait()
	o.mu.Lock()
	defer o.mu.Unlock()
	list := o.heard[s]
	delete(o.heard, s)
	return list
}

// hold gives a session a lease, which is no longer fresh.
func (o *office) hold(s fs.SessionID, mode fs.LeaseMode, ino fs.Ino) fs.Lease {
	o.t.Helper()
	list, err := o.Read(o.t.Context(), s, mode, ino)
	if err != nil || len(list) != 1 || list[0].Mode != mode || list[0].Ino != ino {
		o.t.Fatalf("session %d is granted %v, %v", s, list, err)
	}
	time.Sleep(overtaking)
	return list[0]
}

// giveBack answers a recall, or comes unasked.
func (o *office) giveBack(s fs.SessionID, l fs.Lease, keep fs.LeaseMode) {
	o.Ack(s, []fs.LeaseAck{{Ino: l.Ino, Seq: l.Seq, Mode: keep}})
}

// later runs a call that is to wait.
type later struct {
	done chan struct{}
	list []fs.Lease
	work *Work
	err  error
}

func (o *office) later(fn func(l *later)) *later {
	l := &later{done: make(chan struct{})}
	go func() {
		defer close(l.done)
		fn(l)
	}()
	return l
}

// waits reports whether a call waits still, once all is quiet.
func (l *later) waits() bool {
	synctest.Wait()
	select {
	case <-l.done:
		return false
	default:
		return true
	}
}

func (o *office) read(ctx context.Context, s fs.SessionID, mode fs.LeaseMode, ino fs.Ino) *later {
	return o.later(func(l *later) { l.list, l.err = o.Read(ctx, s, mode, ino) })
}

func (o *office) begin(ctx context.Context, s fs.SessionID, call fs.LeaseCall, names map[string]fs.Ino, ops ...fs.Op) *later {
	return o.later(func(l *later) {
		l.work, l.err = o.Begin(ctx, s, &fs.Tx{Ops: ops}, call, func(_ fs.Ino, n string) (fs.Ino, error) { return names[n], nil })
	})
}

func write(ino fs.Ino) fs.Op { return &fs.Write{Ino: ino} }

func TestChange_WaitsForAllWhoCacheAndLetsNobodyCacheUntilItsEnd(t *testing.T) {
	at(t, nil, func(t *testing.T, o *office) {
		mine, other := o.hold(1, fs.LeaseShared, 5), o.hold(2, fs.LeaseShared, 5)
		w := o.begin(t.Context(), 1, fs.LeaseCall{}, nil, write(5))
		if !w.waits() {
			t.Fatal("a change does not wait for those who cache")
		}
		for s, l := range map[fs.SessionID]fs.Lease{1: mine, 2: other} {
			if got := o.recalls(s); len(got) != 1 || got[0] != (fs.Recall{Ino: 5, Seq: l.Seq}) {
				t.Errorf("session %d hears %v", s, got)
			}
		}
		o.giveBack(2, other, fs.LeaseNone)
		if !w.waits() {
			t.Error("a change does not wait for its own session's shared lease")
		}
		o.giveBack(1, mine, fs.LeaseNone)
		if w.waits() || w.err != nil {
			t.Fatalf("the change goes on: %v", w.err)
		}
		if list, err := o.Read(t.Context(), 2, fs.LeaseShared, 5); err != nil || len(list) != 0 {
			t.Errorf("during the change somebody is granted %v, %v", list, err)
		}
		w.work.End(true)
		if list, err := o.Read(t.Context(), 2, fs.LeaseShared, 5); err != nil || len(list) != 1 {
			t.Errorf("after it somebody is granted %v, %v", list, err)
		}
	})
}

func TestChange_OfWhoHoldsItExclusivelyGoesAtOnce(t *testing.T) {
	at(t, nil, func(t *testing.T, o *office) {
		o.hold(1, fs.LeaseExclusive, 5)
		w := o.begin(t.Context(), 1, fs.LeaseCall{}, nil, write(5))
		if w.waits() || w.err != nil {
			t.Fatalf("a flush waits, or %v", w.err)
		}
		w.work.End(true)
		if got := o.recalls(1); len(got) > 0 {
			t.Errorf("it is recalled: %v", got)
		}
	})
}

func TestStray_WaitsForNobodyButRecalls(t *testing.T) {
	at(t, nil, func(t *testing.T, o *office) {
		o.hold(2, fs.LeaseShared, 5)
		w := o.begin(t.Context(), 1, fs.LeaseCall{Stray: true}, nil, write(5))
		if w.waits() || w.err != nil {
			t.Fatalf("it waits, or %v", w.err)
		}
		if got := o.recalls(2); len(got) != 1 {
			t.Errorf("the other hears %v", got)
		}
		w.work.End(true)
	})
}

func TestGivenUpChange_LeavesNothingBehind(t *testing.T) {
	at(t, nil, func(t *testing.T, o *office) {
		held := o.hold(2, fs.LeaseShared, 6)
		ctx, cancel := context.WithCancel(t.Context())
		w := o.begin(ctx, 1, fs.LeaseCall{}, nil, write(5), write(6), &fs.Unlink{Parent: 7, Name: "x"})
		if !w.waits() {
			t.Fatal("it does not wait")
		}
		cancel()
		if w.waits() || !errors.Is(w.err, context.Canceled) {
			t.Fatalf("after its caller has gone: %v", w.err)
		}
		for _, ino := range []fs.Ino{5, 7} {
			o.hold(2, fs.LeaseExclusive, ino) // nothing is being changed
		}
		o.giveBack(2, held, fs.LeaseNone)
		o.hold(2, fs.LeaseExclusive, 6)
		if len(o.waiters)+len(o.names) > 0 {
			t.Errorf("%d waiters and %d names are left", len(o.waiters), len(o.names))
		}
	})
}

func TestNames_AreResolvedWhenAllEarlierChangesOfThemAreOver(t *testing.T) {
	at(t, nil, func(t *testing.T, o *office) {
		names := map[string]fs.Ino{"x": 5}
		first := o.begin(t.Context(), 1, fs.LeaseCall{}, names, &fs.Rename{Parent: 1, Name: "y", NewParent: 1, NewName: "x"})
		if first.waits() || first.err != nil {
			t.Fatalf("the first waits, or %v", first.err)
		}
		held := o.hold(2, fs.LeaseShared, 6)
		second := o.begin(t.Context(), 2, fs.LeaseCall{}, names, &fs.Unlink{Parent: 1, Name: "x"})
		if !second.waits() {
			t.Fatal("the second goes on while the first may change what the name means")
		}
		if got := o.recalls(2); len(got) > 0 {
			t.Errorf("it has recalled %v by a name that is about to change", got)
		}
		names["x"] = 6
		first.work.End(true)
		if !second.waits() {
			t.Fatal("it does not wait for whoever caches what the name means now")
		}
		if got := o.recalls(2); len(got) != 1 || got[0].Ino != 6 {
			t.Errorf("recalled: %v", got)
		}
		o.giveBack(2, held, fs.LeaseNone)
		if second.waits() || second.err != nil {
			t.Fatalf("it waits, or %v", second.err)
		}
		second.work.End(true)
		if len(o.names) > 0 {
			t.Errorf("%d names are left", len(o.names))
		}
	})
}

// A session that holds a directory exclusively flushes names into it; nobody may keep a lock on one while he waits for it.
func TestNames_AreNotLockedWhileTheirDirectoryIsWaitedFor(t *testing.T) {
	at(t, nil, func(t *testing.T, o *office) {
		dir := o.hold(2, fs.LeaseExclusive, 1)
		other := o.begin(t.Context(), 1, fs.LeaseCall{}, nil, &fs.Unlink{Parent: 1, Name: "x"})
		if !other.waits() {
			t.Fatal("it does not wait")
		}
		flush := o.begin(t.Context(), 2, fs.LeaseCall{}, nil, &fs.Create{Parent: 1, Name: "x", Ino: 9})
		if flush.waits() || flush.err != nil {
			t.Fatalf("the flush waits, or %v", flush.err)
		}
		flush.work.End(true)
		o.giveBack(2, dir, fs.LeaseNone)
		if other.waits() || other.err != nil {
			t.Fatalf("it waits, or %v", other.err)
		}
		other.work.End(true)
	})
}

func TestBorn_AreKeptIfMadeAndOnlyThen(t *testing.T) {
	for _, done := range []bool{false, true} {
		at(t, nil, func(t *testing.T, o *office) {
			w := o.begin(t.Context(), 1, fs.LeaseCall{Want: fs.LeaseExclusive}, nil, &fs.Create{Parent: 1, Name: "x", Ino: 9}, write(9))
			if w.waits() || w.err != nil {
				t.Fatalf("it waits, or %v", w.err)
			}
			if b := w.work.Born(); len(b) != 1 || b[0].Ino != 9 || b[0].Mode != fs.LeaseExclusive {
				t.Errorf("born: %v", b)
			}
			r := o.read(t.Context(), 2, fs.LeaseNone, 9)
			if !r.waits() {
				t.Error("a read of what is born does not wait")
			}
			w.work.End(done)
			if r.waits() != done {
				t.Errorf("done %v: the read waits %v", done, !done)
			}
			if !done {
				return
			}
			time.Sleep(overtaking)
			if got := o.recalls(1); len(got) == 0 {
				t.Error("nobody asks the maker")
			}
			o.giveBack(1, w.work.Born()[0], fs.LeaseShared)
			if r.waits() {
				t.Error("the read waits still")
			}
		})
	}
}

func TestFreshReign_LetsThroughOnlyWhatCannotBeInAnybodysWay(t *testing.T) {
	at(t, []fs.SessionID{1, 2}, func(t *testing.T, o *office) {
		look, change := o.read(t.Context(), 0, fs.LeaseNone, 5), o.begin(t.Context(), 1, fs.LeaseCall{}, nil, write(6))
		o.attach(1, fs.Lease{Ino: 6, Mode: fs.LeaseExclusive})
		if change.waits() || change.err != nil {
			t.Error("a session that holds an inode exclusively cannot flush it")
		}
		if !look.waits() {
			t.Error("a read does not wait for who has told nothing")
		}
		o.attach(2, fs.Lease{Ino: 5, Mode: fs.LeaseExclusive})
		if got := o.recalls(2); len(got) == 0 || got[0] != (fs.Recall{Ino: 5, To: fs.LeaseShared}) {
			t.Errorf("who holds it hears %v", got)
		}
		if !look.waits() {
			t.Error("a read does not wait for who has told that he holds the inode")
		}
		o.giveBack(2, fs.Lease{Ino: 5}, fs.LeaseShared)
		if look.waits() || look.err != nil {
			t.Errorf("the read waits still, or %v", look.err)
		}
	})
}

func TestFreshReign_EndsWaitingWithTheLastSessionThatOwes(t *testing.T) {
	at(t, []fs.SessionID{1, 2}, func(t *testing.T, o *office) {
		o.attach(1)
		r := o.read(t.Context(), 1, fs.LeaseShared, 5)
		if !r.waits() {
			t.Fatal("it does not wait")
		}
		o.Drop(2)
		if r.waits() || r.err != nil || len(r.list) != 1 {
			t.Errorf("%v, %v", r.list, r.err)
		}
	})
}

// An Attach that was given up arrives late, with an old list.
func TestFreshReign_TakesTheListOfAStreamThatIsUsedOnly(t *testing.T) {
	at(t, []fs.SessionID{1, 2}, func(t *testing.T, o *office) {
		o.attach(1)
		if err := o.Attach(2, []fs.Lease{{Ino: 6, Mode: fs.LeaseExclusive}}, time.Hour, nil); err != nil {
			t.Fatal(err)
		}
		r := o.read(t.Context(), 1, fs.LeaseExclusive, 5)
		if !r.waits() {
			t.Fatal("an old list counts")
		}
		o.attach(2, fs.Lease{Ino: 5, Mode: fs.LeaseExclusive})
		if got := o.recalls(2); len(got) != 1 || got[0].Ino != 5 || !r.waits() {
			t.Errorf("recalled: %v", got)
		}
		o.hold(1, fs.LeaseExclusive, 6) // which is on the old list only
		o.giveBack(2, fs.Lease{Ino: 5}, fs.LeaseNone)
	})
}

func TestContradiction_IsRefused(t *testing.T) {
	at(t, []fs.SessionID{1, 2}, func(t *testing.T, o *office) {
		o.attach(1, fs.Lease{Ino: 5, Mode: fs.LeaseShared})
		if err := o.Attach(2, []fs.Lease{{Ino: 5, Mode: fs.LeaseExclusive}}, time.Hour, nil); err != nil {
			t.Fatal(err)
		}
		if err := o.Told(2); !errors.Is(err, fs.ErrUnavailable) {
			t.Errorf("told: %v", err)
		}
		if r := o.read(t.Context(), 1, fs.LeaseShared, 6); !r.waits() {
			t.Error("the session that was refused is taken to have told all")
		}
	})
}

func TestRecall_IsRepeatedOnANewStreamAndOverdueInTheEnd(t *testing.T) {
	at(t, nil, func(t *testing.T, o *office) {
		l := o.hold(2, fs.LeaseExclusive, 5)
		r := o.read(t.Context(), 1, fs.LeaseShared, 5)
		if got := o.recalls(2); len(got) != 1 || !r.waits() {
			t.Fatalf("recalled: %v", got)
		}
		overdue := func() []fs.SessionID { return o.Overdue(func(fs.SessionID) time.Duration { return 10 * time.Second }) }
		time.Sleep(9 * time.Second)
		if o.attach(2); len(o.recalls(2)) != 1 {
			t.Error("it is not repeated")
		}
		time.Sleep(9 * time.Second)
		if got := overdue(); len(got) > 0 {
			t.Errorf("overdue %v, 9 s after it was sent again", got)
		}
		time.Sleep(2 * time.Second)
		if got := overdue(); !slices.Equal(got, []fs.SessionID{2}) {
			t.Errorf("overdue: %v", got)
		}
		if err := o.Attach(2, nil, 10*time.Second, nil); !errors.Is(err, fs.ErrUnavailable) {
			t.Errorf("attached once more: %v", err)
		}
		o.giveBack(2, l, fs.LeaseShared)
		if got := overdue(); len(got) > 0 || r.waits() {
			t.Errorf("overdue after it was answered: %v", got)
		}
	})
}

func TestDrop_GivesLeasesToOthersAndEndsWaiting(t *testing.T) {
	at(t, nil, func(t *testing.T, o *office) {
		o.hold(2, fs.LeaseExclusive, 5)
		o.hold(1, fs.LeaseExclusive, 6)
		r, own := o.read(t.Context(), 1, fs.LeaseShared, 5), o.begin(t.Context(), 2, fs.LeaseCall{}, nil, write(6))
		if !r.waits() || !own.waits() {
			t.Fatal("they do not wait")
		}
		o.Drop(2)
		if r.waits() || r.err != nil || len(r.list) != 1 {
			t.Errorf("the other is granted %v, %v", r.list, r.err)
		}
		if own.waits() || !errors.Is(own.err, fs.ErrFenced) {
			t.Errorf("its own transaction: %v", own.err)
		}
		if _, err := o.Read(t.Context(), 2, fs.LeaseShared, 7); !errors.Is(err, fs.ErrFenced) {
			t.Errorf("it is granted something after its end: %v", err)
		}
	})
}

func TestClose_EndsAllWaiting(t *testing.T) {
	at(t, nil, func(t *testing.T, o *office) {
		o.hold(2, fs.LeaseExclusive, 5)
		r, w := o.read(t.Context(), 1, fs.LeaseShared, 5), o.begin(t.Context(), 1, fs.LeaseCall{}, nil, write(5))
		if !r.waits() || !w.waits() {
			t.Fatal("they do not wait")
		}
		o.Close(fs.ErrNotLeader)
		if r.waits() || w.waits() || !errors.Is(r.err, fs.ErrNotLeader) || !errors.Is(w.err, fs.ErrNotLeader) {
			t.Errorf("the read: %v; the change: %v", r.err, w.err)
		}
	})
}

func TestRecall_OfAGrantOnItsWayWaitsForIt(t *testing.T) {
	at(t, nil, func(t *testing.T, o *office) {
		if _, err := o.Read(t.Context(), 2, fs.LeaseShared, 5); err != nil {
			t.Fatal(err)
		}
		w := o.begin(t.Context(), 1, fs.LeaseCall{}, nil, write(5))
		if got := o.recalls(2); len(got) > 0 || !w.waits() {
			t.Errorf("recalled at once: %v", got)
		}
		time.Sleep(overtaking)
		if got := o.recalls(2); len(got) != 1 {
			t.Errorf("recalled: %v", got)
		}
	})
}

func TestList_GrantsWhatItCanAndWaitsAMomentForTheRest(t *testing.T) {
	at(t, nil, func(t *testing.T, o *office) {
		shared := o.hold(2, fs.LeaseShared, 5)
		soon, late := o.hold(2, fs.LeaseExclusive, 6), o.hold(2, fs.LeaseExclusive, 7)
		began := time.Now()
		l := o.later(func(l *later) { l.list, l.err = o.List(t.Context(), 1, fs.LeaseExclusive, []fs.Ino{4, 5, 6, 7}) })
		if got := o.recalls(2); len(got) != 2 {
			t.Errorf("recalled: %v", got)
		}
		o.giveBack(2, soon, fs.LeaseShared)
		<-l.done
		if d := time.Since(began); l.err != nil || d != listWait {
			t.Errorf("listed after %v: %v", d, l.err)
		}
		got := ""
		for _, g := range l.list {
			got += fmt.Sprint(g.Ino, " ", g.Mode, ", ")
		}
		if want := "4 exclusive, 5 shared, 6 shared, "; got != want {
			t.Errorf("granted %s, want %s", got, want)
		}
		o.giveBack(2, shared, fs.LeaseNone)
		o.giveBack(2, late, fs.LeaseNone)
		o.hold(2, fs.LeaseExclusive, 7) // the request was taken back
	})
}

func TestPage_WaitsForItsTurnAndForAMomentOnly(t *testing.T) {
	at(t, nil, func(t *testing.T, o *office) {
		page := func() *later {
			return o.later(func(l *later) {
				l.list, l.err = o.ReadAs(t.Context(), fs.LeaseCall{Session: 2, Want: fs.LeaseShared, Page: true}, 5)
			})
		}
		w := o.begin(t.Context(), 1, fs.LeaseCall{}, nil, write(5))
		if w.waits() || w.err != nil {
			t.Fatal(w.err)
		}
		p := page()
		if !p.waits() {
			t.Fatalf("a page is served with %v, %v while the file is being changed", p.list, p.err)
		}
		w.work.End(true)
		if p.waits() || p.err != nil || len(p.list) != 1 || p.list[0].Mode != fs.LeaseShared {
			t.Fatalf("after the change it is granted %v, %v", p.list, p.err)
		}
		o.giveBack(2, p.list[0], fs.LeaseNone)
		if w = o.begin(t.Context(), 1, fs.LeaseCall{}, nil, write(5)); w.waits() || w.err != nil {
			t.Fatal(w.err)
		}
		began, p := time.Now(), page()
		<-p.done
		if d := time.Since(began); p.err != nil || len(p.list) != 0 || d != pageWait {
			t.Errorf("after %v it is granted %v, %v", d, p.list, p.err)
		}
		w.work.End(true)
		o.hold(1, fs.LeaseExclusive, 5) // the request was taken back
	})
}
