package localmeta

import (
	"context"
	"fmt"

	"dfs/fs"
	"dfs/raftmeta/command"
	"dfs/raftmeta/state"
)

// OpenSession implements fs.Meta.
func (m *Mount) OpenSession(ctx context.Context, who fs.Mount) (fs.Session, error) {
	if err := m.enter(ctx, "opensession"); err != nil {
		return fs.Session{}, err
	}
	defer m.c.mu.Unlock()
	answer, err := m.c.apply(&command.OpenSession{Mount: who})
	return answer.Session, err
}

// CloseSession implements fs.Meta.
func (m *Mount) CloseSession(ctx context.Context, s fs.Session) error {
	if err := m.enter(ctx, "closesession"); err != nil {
		return err
	}
	defer m.c.mu.Unlock()
	_, err := m.c.apply(&command.EndSession{Session: s.ID, Epoch: s.Epoch})
	m.c.leave(s.ID, fs.ErrFenced)
	return err
}

// Pin implements fs.Meta.
func (m *Mount) Pin(ctx context.Context, s fs.Session, ino fs.Ino) (fs.Attr, error) {
	if err := m.enter(ctx, "pin"); err != nil {
		return fs.Attr{}, err
	}
	defer m.c.mu.Unlock()
	if err := m.c.live(s); err != nil {
		return fs.Attr{}, err
	}
	a, err := state.NewView(m.c.kv).Getattr(ino)
	if err == nil {
		m.c.pin(s.ID, ino)
	}
	return a, err
}

// AllocInos implements fs.Meta.
func (m *Mount) AllocInos(ctx context.Context, s fs.Session, n int) (fs.InoRange, error) {
	if err := m.enter(ctx, "allocinos"); err != nil {
		return fs.InoRange{}, err
	}
	defer m.c.mu.Unlock()
	answer, err := m.c.apply(&command.AllocInos{Session: s.ID, Epoch: s.Epoch, N: n})
	return answer.Inos, err
}

// Attach implements fs.Meta. It ends an earlier stream of the session.
func (m *Mount) Attach(ctx context.Context, s fs.Session, pins []fs.Ino) (fs.Stream, error) {
	if err := m.enter(ctx, "attach"); err != nil {
		return nil, err
	}
	defer m.c.mu.Unlock()
	if err := m.c.live(s); err != nil {
		return nil, err
	}
	if old := m.c.streams[s.ID]; old != nil {
		old.end(fs.ErrUnavailable)
	}
	m.c.rounds[s.ID]++
	for _, ino := range pins {
		m.c.pin(s.ID, ino)
	}
	st := newStream(m, s)
	m.c.streams[s.ID] = st
	st.push(m.c.news())
	return st, nil
}

// live refuses a session that has ended; mu is held.
func (c *Cluster) live(s fs.Session) error {
	r, ok, err := state.NewView(c.kv).Session(s.ID)
	if err == nil && (!ok || r.Epoch != s.Epoch) {
		err = fmt.Errorf("session %d: %w", s.ID, fs.ErrFenced)
	}
	return err
}

func (c *Cluster) pin(id fs.SessionID, ino fs.Ino) {
	if c.pins[id] == nil {
		c.pins[id] = make(map[fs.Ino]uint64)
	}
	c.pins[id][ino] = c.rounds[id]
}

// told is called at the first beat of a session's stream: the session has now told all its pins, and earlier ones that it did
// not tell are forgotten. mu is held.
func (c *Cluster) told(id fs.SessionID) {
	delete(c.awaiting, id)
	for ino, round := range c.pins[id] {
		if round < c.rounds[id] {
			delete(c.pins[id], ino)
			c.reap(ino)
		}
	}
}
