package replica

import (
	"context"
	"fmt"

	"dfs/blob"
	"dfs/fs"
	"dfs/raftmeta/command"
	"dfs/raftmeta/state"
)

// writer is a mount: a session, a file, and a place in the file for each write.
type writer struct {
	w       *world
	session fs.Session
	ino     fs.Ino
	seq     uint64
	blobs   uint64
}

func (w *world) newWriter() *writer {
	s := w.decide(&command.OpenSession{}).Session
	inos := w.decide(&command.AllocInos{Session: s.ID, Epoch: s.Epoch, N: 1}).Inos
	m := &writer{w: w, session: s, ino: inos.From}
	answer := m.commit(&fs.Tx{ID: m.next(), Ops: []fs.Op{&fs.Create{Parent: fs.RootIno, Name: fmt.Sprint(s.ID), Ino: m.ino, Type: fs.TypeRegular}}})
	if answer.Err != fs.CodeOK || answer.Tx.Err != fs.CodeOK {
		w.t.Fatalf("create a file: %+v", answer)
	}
	return m
}

func (m *writer) next() fs.TxID {
	m.seq++
	return fs.TxID{Session: m.session.ID, Seq: m.seq}
}

func (m *writer) commit(tx *fs.Tx) state.Answer {
	tx.Epoch, tx.Replicas = m.session.Epoch, 3
	return m.w.decide(&command.Tx{Tx: *tx})
}

// write is a flush transaction that has been prepared.
type write struct {
	m      *writer
	tx     fs.TxID
	id     fs.BlobID
	slot   uint64
	voters []fs.NodeID
}

func (m *writer) prepare(slot uint64, on []fs.NodeID) *write {
	m.blobs++
	p := &write{m: m, tx: m.next(), id: fs.BlobID{Session: m.session.ID, Counter: m.blobs}, slot: slot}
	for _, node := range on {
		if v, err := p.stage(node); err == nil {
			p.voters = append(p.voters, v...)
		}
	}
	return p
}

func (p *write) stage(node fs.NodeID) ([]fs.NodeID, error) {
	r := &remote{p.m.w.nodes[node]}
	return r.Stage(context.Background(), blob.Tx{ID: p.tx, Epoch: p.m.session.Epoch}, blobOf(p.id))
}

// decide commits the write, over what lay in its slot; it may be refused, for lack of votes for one thing.
func (p *write) decide() state.Answer {
	info := blobOf(p.id).Info(p.voters)
	return p.m.commit(&fs.Tx{ID: p.tx, Blobs: []fs.BlobInfo{info}, Ops: []fs.Op{&fs.Write{Ino: p.m.ino,
		Extents: []fs.Extent{{Off: p.slot * blobLength, Len: blobLength, Blob: p.id}}}}})
}

func (p *write) abort() { p.m.w.decide(&command.Abort{Tx: p.tx, Epoch: p.m.session.Epoch}) }

func (w *world) endSession(m *writer) {
	w.decide(&command.EndSession{Session: m.session.ID, Epoch: m.session.Epoch})
}
