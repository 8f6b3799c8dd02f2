package raftmeta

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"dfs/fs"
)

// stream is a session's line to the leader, within this process; metarpc carries it further.
//
// Beats that wait to be answered are answered together, by the last one's number: nothing in a stream grows.
type stream struct {
	t       *sessionTable
	session fs.Session
	signal  chan struct{} // 1-buffered: there may be something to receive
	beaten  bool          // a beat has come; guarded by t.mu

	mu      sync.Mutex
	ack     uint64        // to be sent; 0 for nothing
	news    fs.Notice     // likewise, of the nodes; without any for nothing
	recalls []fs.Recall   // likewise, at most two for each lease of the session
	tickets []uint64      // likewise, of waits about which it is worth asking again; at most fs.LockWaitsMax
	err     error         // why the stream has ended
	done    chan struct{} // closed with err
}

var _ fs.Stream = (*stream)(nil)

func newStream(t *sessionTable, s fs.Session) *stream {
	return &stream{t: t, session: s, signal: make(chan struct{}, 1), done: make(chan struct{}), news: t.news()}
}

// Send implements fs.Stream. It returns when the beat is accepted, which takes a proof of leadership: a deposed leader
// that went on answering would keep a mount believing in a session that its successor has ended.
func (s *stream) Send(b fs.Beat) error {
	if err := s.broken(); err != nil {
		return err
	}
	heard := time.Now()
	ctx, cancel := s.t.r.n.bound(s.t.r.ctx)
	defer cancel()
	pins, err := s.t.r.n.pinnable(ctx, s.session, b.Pins)
	if err != nil {
		s.end(err)
		return s.broken()
	}
	err = s.t.with(ctx, s.session, func(e *session) error {
		if e.stream != s { // an old beat must not take back what the session has pinned since
			return fmt.Errorf("session %d has attached anew: %w", e.ID, fs.ErrUnavailable)
		}
		e.heard, e.activity = heard, b.Activity
		limit := pinsMax
		if !s.beaten {
			limit = claimsMax
		}
		if err := s.t.claim(e, pins, limit); err != nil { // before an ack can let anybody remove what was opened under a lease
			return err
		}
		if !s.beaten {
			if err := s.t.reclaim(e, b.Locks); err != nil {
				return err
			}
			s.beaten = true
			s.t.told(e)
			if err := s.t.desk.Told(e.ID); err != nil {
				return err
			}
		}
		s.t.desk.Ack(e.ID, b.Acks)
		for _, ino := range b.Unpins {
			s.t.unpin(e, ino)
		}
		return nil
	})
	if err == nil {
		err = s.t.r.n.proveLeader(ctx, s.t.r, heard)
	}
	if err == nil {
		err = s.t.with(ctx, s.session, func(*session) error { return nil }) // not expired meanwhile?
	}
	if err != nil {
		s.end(err)
		return s.broken()
	}
	s.mu.Lock()
	s.ack = max(s.ack, b.Seq)
	s.mu.Unlock()
	s.wake()
	return nil
}

// Recv implements fs.Stream.
func (s *stream) Recv() (fs.Notice, error) {
	for {
		if notice, ok := s.take(); ok {
			return notice, nil
		}
		if err := s.broken(); err != nil {
			return fs.Notice{}, err
		}
		select {
		case <-s.signal:
		case <-s.done:
		}
	}
}

// take takes what there is to receive. Recalls come first, and alone: the mount may go by the answers that it has had when a recall
// comes, and the leader counts from the moment in which it put the recall here. An answer that came to be here later
// must not be heard earlier.
func (s *stream) take() (notice fs.Notice, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.err != nil:
		return fs.Notice{}, false
	case len(s.recalls) > 0:
		n := min(len(s.recalls), recallsMax)
		notice.Recalls, s.recalls = s.recalls[:n:n], s.recalls[n:]
	case s.ack > 0 || s.news.Nodes != nil || s.tickets != nil:
		notice = s.news
		notice.Ack, notice.Tickets = s.ack, s.tickets
		s.ack, s.news, s.tickets = 0, fs.Notice{}, nil
	default:
		return fs.Notice{}, false
	}
	notice.Term = s.t.r.term
	return notice, true
}

// recall puts recalls on the stream, unless it has ended: they are repeated on the next one.
func (s *stream) recall(recalls []fs.Recall) {
	s.mu.Lock()
	if s.err == nil {
		s.recalls = append(s.recalls, recalls...)
	}
	s.mu.Unlock()
	s.wake()
}

// Close implements fs.Stream. The session lives on.
func (s *stream) Close() error {
	s.end(fmt.Errorf("the stream: %w", fs.ErrClosed))
	s.t.mu.Lock()
	defer s.t.mu.Unlock()
	if e := s.t.sessions[s.session.ID]; e != nil && e.stream == s {
		e.stream = nil
	}
	return nil
}

// end ends the stream; the first reason counts.
func (s *stream) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
		close(s.done)
	}
}

func (s *stream) broken() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *stream) wake() {
	select {
	case s.signal <- struct{}{}:
	default:
	}
}

func (s *stream) tell(news fs.Notice) {
	s.mu.Lock()
	s.news = news
	s.mu.Unlock()
	s.wake()
}

// tellTicket says that it is worth asking again about a wait. The stream of a mount that asks, but does not listen, ends.
func (s *stream) tellTicket(ticket uint64) {
	s.mu.Lock()
	s.tickets = append(s.tickets, ticket)
	deaf := len(s.tickets) > fs.LockWaitsMax
	s.mu.Unlock()
	if deaf {
		s.end(fmt.Errorf("session %d does not take in what it is told: %w", s.session.ID, fs.ErrUnavailable))
		return
	}
	s.wake()
}

// runNews tells every stream about the nodes: when something has changed that matters at once, and every Timings.Notice.
func (t *sessionTable) runNews() {
	period := t.r.n.cfg.Timings.Notice
	var last fs.Notice
	var told time.Time
	t.r.every(max(period/5, 10*time.Millisecond), func() {
		news := t.news()
		if time.Since(told) < period && sameNews(last, news) {
			return
		}
		last, told = news, time.Now()
		t.mu.Lock()
		defer t.mu.Unlock()
		for _, e := range t.sessions {
			if e.stream != nil {
				e.stream.tell(news)
			}
		}
	})
}

// news is what mounts are told.
func (t *sessionTable) news() fs.Notice {
	news := t.r.n.news()
	news.Limits = t.r.limits(news)
	return news
}

func sameNews(a, b fs.Notice) bool {
	return a.MinReplicas == b.MinReplicas && a.Limits == b.Limits && slices.EqualFunc(a.Nodes, b.Nodes, sameNode)
}

// sameNode ignores the load, except for whether a node takes blobs.
func sameNode(a, b fs.NodeInfo) bool {
	return a.ID == b.ID && a.Addr == b.Addr && a.Zone == b.Zone && a.State == b.State && a.Load.ReadOnly == b.Load.ReadOnly
}
