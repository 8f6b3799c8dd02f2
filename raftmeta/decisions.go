package raftmeta

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"dfs/fs"
	"dfs/raftmeta/command"
	"dfs/raftmeta/state"
)

const (
	decisionsQueued = 4096 // decisions that the local blob store has not taken yet
	decisionsKept   = 1024 // decided transactions that operators can ask about
	opsKept         = 16   // operations described of each
	blobsKept       = 64   // blobs listed of each
)

// Decision is a transaction with blobs that has just been decided, as this node applied it. It may come more than once.
type Decision struct {
	Tx        fs.TxID
	Epoch     fs.Epoch
	Index     uint64 // of the entry that decided, or repeated the decision
	Committed bool
	Blobs     []fs.BlobID
}

// decisions are the transactions decided last: a queue for the local blob store, and a memory for operators.
type decisions struct {
	queue  chan Decision
	missed atomic.Bool

	mu   sync.Mutex
	ring []fs.TxStatus // the oldest at next, once it is full
	next int
}

func newDecisions() *decisions { return &decisions{queue: make(chan Decision, decisionsQueued)} }

// Decisions yields the transactions with blobs that this node has applied, so that staged blobs become live without
// asking. The queue is bounded: what does not fit is dropped, and MissedDecisions says so.
func (n *Node) Decisions() <-chan Decision { return n.decisions.queue }

// MissedDecisions reports, once, that decisions were dropped, or that the whole state has been replaced, since it was
// last asked: what is staged must be compared with the state.
func (n *Node) MissedDecisions() bool { return n.decisions.missed.Swap(false) }

// onDecided is called by the FSM for every command, after it has been applied.
func (n *Node) onDecided(index uint64, cmd command.Command, answer *state.Answer) {
	switch m := cmd.(type) {
	case *command.Tx:
		n.decisions.add(index, m, answer)
	case *command.Init:
		n.learnIdentity()
	}
}

// onRestored is called by the FSM after it has been restored from a snapshot.
func (n *Node) onRestored() {
	n.decisions.missed.Store(true)
	n.learnIdentity()
}

// learnIdentity keeps the cluster's id, if the state knows it.
func (n *Node) learnIdentity() {
	err := n.local(func(s *snapshot) error {
		config, ok, err := s.Config()
		if err != nil || !ok {
			return err
		}
		return n.identity.learn(config.Cluster)
	})
	if err != nil {
		n.fail(err)
	}
}

func (d *decisions) add(index uint64, cmd *command.Tx, answer *state.Answer) {
	committed := answer.Tx != nil && answer.Tx.Err == fs.CodeOK
	if len(cmd.Blobs) > 0 && answer.Err != fs.CodeUnavailable {
		e := Decision{Tx: cmd.ID, Epoch: cmd.Epoch, Index: index, Committed: committed}
		for _, b := range cmd.Blobs {
			e.Blobs = append(e.Blobs, b.ID)
		}
		select {
		case d.queue <- e:
		default:
			d.missed.Store(true)
		}
	}
	d.keep(describe(index, cmd, answer))
}

func describe(index uint64, cmd *command.Tx, answer *state.Answer) fs.TxStatus {
	s := fs.TxStatus{ID: cmd.ID, State: fs.TxDecided, Index: index, Err: answer.Err, Time: fs.TimeOf(time.Now())}
	if answer.Tx != nil {
		s.Index, s.Err = answer.Tx.Index, answer.Tx.Err
	}
	if s.Err != fs.CodeOK {
		s.State = fs.TxAborted
	}
	for i, op := range cmd.Ops {
		if i == opsKept {
			s.Ops = append(s.Ops, fmt.Sprintf("… and %d more", len(cmd.Ops)-i))
			break
		}
		s.Ops = append(s.Ops, describeOp(op))
	}
	s.Blobs = append(s.Blobs, cmd.Blobs[:min(blobsKept, len(cmd.Blobs))]...)
	return s
}

func (d *decisions) keep(s fs.TxStatus) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.ring) < decisionsKept {
		d.ring = append(d.ring, s)
		return
	}
	d.ring[d.next] = s
	d.next = (d.next + 1) % decisionsKept
}

// last returns the newest decisions, newest first.
func (d *decisions) last(limit int) []fs.TxStatus {
	d.mu.Lock()
	defer d.mu.Unlock()
	var list []fs.TxStatus
	for i := range min(limit, len(d.ring)) {
		list = append(list, d.ring[(d.next+len(d.ring)-1-i)%len(d.ring)])
	}
	return list
}

// describeOp says in a few words what an operation does.
func describeOp(op fs.Op) string {
	switch o := op.(type) {
	case *fs.Create:
		return fmt.Sprintf("create %d/%s → %d", o.Parent, o.Name, o.Ino)
	case *fs.Link:
		return fmt.Sprintf("link %d → %d/%s", o.Ino, o.Parent, o.Name)
	case *fs.Unlink:
		return fmt.Sprintf("unlink %d/%s", o.Parent, o.Name)
	case *fs.Rmdir:
		return fmt.Sprintf("rmdir %d/%s", o.Parent, o.Name)
	case *fs.Rename:
		return fmt.Sprintf("rename %d/%s → %d/%s", o.Parent, o.Name, o.NewParent, o.NewName)
	case *fs.Setattr:
		return fmt.Sprintf("setattr %d", o.Ino)
	case *fs.Write:
		return fmt.Sprintf("write %d, %d extents", o.Ino, len(o.Extents))
	case *fs.Allocate:
		return fmt.Sprintf("allocate %d [%d, +%d)", o.Ino, o.Off, o.Len)
	case *fs.Clone:
		return fmt.Sprintf("clone %d [%d, +%d) → %d at %d", o.Src, o.SrcOff, o.Len, o.Dst, o.DstOff)
	case *fs.Setxattr:
		return fmt.Sprintf("setxattr %d %s", o.Ino, o.Name)
	case *fs.Removexattr:
		return fmt.Sprintf("removexattr %d %s", o.Ino, o.Name)
	case *fs.Check:
		return fmt.Sprintf("check %d at version %d", o.Ino, o.Version)
	case *fs.Access:
		return fmt.Sprintf("access %d", o.Ino)
	}
	return fmt.Sprintf("%T", op)
}
