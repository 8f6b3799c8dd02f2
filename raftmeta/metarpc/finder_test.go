package metarpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"dfs/fs"
)

func testFinder(t *testing.T, probe func(context.Context, string) error, seeds ...string) *finder {
	base, cancel := context.WithCancel(t.Context())
	f := newFinder(base, newPeers(seeds), probe, time.Second, slog.New(slog.DiscardHandler))
	t.Cleanup(func() {
		cancel()
		f.close()
	})
	return f
}

func TestLateFailure_DoesNotLoseALeaderFoundSince(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		probes := 0
		f := testFinder(t, func(context.Context, string) error { probes++; return nil }, "a")
		find := func() view {
			v, err := f.find(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
		old := find()
		f.distrust(old, "", errLate)
		again := find() // the same address, found anew
		f.distrust(old, "", errLate)
		if v := find(); v != again || probes != 2 {
			t.Errorf("leader is %+v after %d probes, want %+v after 2", v, probes, again)
		}
	})
}

func TestSearch_EndsWithItsLastWaiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var probes atomic.Int64
		f := testFinder(t, func(context.Context, string) error { probes.Add(1); return fs.ErrUnavailable }, "a")
		first, giveUp := context.WithCancel(t.Context())
		second, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		for _, ctx := range []context.Context{first, second} {
			go func() {
				if _, err := f.find(ctx); err == nil || errors.Is(err, fs.ErrClosed) {
					t.Errorf("found: %v", err)
				}
			}()
		}
		time.Sleep(time.Second)
		giveUp()
		synctest.Wait()
		before := probes.Load()
		time.Sleep(time.Second)
		if probes.Load() == before {
			t.Error("the search ended with its first waiter")
		}
		time.Sleep(5 * time.Second)
		before = probes.Load()
		time.Sleep(time.Minute)
		if probes.Load() != before {
			t.Error("the search goes on though nobody waits")
		}
	})
}

func TestLongOutage_EndsWithTheLeadersReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var back atomic.Bool
		f := testFinder(t, func(ctx context.Context, _ string) error {
			select { // a round trip
			case <-time.After(20 * time.Millisecond):
			case <-ctx.Done():
				return ctx.Err()
			}
			if !back.Load() {
				return fs.ErrUnavailable
			}
			return nil
		}, "a")
		time.AfterFunc(time.Hour, func() { back.Store(true) })
		start := time.Now()
		if _, err := f.find(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > time.Hour+2*retryDelayMax {
			t.Errorf("the leader was found after %v", took)
		}
	})
}

func TestRound_GoesWhereAnswersPointButNotInCircles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := map[string]int{}
		next := map[string]string{"a": "b", "b": "c", "c": "a"}
		f := testFinder(t, func(_ context.Context, addr string) error {
			asked[addr]++
			return &fs.NotLeaderError{Leader: next[addr]}
		}, "a")
		if addr := f.round(t.Context(), time.Second); addr != "" {
			t.Errorf("found %s", addr)
		}
		for addr := range next {
			if asked[addr] != 1 {
				t.Errorf("%s was asked %d times in one round", addr, asked[addr])
			}
		}
	})
}

func TestPeers_KeepTheSeedsAndTheLatestMembers(t *testing.T) {
	p := newPeers([]string{"seed", "a"})
	p.learn([]fs.NodeInfo{{Addr: "dead", State: fs.NodeDead}, {Addr: "a", State: fs.NodeAlive}, {Addr: "left", State: fs.NodeLeft}, {}})
	p.learn(nil) // no news
	if got := p.list(); len(got) != 3 || got[0] != "a" || got[1] != "dead" || got[2] != "seed" {
		t.Errorf("peers are %v", got)
	}
	many := make([]fs.NodeInfo, 10*peersMax)
	for i := range many {
		many[i] = fs.NodeInfo{Addr: fmt.Sprint("node", i), State: fs.NodeAlive}
	}
	p.learn(many)
	if got := p.list(); len(got) != peersMax+2 {
		t.Errorf("%d peers are kept", len(got))
	}
}
