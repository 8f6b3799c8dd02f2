package metarpc

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"sync/atomic"

	"dfs/fs"
)

// silenceable is a leader that can stop answering. fs.Attr is its answer to every call, and line its end of every stream.
type silenceable struct {
	silent atomic.Bool
	busy   atomic.Bool // for calls, but not for who asks whether it leads
	calls  atomic.Int64
	line   *line
}

func (s *silenceable) meta() *fakeMeta {
	m := &fakeMeta{do: func(ctx context.Context, _ string, args ...any) (any, error) {
		s.calls.Add(1)
		if s.silent.Load() || s.busy.Load() && args[0] != absentIno {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return fs.Attr{Ino: 1}, nil
	}}
	m.stream = func(fs.Session, fs.Held) (fs.Stream, error) { return s.line, nil }
	return m
}

// silenced is a client at a leader a, and a node b that begins to lead when lead is called.
func silenced(t *testing.T, fn func(t *testing.T, c *Client, a *silenceable, lead func())) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		a := &silenceable{line: newLine()}
		n.serve("a", a.meta())
		c := n.client("a", "b")
		if _, err := c.Getattr(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		fn(t, c, a, func() { n.serve("b", leader(nil)) })
	})
}

func TestSilentLeader_IsLeftWhenAnotherOneLeads(t *testing.T) {
	silenced(t, func(t *testing.T, c *Client, a *silenceable, lead func()) {
		a.silent.Store(true)
		time.AfterFunc(1500*time.Millisecond, lead)
		within(t, 1500*time.Millisecond+4*eagerDelayMax, "a call to the silent leader", func() {
			if _, err := c.Getattr(t.Context(), 1); err != nil {
				t.Error(err)
			}
		})
	})
}

func TestSilentLeader_IsLeftByAStreamThatWaitsForAnAnswer(t *testing.T) {
	silenced(t, func(t *testing.T, c *Client, a *silenceable, lead func()) {
		s, err := c.Attach(t.Context(), fill[fs.Session](), fs.Held{})
		if err != nil {
			t.Fatal(err)
		}
		a.silent.Store(true)
		lead()
		time.Sleep(time.Minute) // nothing was asked, so nothing is missed
		if err := s.Send(fs.Beat{Seq: 1}); err != nil {
			t.Fatal(err)
		}
		within(t, c.cfg.doubtAfter()+4*probeStagger, "the stream's end", func() {
			if n, err := s.Recv(); err == nil {
				t.Errorf("received %v", n)
			}
		})
		if v, err := c.finder.find(t.Context()); err != nil || v.addr != "b" {
			t.Errorf("the leader is %v, %v", v, err)
		}
	})
}

func TestStream_EndsWhenSomebodyElseHasFoundAnotherLeader(t *testing.T) {
	silenced(t, func(t *testing.T, c *Client, a *silenceable, lead func()) {
		s, err := c.Attach(t.Context(), fill[fs.Session](), fs.Held{})
		if err != nil {
			t.Fatal(err)
		}
		a.silent.Store(true)
		lead()
		if _, err := c.Getattr(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		within(t, time.Millisecond, "the stream's end", func() {
			if n, err := s.Recv(); err == nil {
				t.Errorf("received %v", n)
			}
		})
	})
}

func TestBusyLeader_IsNotLeft(t *testing.T) {
	silenced(t, func(t *testing.T, c *Client, a *silenceable, _ func()) {
		s, err := c.Attach(t.Context(), fill[fs.Session](), fs.Held{})
		if err != nil {
			t.Fatal(err)
		}
		a.busy.Store(true)
		if err := s.Send(fs.Beat{Seq: 1}); err != nil {
			t.Fatal(err)
		}
		before, _ := c.finder.find(t.Context())
		ctx, cancel := context.WithTimeout(t.Context(), c.cfg.AttemptTimeout*9/10)
		defer cancel()
		if _, err := c.Getattr(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, want the caller's time to be over", err)
		}
		a.line.notices <- fs.Notice{Ack: 1}
		if n, err := s.Recv(); err != nil || n.Ack != 1 {
			t.Errorf("the stream has ended: %v", err)
		}
		if v, err := c.finder.find(t.Context()); err != nil || v.addr != before.addr {
			t.Errorf("the leader was %v, and is %v, %v", before, v, err)
		}
		calls := a.calls.Load()
		time.Sleep(time.Minute)
		if a.calls.Load() != calls {
			t.Error("somebody goes on doubting although all is answered")
		}
	})
}
