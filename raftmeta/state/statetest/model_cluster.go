package statetest

import (
	"maps"
	"slices"

	"dfs/fs"
	"dfs/raftmeta/command"
	"dfs/raftmeta/state"
)

// asked looks for a decision made before; ok means that there is none and that one may be made.
func (m *Model) asked(id fs.TxID, epoch fs.Epoch) (s *session, answer state.Answer, ok bool) {
	s = m.sessions[id.Session]
	if s == nil || s.Epoch != epoch {
		return nil, state.Answer{Err: fs.CodeFenced}, false
	}
	if known := s.answers[id.Seq]; known != nil {
		return s, state.Answer{Tx: known}, false
	}
	if id.Seq < s.done {
		return s, state.Answer{Err: fs.CodeStale}, false
	}
	return s, state.Answer{}, true
}

func (m *Model) abort(c *command.Abort) state.Answer {
	s, answer, ok := m.asked(c.Tx, c.Epoch)
	if ok && s.ReadOnly {
		return state.Answer{Err: fs.CodeReadOnly}
	}
	if ok {
		answer.Tx = &fs.TxResult{Err: fs.CodeAborted, Index: m.index}
		s.answers[c.Tx.Seq] = answer.Tx
	}
	return answer
}

func (m *Model) tx(t *fs.Tx) state.Answer {
	s, answer, ok := m.asked(t.ID, t.Epoch)
	if !ok {
		return answer
	}
	if s.ReadOnly {
		return state.Answer{Err: fs.CodeReadOnly}
	}
	inodes, blobs := m.tree()
	result := m.transact(s, t)
	if result.Err != fs.CodeOK {
		m.inodes, m.blobs = inodes, blobs
	}
	s.answers[t.ID.Seq] = result
	s.done = max(s.done, min(t.Done, t.ID.Seq))
	for seq := range s.answers {
		if seq < s.done {
			delete(s.answers, seq)
		}
	}
	return state.Answer{Tx: result}
}

func (m *Model) transact(s *session, t *fs.Tx) *fs.TxResult {
	result := &fs.TxResult{Index: m.index}
	for _, info := range t.Blobs {
		if code := m.register(t, info); code != fs.CodeOK {
			return &fs.TxResult{Err: code, Failed: len(t.Ops), Index: m.index}
		}
	}
	for n, op := range t.Ops {
		if !m.admits(s, op) {
			return &fs.TxResult{Err: fs.CodeAccess, Failed: n, Index: m.index}
		}
		m.before = m.used()
		r, code := m.operate(s.Root, op)
		if code == fs.CodeOK {
			code = s.claim(m, op)
		}
		if code == fs.CodeOK && !m.affords(m.before) {
			code = fs.CodeQuota
		}
		if code != fs.CodeOK {
			return &fs.TxResult{Err: code, Failed: n, Index: m.index}
		}
		result.Results = append(result.Results, s.masked(r))
	}
	return result
}

func (m *Model) register(t *fs.Tx, info fs.BlobInfo) fs.Code {
	if info.ID.Session != t.ID.Session || info.ID.Counter == 0 || info.Length == 0 || info.Length > fs.BlobMax ||
		t.Replicas < 1 || m.blobs[info.ID] != nil || slices.Contains(info.Replicas, "") {
		return fs.CodeInvalid
	}
	slices.Sort(info.Replicas)
	info.Replicas = slices.Compact(info.Replicas)
	if len(info.Replicas) == 0 {
		return fs.CodeInvalid
	}
	if m.counted(info.Replicas) < m.minReplicas() {
		return fs.CodeConflict
	}
	m.blobs[info.ID] = &blob{info: info, wanted: t.Replicas, seq: t.ID.Seq, index: m.index}
	m.trim(m.blobs[info.ID])
	return fs.CodeOK
}

// counted is how many of the nodes were not removed.
func (m *Model) counted(ids []fs.NodeID) int {
	n := 0
	for _, id := range ids {
		if !m.removed[id] {
			n++
		}
	}
	return n
}

// trim takes removed nodes off a blob's list while others are left.
func (m *Model) trim(b *blob) {
	if m.counted(b.info.Replicas) > 0 {
		b.info.Replicas = slices.DeleteFunc(slices.Clone(b.info.Replicas), func(id fs.NodeID) bool { return m.removed[id] })
	}
}

func (m *Model) setReplicas(c *command.SetReplicas) fs.Code {
	b := m.blobs[c.Blob]
	if b == nil {
		return fs.CodeNotExist
	}
	if m.counted(c.Add) < len(c.Add) {
		return fs.CodeConflict
	}
	var list []fs.NodeID
	for _, id := range slices.Concat(b.info.Replicas, c.Add) {
		if !slices.Contains(c.Remove, id) && !slices.Contains(list, id) {
			list = append(list, id)
		}
	}
	if m.counted(list) == 0 {
		return fs.CodeInvalid
	}
	b.info.Replicas = list
	m.trim(b)
	return fs.CodeOK
}

func (m *Model) putNode(n fs.NodeInfo, storing bool) fs.Code {
	switch {
	case n.ID == "":
		return fs.CodeInvalid
	case m.removed[n.ID]:
		return fs.CodeRemoved
	}
	m.nodes[n.ID] = fs.NodeInfo{ID: n.ID, Addr: n.Addr, Zone: n.Zone}
	if storing {
		m.storing[n.ID] = true
	}
	return fs.CodeOK
}

func (m *Model) minReplicas() int { return max(1, min(m.config.MinReplicas, len(m.storing))) }

func (m *Model) removeNode(id fs.NodeID) {
	if _, known := m.nodes[id]; !known {
		return
	}
	delete(m.nodes, id)
	delete(m.storing, id)
	m.removed[id] = true
	for _, b := range m.blobs {
		m.trim(b)
	}
}

func (m *Model) indebted(b *blob) bool { return !b.garbage && m.counted(b.info.Replicas) < b.wanted }

// reap frees whole orphans: the generator always allows enough extents. One that others lay in stays until they are gone.
func (m *Model) reap(c *command.Reap) {
	for _, ino := range c.Inos {
		home := func(f *file) bool { return m.orphan(f.attr.Ino) && f.home == ino }
		if m.inodes[ino] != nil && m.orphan(ino) && !slices.ContainsFunc(slices.Collect(maps.Values(m.inodes)), home) {
			delete(m.inodes, ino)
		}
	}
}
