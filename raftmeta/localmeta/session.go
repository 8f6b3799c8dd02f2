package localmeta

import (
	"context"
	"fmt"
	"time"

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
	if err == nil {
		m.c.desk.Open(answer.Session.ID)
	}
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

// Pin implements fs.Meta. The inode is pinned before the leases of others are waited for, so that it is not reaped meanwhile.
func (m *Mount) Pin(ctx context.Context, s fs.Session, ino fs.Ino) (fs.Attr, error) {
	if err := m.enter(ctx, "pin"); err != nil {
		return fs.Attr{}, err
	}
	err := m.c.live(s)
	if err == nil {
		_, err = state.NewView(m.c.kv).Getattr(ino)
	}
	if err == nil {
		m.c.pin(s.ID, ino)
	}
	m.c.mu.Unlock()
	if err != nil {
		return fs.Attr{}, err
	}
	return ofInode(ctx, m, ino, func(v state.View) (fs.Attr, error) { return v.Getattr(ino) })
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
func (m *Mount) Attach(ctx context.Context, s fs.Session, held fs.Held) (fs.Stream, error) {
	if err := m.enter(ctx, "attach"); err != nil {
		return nil, err
	}
	defer m.c.mu.Unlock()
	if err := m.c.live(s); err != nil {
		return nil, err
	}
	st := newStream(m, s)
	if err := m.c.desk.Attach(s.ID, held.Leases, time.Duration(s.TimeoutMillis)*time.Millisecond, st.recall); err != nil {
		return nil, err
	}
	if old := m.c.streams[s.ID]; old != nil {
		old.end(fs.ErrUnavailable)
	}
	m.c.rounds[s.ID]++
	for _, ino := range held.Pins {
		m.c.pin(s.ID, ino)
	}
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
	var old []fs.Ino
	for ino, round := range c.pins[id] {
		if round < c.rounds[id] {
			old = append(old, ino)
		}
	}
	c.unpin(id, old)
}

// pinNewborn pins what a transaction of a live session creates and wants pinned, before it is decided, and returns what was
// not pinned yet; mu is held.
func (c *Cluster) pinNewborn(tx *fs.Tx) (fresh []fs.Ino) {
	if c.live(fs.Session{ID: tx.ID.Session, Epoch: tx.Epoch}) != nil {
		return nil // the state machine says why
	}
	for _, op := range tx.Ops {
		if o, ok := op.(*fs.Create); ok && o.Pin {
			if _, pinned := c.pins[tx.ID.Session][o.Ino]; !pinned {
				fresh = append(fresh, o.Ino)
			}
			c.pin(tx.ID.Session, o.Ino)
		}
	}
	return fresh
}

// unpin takes pins away and reaps what nobody pins any more; mu is held.
func (c *Cluster) unpin(id fs.SessionID, inos []fs.Ino) {
	for _, ino := range inos {
		delete(c.pins[id], ino)
		c.reapSoon(ino)
	}
}
