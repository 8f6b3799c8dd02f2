package metarpc

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"dfs/fs"
)

// view is a leader as somebody saw it; gen tells two views of one address apart.
type view struct {
	addr string
	gen  uint64
}

// finder knows the leader, or looks for it: one search at a time, however many wait. See DESIGN.md.
type finder struct {
	base    context.Context
	peers   *peers
	probe   func(ctx context.Context, addr string) error // nil: addr is the leader
	timeout time.Duration                                // of one probe, at most
	log     *slog.Logger
	running sync.WaitGroup

	mu     sync.Mutex
	leader view          // addr "" when none is known; gen is that of the last one
	moved  chan struct{} // closed when a leader is found at another address than the last one
	last   string        // the address of the last one
	hint   string        // where a node said that the leader is; "" none
	search *search
	causes map[string]error // why each peer was not the leader when it was last asked
	closed bool
}

// search is one hunt. found is set before done is closed.
type search struct {
	done    chan struct{}
	found   view
	waiters int // under finder.mu; the last one to give up cancels
	cancel  context.CancelFunc
}

func newFinder(base context.Context, p *peers, probe func(context.Context, string) error, timeout time.Duration, log *slog.Logger) *finder {
	return &finder{base: base, peers: p, probe: probe, timeout: timeout, log: log, moved: make(chan struct{}), causes: map[string]error{}}
}

// find returns the leader, waiting for it if need be. The error is ctx's, or ErrClosed.
func (f *finder) find(ctx context.Context) (view, error) {
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return view{}, fmt.Errorf("metadata client: %w", fs.ErrClosed)
	}
	if f.leader.addr != "" {
		defer f.mu.Unlock()
		return f.leader, nil
	}
	s := f.join()
	f.mu.Unlock()
	return f.await(ctx, s)
}

// doubt looks for the leader although one is known, v, who has left somebody without an answer: it may be cut off. True: another one leads. It returns
// when either has proven itself, or with ctx.
func (f *finder) doubt(ctx context.Context, v view) (another bool) {
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return false
	}
	if f.leader.addr != "" && f.leader.addr != v.addr {
		f.mu.Unlock()
		return true
	}
	s := f.join()
	f.mu.Unlock()
	found, err := f.await(ctx, s)
	return err == nil && found.addr != v.addr
}

// away is closed when the leader was found last, or is found, at another address than v's.
func (f *finder) away(v view) <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.last != v.addr {
		gone := make(chan struct{})
		close(gone)
		return gone
	}
	return f.moved
}

// join is called with mu held; await follows.
func (f *finder) join() *search {
	s := f.search
	if s == nil {
		s = f.start()
	}
	s.waiters++
	return s
}

func (f *finder) await(ctx context.Context, s *search) (view, error) {
	select {
	case <-s.done:
		return s.found, nil
	case <-f.base.Done():
		return view{}, fmt.Errorf("metadata client: %w", fs.ErrClosed)
	case <-ctx.Done():
		f.leave(s)
		return view{}, ctx.Err()
	}
}

// start is called with mu held.
func (f *finder) start() *search {
	ctx, cancel := context.WithCancel(f.base)
	s := &search{done: make(chan struct{}), cancel: cancel}
	f.search = s
	f.running.Add(1)
	go func() {
		defer f.running.Done()
		defer cancel()
		f.hunt(ctx, s)
	}()
	return s
}

func (f *finder) leave(s *search) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s.waiters--; s.waiters == 0 {
		s.cancel()
		if f.search == s {
			f.search = nil
		}
	}
}

// A new leader is there about a second after the death of the last one, and gives nothing away before every mount has found it: so
// for the first rounds pauses stay short.
const (
	eagerRounds   = 20
	eagerDelayMax = 100 * time.Millisecond
)

// hunt goes round after round until the leader is found or nobody waits any more.
func (f *finder) hunt(ctx context.Context, s *search) {
	var wait backoff
	patience := min(probePatience, f.timeout)
	for n := 0; ; n++ {
		if n < eagerRounds {
			wait.delay = min(wait.delay, eagerDelayMax/2)
		}
		if addr := f.round(ctx, patience); addr != "" {
			f.found(s, addr)
			return
		}
		if wait.sleep(ctx) != nil {
			return
		}
		patience = min(2*patience, f.timeout)
	}
}

func (f *finder) found(s *search, addr string) {
	f.mu.Lock()
	news := f.leader.addr != addr
	if news {
		f.leader = view{addr: addr, gen: f.leader.gen + 1}
	}
	if f.search == s {
		f.search = nil
	}
	s.found = f.leader
	f.hint = ""
	if f.last != addr {
		f.last = addr
		close(f.moved)
		f.moved = make(chan struct{})
	}
	f.mu.Unlock()
	if news {
		f.log.Info("metadata leader found", "addr", addr, "gen", s.found.gen)
	}
	close(s.done)
}

// distrust forgets the leader if it still is the one that v saw. hint may name another one.
func (f *finder) distrust(v view, hint string, cause error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.leader == v {
		f.leader.addr = ""
		f.hint = hint
		f.log.Info("metadata leader lost", "addr", v.addr, "hint", hint, "err", cause)
	}
	f.noteLocked(v.addr, cause)
}

// spawn runs fn, which ends with base, unless the finder is closed.
func (f *finder) spawn(fn func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed {
		f.running.Go(fn)
	}
}

func (f *finder) close() {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.running.Wait()
}
