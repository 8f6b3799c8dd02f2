package metarpc

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dfs/fs"
)

// line is the leader's end of a session's stream.
type line struct {
	beats   chan fs.Beat
	notices chan fs.Notice
	fail    chan error
	once    sync.Once
	closed  chan struct{}
}

func newLine() *line {
	return &line{beats: make(chan fs.Beat, 16), notices: make(chan fs.Notice, 16), fail: make(chan error, 1), closed: make(chan struct{})}
}

func (l *line) Send(b fs.Beat) error { l.beats <- b; return nil }

func (l *line) Recv() (fs.Notice, error) {
	select {
	case n := <-l.notices:
		return n, nil
	case err := <-l.fail:
		return fs.Notice{}, err
	case <-l.closed:
		return fs.Notice{}, fs.ErrClosed
	}
}

func (l *line) Close() error { l.once.Do(func() { close(l.closed) }); return nil }

func attachable(attach func(fs.Session, fs.Held) (fs.Stream, error)) *fakeMeta {
	m := leader(nil)
	m.stream = attach
	return m
}

func TestAttach_CarriesEveryFieldBothWays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		l, session := newLine(), fill[fs.Session]()
		held := fs.Held{Pins: []fs.Ino{5, 6}, Leases: []fs.Lease{{Ino: 7, Mode: fs.LeaseShared}, {Ino: 8, Mode: fs.LeaseExclusive}}}
		n.serve("a", attachable(func(s fs.Session, h fs.Held) (fs.Stream, error) {
			if !reflect.DeepEqual(s, session) || !reflect.DeepEqual(h, held) {
				t.Errorf("attached %+v with %v", s, h)
			}
			return l, nil
		}))
		s, err := n.client("a").Attach(t.Context(), session, held)
		if err != nil {
			t.Fatal(err)
		}
		beat, notice := fill[fs.Beat](), fill[fs.Notice]()
		beat.Acks = []fs.LeaseAck{{Ino: 5, Seq: 6, Mode: fs.LeaseShared}, {Ino: 7, Seq: 8}}
		notice.Recalls = []fs.Recall{{Ino: 5, Seq: 6, To: fs.LeaseShared}, {Ino: 7, Seq: 8}}
		for i := range beat.Locks.Locks { // what no kernel asks for is refused
			l := &beat.Locks.Locks[i]
			l.Kind, l.Type, l.Start, l.End = fs.LockRange, fs.LockType(i+1), 3, uint64(4+i)
		}
		if err := s.Send(beat); err != nil {
			t.Error(err)
		}
		if got := <-l.beats; !reflect.DeepEqual(got, beat) {
			t.Errorf("beat %+v arrived as %+v", beat, got)
		}
		l.notices <- notice
		if got, err := s.Recv(); err != nil || !reflect.DeepEqual(got, notice) {
			t.Errorf("notice %+v arrived as %+v, %v", notice, got, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		<-l.closed // the leader's end closes too
		if _, err := s.Recv(); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("receive after close: %v", err)
		}
		if err := s.Send(fs.Beat{Seq: 1}); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("send after close: %v", err)
		}
	})
}

func TestAttach_OfAFencedSessionIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		n.serve("a", attachable(func(fs.Session, fs.Held) (fs.Stream, error) { return nil, fs.ErrFenced }))
		if _, err := n.client("a").Attach(t.Context(), fill[fs.Session](), fs.Held{}); !errors.Is(err, fs.ErrFenced) {
			t.Errorf("attach: %v, want %v", err, fs.ErrFenced)
		}
	})
}

func TestStream_OutlivesTheContextOfAttach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		l := newLine()
		n.serve("a", attachable(func(fs.Session, fs.Held) (fs.Stream, error) { return l, nil }))
		ctx, cancel := context.WithCancel(t.Context())
		s, err := n.client("a").Attach(ctx, fill[fs.Session](), fs.Held{})
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		synctest.Wait()
		l.notices <- fs.Notice{Ack: 3}
		if got, err := s.Recv(); err != nil || got.Ack != 3 {
			t.Errorf("receive: %+v, %v", got, err)
		}
	})
}

func TestStream_EndsWithItsErrorAndIsAttachedAgainElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		first, second := newLine(), newLine()
		n.serve("a", attachable(func(fs.Session, fs.Held) (fs.Stream, error) { return first, nil }))
		c, session := n.client("a"), fill[fs.Session]()
		s, err := c.Attach(t.Context(), session, fs.Held{})
		if err != nil {
			t.Fatal(err)
		}
		// The mount learns of b from a notice; then the leadership moves there.
		first.notices <- fs.Notice{Nodes: []fs.NodeInfo{{ID: "b", Addr: "b", State: fs.NodeAlive}}}
		if _, err := s.Recv(); err != nil {
			t.Fatal(err)
		}
		n.serve("b", attachable(func(fs.Session, fs.Held) (fs.Stream, error) { return second, nil }))
		first.fail <- &fs.NotLeaderError{} // a does not know yet where to
		if _, err := s.Recv(); !errors.Is(err, fs.ErrNotLeader) {
			t.Errorf("receive: %v, want %v", err, fs.ErrNotLeader)
		}
		if c.finder.leader.addr != "" {
			t.Error("the leader that broke the stream is trusted still")
		}
		n.stop("a")
		if s, err = c.Attach(t.Context(), session, fs.Held{}); err != nil {
			t.Fatal(err)
		}
		second.notices <- fs.Notice{Ack: 9}
		if got, err := s.Recv(); err != nil || got.Ack != 9 {
			t.Errorf("receive from the new leader: %+v, %v", got, err)
		}
		second.fail <- fs.ErrFenced
		if _, err := s.Recv(); !errors.Is(err, fs.ErrFenced) {
			t.Errorf("receive: %v, want %v", err, fs.ErrFenced)
		}
	})
}

func TestStream_BreaksWithItsNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		l := newLine()
		n.serve("a", attachable(func(fs.Session, fs.Held) (fs.Stream, error) { return l, nil }))
		s, err := n.client("a").Attach(t.Context(), fill[fs.Session](), fs.Held{})
		if err != nil {
			t.Fatal(err)
		}
		n.stop("a")
		if _, err := s.Recv(); !errors.Is(err, fs.ErrUnavailable) {
			t.Errorf("receive: %v, want %v", err, fs.ErrUnavailable)
		}
		<-l.closed
	})
}

func TestAttach_ToAHungNodeIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		release := make(chan struct{})
		n.serve("a", attachable(func(fs.Session, fs.Held) (fs.Stream, error) {
			<-release
			return nil, fs.ErrClosed
		}))
		defer close(release)
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		defer cancel()
		within(t, 4*time.Second+time.Millisecond, "attach", func() {
			if _, err := n.client("a").Attach(ctx, fill[fs.Session](), fs.Held{}); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("attach: %v, want the caller's deadline", err)
			}
		})
	})
}

func TestClientClose_EndsItsStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		l := newLine()
		n.serve("a", attachable(func(fs.Session, fs.Held) (fs.Stream, error) { return l, nil }))
		c := n.client("a")
		s, err := c.Attach(t.Context(), fill[fs.Session](), fs.Held{})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if _, err := s.Recv(); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("receive: %v, want %v", err, fs.ErrClosed)
		}
		<-l.closed
	})
}
