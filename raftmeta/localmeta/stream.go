package localmeta

import (
	"fmt"
	"sync"
	"time"

	"dfs/fs"
)

// noticesMax bounds what a mount that does not Recv may leave lying; then its stream breaks.
const noticesMax = 1024

// stream is a session's line to the leader.
type stream struct {
	m       *Mount
	s       fs.Session
	term    uint64 // of the leader
	notices chan fs.Notice
	ended   chan struct{}
	beaten  bool // a beat has come; guarded by the cluster's mu

	once sync.Once
	why  error // readable once ended is closed
}

func newStream(m *Mount, s fs.Session) *stream {
	return &stream{m: m, s: s, term: m.c.term, notices: make(chan fs.Notice, noticesMax), ended: make(chan struct{})}
}

// end breaks the stream.
func (s *stream) end(why error) {
	s.once.Do(func() {
		s.why = fmt.Errorf("stream of session %d ended: %w", s.s.ID, why)
		close(s.ended)
	})
}

// recall puts recalls on the stream; it may have ended.
func (s *stream) recall(recalls []fs.Recall) { s.push(fs.Notice{Recalls: recalls}) }

func (s *stream) push(n fs.Notice) {
	n.Term = s.term
	select {
	case s.notices <- n:
	default:
		s.end(fs.ErrUnavailable)
	}
}

// Send implements fs.Stream.
func (s *stream) Send(b fs.Beat) error {
	if err := s.m.faults.At("beat"); err != nil {
		s.end(err)
	}
	c := s.m.c
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-s.ended:
		return s.why
	default:
	}
	for _, ino := range b.Pins {
		c.pin(s.s.ID, ino)
	}
	if !s.beaten {
		s.beaten = true
		if !c.locks.Reclaim(s.s.ID, fs.TimeOf(time.Now()), b.Locks) {
			s.end(fs.ErrUnavailable) // the leader would end the session
			return s.why
		}
		c.wakeWaiters()
		c.told(s.s.ID)
		if err := c.desk.Told(s.s.ID); err != nil {
			s.end(err)
			return s.why
		}
	}
	c.desk.Ack(s.s.ID, b.Acks)
	c.unpin(s.s.ID, b.Unpins)
	s.push(fs.Notice{Ack: b.Seq})
	return nil
}

// Recv implements fs.Stream.
func (s *stream) Recv() (fs.Notice, error) {
	select {
	case n := <-s.notices:
		return n, nil
	case <-s.ended:
		return fs.Notice{}, s.why
	}
}

// Close implements fs.Stream.
func (s *stream) Close() error {
	s.end(fs.ErrClosed)
	return nil
}
