package state

import (
	"dfs/fs"
	"dfs/raftmeta/command"
)

func readSession(r Reader, id fs.SessionID) (*SessionRecord, error) {
	s := &SessionRecord{}
	ok, err := get(r, sessionKey(id), s)
	if err != nil || !ok {
		return nil, err
	}
	return s, nil
}

// session is a live session, refusing with ErrFenced one that has ended, never was or has another epoch.
func (c *change) session(id fs.SessionID, epoch fs.Epoch) (*SessionRecord, error) {
	s, err := readSession(c.kv, id)
	if err != nil {
		return nil, err
	}
	if s == nil || s.Epoch != epoch {
		return nil, refuse(fs.ErrFenced)
	}
	return s, nil
}

// writable is nil for a session that may change anything.
func (r *SessionRecord) writable() error {
	if r.Mount.ReadOnly {
		return refuse(fs.ErrReadOnly)
	}
	return nil
}

func (c *change) openSession(m *command.OpenSession) (fs.Session, error) {
	root, err := c.resolve(m.Mount.Subtree)
	if err != nil {
		return fs.Session{}, err
	}
	s := &SessionRecord{Owner: m.Owner, Mount: m.Mount, Done: 1}
	s.ID, s.Epoch, s.Root = c.n.nextSession, fs.Epoch(c.index), root
	c.n.nextSession++
	s.complete(&c.config, &c.n)
	return s.Session, c.kv.Set(sessionKey(s.ID), encode(s))
}

// complete fills in what every session takes from the configuration and the nodes, and from how it was opened.
func (r *SessionRecord) complete(config *Config, n *counters) {
	r.Cluster = config.Cluster
	r.ReadOnly, r.Claims = r.Mount.ReadOnly, r.Owner.Scope.Subtree != ""
	r.TimeoutMillis = config.SessionTimeout
	r.Replicas, r.MinReplicas = config.Replicas, minReplicas(config, n)
}

// endSession removes the session and its remembered answers. From here on every command of its epoch is fenced.
func (c *change) endSession(m *command.EndSession) error {
	s, err := readSession(c.kv, m.Session)
	if err != nil || s == nil || s.Epoch != m.Epoch {
		return err
	}
	prefix := key1(keyAnswer, uint64(s.ID))
	if err := c.deleteRange(prefix, prefixEnd(prefix)); err != nil {
		return err
	}
	return c.kv.Delete(sessionKey(s.ID))
}

func (c *change) allocInos(m *command.AllocInos) (fs.InoRange, error) {
	s, err := c.session(m.Session, m.Epoch)
	if err == nil {
		err = s.writable()
	}
	if err != nil {
		return fs.InoRange{}, err
	}
	if m.N < 1 || m.N > fs.InoRangeMax {
		return fs.InoRange{}, refuse(fs.ErrInvalid)
	}
	r := fs.InoRange{From: c.n.nextIno, N: m.N}
	c.n.nextIno += fs.Ino(m.N)
	if !s.bound() {
		return r, nil
	}
	s.Inos = append(s.Inos, r)
	s.Inos = s.Inos[max(0, len(s.Inos)-ownInosMax):]
	return r, c.kv.Set(sessionKey(s.ID), encode(s))
}
