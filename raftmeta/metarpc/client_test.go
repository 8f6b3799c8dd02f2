package metarpc

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"dfs/fs"
	"dfs/raftmeta/command"
)

func TestFollower_PointsToTheLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		n.serve("a", follower("b"))
		n.serve("b", leader(nil))
		c := n.client("a") // b is not configured
		within(t, 100*time.Millisecond, "the first call", func() {
			if _, err := c.Getattr(t.Context(), 1); err != nil {
				t.Error(err)
			}
		})
	})
}

func TestDeadFirstPeer_DoesNotDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		n.serve("c", leader(nil))
		c := n.client("a", "b", "c")
		within(t, 200*time.Millisecond, "the first call", func() {
			if _, err := c.Getattr(t.Context(), 1); err != nil {
				t.Error(err)
			}
		})
	})
}

func TestHungPeer_DelaysByAStaggerOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		n.serve("a", hung())
		n.serve("b", leader(nil))
		c := n.client("a", "b")
		within(t, 2*probeStagger, "the first call", func() {
			if _, err := c.Getattr(t.Context(), 1); err != nil {
				t.Error(err)
			}
		})
	})
}

func TestHungLeader_CostsOneAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		var stuck atomic.Bool
		n.serve("a", &fakeMeta{do: func(ctx context.Context, _ string, _ ...any) (any, error) {
			if stuck.Load() {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return fs.Attr{Ino: 1}, nil
		}})
		c := n.client("a", "b")
		if _, err := c.Getattr(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		stuck.Store(true)
		n.serve("b", leader(nil))
		within(t, c.cfg.AttemptTimeout+2*probeStagger, "the call that meets the hung leader", func() {
			if _, err := c.Getattr(t.Context(), 1); err != nil {
				t.Error(err)
			}
		})
		within(t, 10*time.Millisecond, "the next call", func() {
			if _, err := c.Getattr(t.Context(), 1); err != nil {
				t.Error(err)
			}
		})
	})
}

// A session of two seconds has one for finding another leader.
func TestHungLeader_LeavesACallerInAHurryTimeForAnotherOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		var stuck atomic.Bool
		n.serve("a", &fakeMeta{do: func(ctx context.Context, _ string, _ ...any) (any, error) {
			if stuck.Load() {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return fs.Attr{Ino: 1}, nil
		}})
		c := n.client("a", "b")
		if _, err := c.Getattr(t.Context(), 7); err != nil {
			t.Fatal(err)
		}
		stuck.Store(true)
		n.serve("b", leader(nil))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Getattr(ctx, 7); err != nil {
			t.Error(err)
		}
	})
}

func TestSlowCommit_GetsMoreTimeEachAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		n.serve("a", leader(func(ctx context.Context, _ string, _ ...any) (any, error) {
			select {
			case <-time.After(8 * time.Second):
				return &fs.TxResult{Index: 5}, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}))
		res, err := n.client("a").Commit(t.Context(), sampleTx())
		if err != nil || res.Index != 5 {
			t.Errorf("commit: %+v, %v", res, err)
		}
	})
}

func TestAllPeersDown_FailsInTimeAndNamesThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		n.serve("b", follower(""))
		n.serve("c", hung())
		c := n.client("a", "b", "c")
		within(t, 30*time.Second+time.Millisecond, "the call", func() {
			_, err := c.Lookup(t.Context(), 1, "x")
			if !errors.Is(err, fs.ErrUnavailable) {
				t.Errorf("lookup: %v, want %v", err, fs.ErrUnavailable)
			}
			for _, want := range []string{"lookup", "a: ", "connection refused", "b: ", "not the leader", "c: no answer"} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
		})
	})
}

func TestLeaderAppearsLate_IsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		n.serve("a", follower(""))
		c := n.client("a", "b")
		time.AfterFunc(10*time.Second, func() { n.serve("b", leader(nil)) })
		within(t, 14*time.Second, "the call", func() {
			if _, err := c.Getattr(t.Context(), 1); err != nil {
				t.Error(err)
			}
		})
	})
}

func TestCancelledCaller_ReturnsAtOnceWithItsOwnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		n.serve("a", leader(func(ctx context.Context, _ string, _ ...any) (any, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}))
		for _, peer := range []string{"a", "nobody"} { // during an attempt, and during the search
			c := n.client(peer)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			within(t, time.Second+time.Millisecond, "the call", func() {
				if _, err := c.Lookup(ctx, 1, "x"); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, fs.ErrUnavailable) {
					t.Errorf("lookup at %s: %v, want the caller's deadline", peer, err)
				}
			})
			cancel()
		}
	})
}

func TestLostAnswer_RepeatsTheSameBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		var sent [][]byte
		lose := 3
		m := &encodedMeta{fakeMeta: leader(nil), commit: func(tx []byte) ([]byte, error) {
			sent = append(sent, tx)
			if lose--; lose >= 0 {
				return nil, fs.ErrUnavailable // decided, but the answer says that nobody knows
			}
			return command.EncodeResult(&fs.TxResult{Index: 9}), nil
		}}
		n.serveEncoded("a", m)
		res, err := n.client("a").Commit(t.Context(), sampleTx())
		if err != nil || res.Index != 9 || len(sent) != 4 {
			t.Fatalf("commit: %+v, %v after %d attempts", res, err, len(sent))
		}
		for _, b := range sent[1:] {
			if !bytes.Equal(b, sent[0]) {
				t.Error("an attempt sent other bytes than the first")
			}
		}
	})
}

func TestFence_SaysWhetherAnEarlierAttemptIsInDoubt(t *testing.T) {
	for name, c := range map[string]struct {
		first error
		doubt bool
	}{
		"answer lost":    {fs.ErrUnavailable, true},
		"not the leader": {&fs.NotLeaderError{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(t)
				attempts := 0
				n.serveEncoded("a", &encodedMeta{fakeMeta: leader(nil), commit: func([]byte) ([]byte, error) {
					if attempts++; attempts == 1 {
						return nil, c.first
					}
					return nil, fs.ErrFenced
				}})
				_, err := n.client("a").Commit(t.Context(), sampleTx())
				if !errors.Is(err, fs.ErrFenced) || fs.CodeOf(err) != fs.CodeFenced || errors.Is(err, fs.ErrUnavailable) != c.doubt {
					t.Errorf("commit: %v, want it fenced, in doubt: %v", err, c.doubt)
				}
			})
		})
	}
}

func TestBrokenConnection_IsRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		started := make(chan struct{})
		n.serve("a", leader(func(ctx context.Context, _ string, _ ...any) (any, error) {
			close(started)
			<-ctx.Done()
			return nil, ctx.Err()
		}))
		c := n.client("a")
		go func() {
			<-started
			n.stop("a")
			n.serve("a", leader(func(context.Context, string, ...any) (any, error) { return fs.Attr{Ino: 8}, nil }))
		}()
		if a, err := c.Lookup(t.Context(), 1, "x"); err != nil || a.Ino != 8 {
			t.Errorf("lookup: %+v, %v", a, err)
		}
	})
}

func TestLeaderSwitch_MakesOneSearchForManyCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		var switched atomic.Bool
		var probes atomic.Int64
		node := func(leads func() bool, other string) *fakeMeta {
			return &fakeMeta{do: func(_ context.Context, method string, _ ...any) (any, error) {
				if method == "getattr" {
					probes.Add(1)
				}
				if !leads() {
					return nil, &fs.NotLeaderError{Leader: other}
				}
				return fs.Attr{Ino: 1}, nil
			}}
		}
		n.serve("a", node(func() bool { return !switched.Load() }, "b"))
		n.serve("b", node(switched.Load, "a"))
		c := n.client("a", "b")
		const callers, rounds = 100, 20
		for i := range rounds {
			switched.Store(i%2 == 1)
			before := probes.Load()
			var wg sync.WaitGroup
			for range callers {
				wg.Go(func() {
					if _, err := c.Lookup(t.Context(), 1, "x"); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if made := probes.Load() - before; made > 4 {
				t.Fatalf("round %d: %d callers made %d probes", i, callers, made)
			}
		}
	})
}

func TestClose_EndsWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		n.serve("a", hung())
		c := n.client("a")
		errs := make(chan error)
		go func() { _, err := c.Getattr(t.Context(), 1); errs <- err }()
		synctest.Wait()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if err := <-errs; !errors.Is(err, fs.ErrClosed) {
			t.Errorf("the call under way: %v, want %v", err, fs.ErrClosed)
		}
		if _, err := c.Getattr(t.Context(), 1); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("a later call: %v, want %v", err, fs.ErrClosed)
		}
	})
}

func TestAdmin_GoesOnToAPeerThatAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		n.serve("b", leader(func(context.Context, string, ...any) (any, error) { return &fs.Status{Node: "b"}, nil }))
		c := n.client("a", "b")
		if s, err := c.Status(t.Context()); err != nil || s.Node != "b" {
			t.Errorf("status: %+v, %v", s, err)
		}
		if _, err := c.Admin("a").Status(t.Context()); !errors.Is(err, fs.ErrUnavailable) || !strings.Contains(err.Error(), "a: ") {
			t.Errorf("status of a dead node: %v", err)
		}
	})
}
