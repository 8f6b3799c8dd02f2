package badgerstore

import (
	"fmt"
	"sync"
	"time"

	"dfs/fs"
)

const measureEvery = time.Second

// space admits puts. It keeps the reserve: Badger writes through memory maps, and on a full disk that kills the process
// instead of failing. What has been admitted and not yet written counts as taken.
type space struct {
	dir     string
	reserve uint64
	max     uint64 // of the store's own files; 0: no bound

	mu       sync.Mutex
	inFlight uint64
	readOnly bool
	used     uint64 // by the store's files, as last measured
	written  uint64 // since then
	at       time.Time
}

// room is how things stand.
type room struct {
	total    uint64
	free     uint64 // what puts may still take
	used     uint64
	readOnly bool
}

// admit takes n bytes for a put, or says ErrNoSpace.
func (s *space) admit(n int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.look()
	if err != nil {
		return err
	}
	if r.readOnly || r.free < uint64(n) {
		return fmt.Errorf("%d bytes wanted, %d free above the reserve of %d: %w", n, r.free, s.reserve, fs.ErrNoSpace)
	}
	s.inFlight += uint64(n)
	return nil
}

// settle gives back what admit took; wrote says whether it now lies on the disk.
func (s *space) settle(n int, wrote bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inFlight -= uint64(n)
	if wrote {
		s.written += uint64(n)
	}
}

func (s *space) room() (room, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.look()
}

// look is called with mu held. Read-only begins when not even a few blobs fit, and ends when there is room for many:
// without the gap a nearly full node would take and refuse blobs by turns.
func (s *space) look() (room, error) {
	total, free, err := statfs(s.dir)
	if err != nil {
		return room{}, err
	}
	if err := s.remeasure(time.Now()); err != nil {
		return room{}, err
	}
	r := room{total: total, free: less(free, s.reserve), used: s.used + s.written}
	if s.max > 0 {
		r.total = min(total, s.max)
		r.free = min(r.free, less(s.max, r.used))
	}
	r.free = less(r.free, s.inFlight)
	stop := min(2*fs.BlobMax, r.total/16)
	if s.readOnly {
		s.readOnly = r.free < 3*stop
	} else {
		s.readOnly = r.free+s.inFlight < stop
	}
	r.readOnly = s.readOnly
	return r, nil
}

// remeasure is called with mu held. Between measurements what was written is added to the last one.
func (s *space) remeasure(now time.Time) error {
	if now.Sub(s.at) < measureEvery {
		return nil
	}
	u, err := measure(s.dir)
	if err != nil {
		return err
	}
	s.used, s.written, s.at = u.all, 0, now
	return nil
}

// stale makes the next look measure anew: much has changed.
func (s *space) stale() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = time.Time{}
}

func less(a, b uint64) uint64 {
	if a < b {
		return 0
	}
	return a - b
}
