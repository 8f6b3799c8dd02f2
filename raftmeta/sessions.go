package raftmeta

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"dfs/fs"
	"dfs/fs/lock"
	"dfs/raftmeta/command"
	"dfs/raftmeta/leasedesk"
	"dfs/raftmeta/state"
)

// sessionTable is what a leader remembers of the sessions: when it last heard of each, what each has pinned and
// locked, and their streams. It is lost with the leadership; the next leader gives every live session a full timeout to tell it again.
//
// mu guards everything in it and in its sessions and is held for moments only; a stream's own lock is taken inside it.
type sessionTable struct {
	r *reign

	mu       sync.Mutex
	sessions map[fs.SessionID]*session
	pins     map[fs.Ino]int      // how many sessions pin an inode; never 0
	reaping  map[fs.Ino]struct{} // inodes that a Reap is proposed for: nobody can pin them any more
	locks    *lock.Table
	closed   bool

	desk *leasedesk.Desk // since takeOver; mu may be held while it is called, it never takes mu
}

// session is a live session as the leader knows it.
type session struct {
	fs.Session
	owner    fs.Owner
	mount    fs.Mount
	heard    time.Time
	attached bool              // it has told this leader all its pins, or was opened in this reign
	expiring bool              // its end is being proposed: it is not answered any more
	round    uint64            // how many streams it has had in this reign
	pins     map[fs.Ino]uint64 // by inode: the round in which the pin was last registered
	stream   *stream           // the newest; nil for none
	activity fs.Activity       // as the last beat told
}

func newSessionTable(r *reign) *sessionTable {
	return &sessionTable{r: r, sessions: map[fs.SessionID]*session{}, pins: map[fs.Ino]int{}, reaping: map[fs.Ino]struct{}{},
		locks: lock.NewTable()}
}

// takeOver begins the table with the live sessions, none of which has told its pins yet. The barrier is behind us.
func (t *sessionTable) takeOver() error {
	if err := t.sync(false); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.desk = leasedesk.New(t.r.term, slices.Sorted(maps.Keys(t.sessions)))
	return nil
}

// sync brings the table in line with the state: sessions that ended leave it, new ones come in. attached is what new ones
// are: those that the table did not take over have been opened in this reign and have told all their pins.
func (t *sessionTable) sync(attached bool) error {
	return t.r.n.local(func(s *snapshot) error {
		list, err := s.Sessions()
		if err != nil {
			return fmt.Errorf("list the sessions: %w", err)
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		live := make(map[fs.SessionID]bool, len(list))
		for i := range list {
			live[list[i].ID] = true
			t.add(&list[i], attached)
		}
		for id, e := range t.sessions {
			if !live[id] && s.index >= uint64(e.Epoch) {
				t.remove(e, fs.ErrFenced)
			}
		}
		return nil
	})
}

// add puts a session into the table, if it is not there; mu is held.
func (t *sessionTable) add(s *state.SessionRecord, attached bool) {
	if t.sessions[s.ID] == nil {
		t.sessions[s.ID] = &session{Session: s.Session, owner: s.Owner, mount: s.Mount, heard: time.Now(), attached: attached,
			pins: map[fs.Ino]uint64{}}
		if t.desk != nil {
			t.desk.Open(s.ID)
		}
		if !attached {
			t.locks.Owe(s.ID)
		}
	}
}

// remove takes a session whose end has been applied, its pins and its locks out of the table and ends its stream; mu is held.
func (t *sessionTable) remove(e *session, why error) {
	delete(t.sessions, e.ID)
	t.desk.Drop(e.ID)
	for ino := range e.pins {
		t.unpin(e, ino)
	}
	t.locks.Drop(e.ID)
	t.wakeWaiters()
	if e.stream != nil {
		e.stream.end(fmt.Errorf("session %d: %w", e.ID, why))
	}
}

// pin registers a pin; mu is held.
func (t *sessionTable) pin(e *session, ino fs.Ino) {
	if _, ok := e.pins[ino]; !ok {
		t.pins[ino]++
	}
	e.pins[ino] = e.round
}

// unpin removes a pin, if there is one; mu is held.
func (t *sessionTable) unpin(e *session, ino fs.Ino) {
	if _, ok := e.pins[ino]; !ok {
		return
	}
	delete(e.pins, ino)
	if t.pins[ino]--; t.pins[ino] == 0 {
		delete(t.pins, ino)
	}
}

// with runs fn on a live session, with mu held. A session that the table does not know may have been opened a moment ago:
// the state is asked. ErrFenced: it has ended.
func (t *sessionTable) with(ctx context.Context, s fs.Session, fn func(*session) error) error {
	for asked := false; ; asked = true {
		t.mu.Lock()
		e := t.sessions[s.ID]
		if t.closed || e != nil && (e.Epoch != s.Epoch || !e.expiring) || asked {
			defer t.mu.Unlock()
			switch {
			case t.closed:
				return t.r.n.notLeader()
			case e == nil || e.Epoch != s.Epoch:
				return fmt.Errorf("session %d: %w", s.ID, fs.ErrFenced)
			case e.expiring:
				return fmt.Errorf("session %d is being expired: %w", s.ID, fs.ErrUnavailable)
			}
			return fn(e)
		}
		t.mu.Unlock()
		if err := t.look(ctx, s); err != nil {
			return err
		}
	}
}

// look asks the state about a session that the table does not know.
func (t *sessionTable) look(ctx context.Context, s fs.Session) error {
	return t.r.n.readIn(ctx, t.r, func(snap *snapshot) error {
		rec, ok, err := snap.Session(s.ID)
		if err != nil || !ok {
			return err
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		t.add(&rec, true)
		return nil
	})
}

// run expires sessions and passes news of the nodes on, until the reign ends.
func (t *sessionTable) run() {
	t.r.loops.Go(t.runNews)
	t.r.every(t.tick(), func() {
		if err := t.sync(true); err != nil {
			t.r.n.logger.Warn("cannot follow the sessions", "err", err)
			return
		}
		for _, e := range t.silent() {
			t.r.loops.Go(func() { t.expire(e) })
		}
	})
}

// tick is how often expiry is looked at: often against the shortest timeout.
func (t *sessionTable) tick() time.Duration {
	tick := time.Second
	err := t.r.n.local(func(s *snapshot) error {
		config, ok, err := s.Config()
		if ok && err == nil {
			tick = min(tick, time.Duration(config.SessionTimeout)*time.Millisecond/10)
		}
		return err
	})
	if err != nil {
		t.r.n.logger.Warn("cannot read the configuration", "err", err)
	}
	return max(tick, 10*time.Millisecond)
}

func (t *sessionTable) timeout(e *session) time.Duration {
	d := time.Duration(e.TimeoutMillis) * time.Millisecond
	if margin := t.r.n.cfg.Timings.Expiry; margin > 0 {
		return d + margin
	}
	return d + d/4
}

// silent returns the sessions that have not been heard, or have not answered a recall, for too long, and answers them nothing
// from now on.
func (t *sessionTable) silent() []*session {
	t.mu.Lock()
	defer t.mu.Unlock()
	overdue := t.desk.Overdue(func(id fs.SessionID) time.Duration { return recallLimit(&t.sessions[id].Session) })
	var list []*session
	for _, e := range t.sessions {
		if !e.expiring && (time.Since(e.heard) > t.timeout(e) || slices.Contains(overdue, e.ID)) {
			e.expiring = true
			if e.stream != nil {
				e.stream.end(fmt.Errorf("session %d is being expired: %w", e.ID, fs.ErrUnavailable))
			}
			list = append(list, e)
		}
	}
	return list
}

// expire proposes the end of a session until it is decided. It cannot be taken back: the session may not be answered
// again by a leader that has an expiry of it on the way.
func (t *sessionTable) expire(e *session) {
	t.r.n.logger.Warn("session expired", "session", e.ID, "host", e.mount.Host, "path", e.mount.Path)
	for t.r.ctx.Err() == nil {
		_, err := t.r.n.change(t.r.ctx, &command.EndSession{Session: e.ID, Epoch: e.Epoch, Expired: true})
		if err == nil {
			break
		}
		t.r.n.logger.Debug("cannot expire the session yet", "session", e.ID, "err", err)
		waitFor(t.r.ctx, t.r.n.cfg.Timings.Heartbeat)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sessions[e.ID] == e {
		t.remove(e, fs.ErrFenced)
	}
}

// close ends all streams; the mounts attach to the next leader.
func (t *sessionTable) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	for _, e := range t.sessions {
		if e.stream != nil {
			e.stream.end(t.r.n.notLeader())
		}
	}
}

// statuses lists the sessions for operators.
func (t *sessionTable) statuses() []fs.SessionStatus {
	t.mu.Lock()
	defer t.mu.Unlock()
	var list []fs.SessionStatus
	for _, e := range t.sessions {
		leases, recalls := t.desk.Counts(e.ID)
		list = append(list, fs.SessionStatus{Session: e.Session, Mount: e.mount, Pins: len(e.pins), Leases: leases, Recalls: recalls,
			IdleMillis: time.Since(e.heard).Milliseconds(), Activity: e.activity})
	}
	return list
}
