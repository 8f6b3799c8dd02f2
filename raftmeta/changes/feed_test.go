package changes

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"dfs/fs"
	"dfs/raftmeta/command"
)

func TestNobodyWatches_NothingIsFollowed(t *testing.T) {
	w := begun(t)
	w.apply(w.tx(1, mkdir(1, "d", 2)))
	if w.tracer.Watching() || len(w.feed.list) != 0 {
		t.Error("changes are followed")
	}
}

func TestWatch_TellsWhatIsAppliedFromNowOn(t *testing.T) {
	w := begun(t)
	w.apply(w.tx(1, mkdir(1, "d", 2)))
	watcher := w.watch(2, fs.Position{}, "")
	first, err := watcher.Recv(t.Context())
	if err != nil || first.Watched != 2 || first.Missing || len(first.List) > 0 || first.From.Index != w.index {
		t.Fatal(first, err)
	}
	w.apply(w.tx(2, mkfile(1, "elsewhere", 3), mkfile(2, "f", 4)))
	w.apply(w.tx(3, &fs.Rename{Parent: 1, Name: "d", NewParent: 1, NewName: "e", Time: 6}))
	w.apply(w.tx(4, &fs.Rename{Parent: 1, Name: "elsewhere", NewParent: 2, NewName: "g", Time: 6}, &fs.Rename{Parent: 2, Name: "f", NewParent: 1, NewName: "h", Time: 6}))
	list, _ := told(t, watcher)
	same(t, "what is below 2", list, "create /d/f", "rename /d /e", "rename /elsewhere /e/g", "rename /e/f /h")
}

// An entry may be being applied, by a goroutine that has seen nobody, while the first watcher comes: no part of it is told.
func TestWatch_BeginsBehindWhatIsBeingApplied(t *testing.T) {
	w := begun(t)
	watcher, err := w.feed.Watch(func() uint64 { return w.index + 1 }, fs.Position{}, "", func() (fs.Ino, error) { return 1, nil })
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = watcher.Close() }()
	of := func(index uint64, path string) *Entry {
		return &Entry{list: []*event{{Change: fs.Change{Kind: fs.ChangeMkdir, Position: fs.Position{Index: index, N: 1}}, at: []*where{{path: path, dirs: []fs.Ino{1}}}}}}
	}
	w.feed.Publish([]*Entry{of(w.index+1, "/d"), of(w.index+2, "/e")}, w.index+2)
	list, missing := told(t, watcher)
	if missing || len(w.feed.list) != 1 {
		t.Errorf("missing %v, %d kept", missing, len(w.feed.list))
	}
	same(t, "the second only", list, "mkdir /e")
}

func TestSlowWatcher_IsToldThatSomethingIsMissing_AndNobodyWaits(t *testing.T) {
	w := begun(t)
	slow, quick := w.watch(fs.RootIno, fs.Position{}, ""), w.watch(fs.RootIno, fs.Position{}, "")
	n := 0
	for seq := uint64(1); seq <= keptMax/1000+1; seq++ {
		var ops []fs.Op
		for range 1000 {
			ops = append(ops, &fs.Setattr{Ino: 1, Set: fs.SetMode, Mode: 0o755, Time: 5})
		}
		w.apply(w.tx(seq, ops...))
		list, missing := told(t, quick)
		if n += len(list); missing {
			t.Fatal("the quick one misses something")
		}
	}
	list, missing := told(t, slow)
	if !missing || len(list) != keptMax {
		t.Errorf("missing %v, %d told, want the last %d", missing, len(list), keptMax)
	}
	if want := int(keptMax/1000+1) * 1000; n != want {
		t.Errorf("%d told, want %d", n, want)
	}
	for i := range list[1:] {
		if !list[i].Less(list[i+1].Position) {
			t.Fatal("out of order")
		}
	}
}

func TestMemory_IsBoundedInBytesToo(t *testing.T) {
	f := NewFeed()
	if _, err := f.enter(func() uint64 { return 0 }); err != nil {
		t.Fatal(err)
	}
	big := &where{path: string(make([]byte, 1<<20))}
	for n := range uint32(100) {
		f.Publish([]*Entry{{list: []*event{{Change: fs.Change{Position: fs.Position{Index: 1, N: n + 1}}, at: []*where{big}}}}}, 1)
	}
	if f.bytes > keptBytesMax || len(f.list) == 0 || len(f.list) > 16 {
		t.Errorf("%d changes of %d bytes are kept", len(f.list), f.bytes)
	}
}

func TestWatcher_ComesBackWhereItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begun(t)
		first := w.watch(fs.RootIno, fs.Position{}, "")
		w.apply(w.tx(1, mkdir(1, "a", 2)))
		_, _ = told(t, first)
		at := first.at
		_ = first.Close()
		w.apply(w.tx(2, mkdir(1, "b", 3)))
		time.Sleep(keepFor - time.Second)
		again := w.watch(fs.RootIno, at, "")
		list, missing := told(t, again)
		if missing {
			t.Error("something is missing")
		}
		same(t, "meanwhile", list, "mkdir /b")
		at = again.at
		_ = again.Close()
		time.Sleep(keepFor + time.Second)
		synctest.Wait()
		if w.tracer.Watching() {
			t.Fatal("changes are still followed")
		}
		w.apply(w.tx(3, mkdir(1, "c", 4)))
		late := w.watch(fs.RootIno, at, "")
		w.apply(w.tx(4, mkdir(1, "d", 5)))
		list, missing = told(t, late)
		if !missing {
			t.Error("nothing is said to be missing")
		}
		same(t, "after all was forgotten", list, "mkdir /d")
	})
}

// A node may be behind the one that the watcher comes from: what it has been told already is not told again.
func TestWatcher_ComesFromANodeThatWasAhead(t *testing.T) {
	w := begun(t)
	watcher := w.watch(fs.RootIno, fs.Position{Index: w.index + 1, N: allOfEntry}, "")
	w.apply(w.tx(1, mkdir(1, "a", 2)))
	w.apply(w.tx(2, mkdir(1, "b", 3)))
	list, missing := told(t, watcher)
	if missing {
		t.Error("something is missing")
	}
	same(t, "behind the position", list, "mkdir /b")
}

func TestLostChanges_AreToldAndNamesLearnedAnew(t *testing.T) {
	w := begun(t)
	watcher := w.watch(fs.RootIno, fs.Position{}, "")
	w.apply(w.tx(1, mkdir(1, "a", 2), mkfile(2, "f", 3)))
	_, _ = told(t, watcher)
	tracer := w.tracer
	w.tracer = NewTracer(NewFeed()) // applied unseen, as by a snapshot
	w.apply(w.tx(2, &fs.Rename{Parent: 1, Name: "a", NewParent: 1, NewName: "b", Time: 6}))
	w.tracer = tracer
	w.feed.Lose(w.index)
	w.apply(w.tx(3, inline(3)))
	list, missing := told(t, watcher)
	if !missing {
		t.Error("nothing is said to be missing")
	}
	same(t, "afterwards", list, "write /b/f")
}

func TestBoundCertificate_SeesWhatLiesBeneathItsSubtree(t *testing.T) {
	w := begun(t)
	w.apply(w.tx(1, mkdir(1, "a", 2), mkdir(2, "sub", 3), mkdir(1, "ab", 4)))
	watcher := w.watch(2, fs.Position{}, "/a/sub")
	w.apply(w.tx(2, mkfile(2, "no", 5), mkfile(3, "yes", 6), mkfile(4, "no", 7),
		&fs.Rename{Parent: 3, Name: "yes", NewParent: 4, NewName: "out", Time: 7}, &fs.Rename{Parent: 4, Name: "out", NewParent: 3, NewName: "in", Time: 7}))
	list, _ := told(t, watcher)
	if len(list) != 3 {
		t.Fatal(paths(list))
	}
	if c := list[0]; c.Path != "/a/sub/yes" || c.Host != "" || c.Mount != "" || c.Dir != 3 {
		t.Errorf("%+v", c)
	}
	if c := list[1]; c.Path != "/a/sub/yes" || c.To != "" || c.ToDir != 0 {
		t.Errorf("%+v", c)
	}
	if c := list[2]; c.Path != "" || c.Dir != 0 || c.To != "/a/sub/in" {
		t.Errorf("%+v", c)
	}
}

func TestQuietWatcher_HearsHowFarItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begun(t)
		watcher := w.watch(fs.RootIno, fs.Position{}, "")
		if _, err := watcher.Recv(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.apply(&command.AllocInos{Session: 1, Epoch: 2, N: 1})
		began := time.Now()
		c, err := watcher.Recv(t.Context())
		if err != nil || c.Upto.Index != w.index || len(c.List) > 0 || time.Since(began) > quiet {
			t.Errorf("%+v, %v after %v", c, err, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), quiet/2)
		defer cancel()
		if _, err := watcher.Recv(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}

// Who puts the streams of two nodes together must be able to see that nothing is between two messages.
func TestMessages_FollowOneAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begun(t)
		w.apply(w.tx(1, mkdir(1, "d", 2), mkdir(1, "e", 3)))
		watcher, upto := w.watch(2, fs.Position{}, ""), fs.Position{Index: w.index, N: allOfEntry}
		for seq := range uint64(20) {
			go func() { // Recv looks in vain first
				time.Sleep(10 * time.Millisecond)
				w.apply(w.tx(2+2*seq, mkfile(3, fmt.Sprint(seq), fs.Ino(10+2*seq))))
				time.Sleep(10 * time.Millisecond)
				w.apply(w.tx(3+2*seq, mkfile(2, fmt.Sprint(seq), fs.Ino(11+2*seq))))
			}()
			for n := 0; n == 0; {
				c, err := watcher.Recv(t.Context())
				if err != nil || c.From != upto {
					t.Fatalf("from %v behind %v: %v", c.From, upto, err)
				}
				upto, n = c.Upto, len(c.List)
			}
		}
	})
}

func TestWatchers_AreBoundedInNumber(t *testing.T) {
	w := begun(t)
	for range watchersMax {
		w.watch(1, fs.Position{}, "")
	}
	find := func() (fs.Ino, error) { return 1, nil }
	if _, err := w.feed.Watch(func() uint64 { return 1 }, fs.Position{}, "", find); !errors.Is(err, fs.ErrUnavailable) {
		t.Error(err)
	}
	w.feed.leave()
	if _, err := w.feed.Watch(func() uint64 { return 1 }, fs.Position{}, "", func() (fs.Ino, error) { return 0, fs.ErrNotExist }); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	w.watch(1, fs.Position{}, "") // who has found nothing has left
}

func TestDeepPath_IsCutAtItsUpperEnd(t *testing.T) {
	p := places{}
	for i := range fs.Ino(200) {
		p.add(i+2, place{i + 1, fmt.Sprintf("%0200d", i)})
	}
	w := p.see(place{201, "f"})
	if len(w.path) > pathMax+8 || w.path[:4] != "/…" || len(w.dirs) != 201 {
		t.Errorf("%d bytes, %q, %d directories", len(w.path), w.path[:8], len(w.dirs))
	}
}
