package raftmeta

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"dfs/fs"
)

// gate stands between the transport and Raft, on the receiving side, and keeps the promise that read leases rest on: a
// node that has answered a leader's heartbeat votes for nobody else until a heartbeat's time has passed, unless that
// leader itself has given up its lease first.
//
// hashicorp/raft alone breaks it. It answers heartbeats beside its main goroutine, which may be about to stand for election,
// or waiting for the disk to keep the term of a vote that it grants a moment later. So the gate lets in votes and
// heartbeats one at a time, and refuses votes itself as long as the promise holds. And a message of a leadership transfer
// (TimeoutNow) may arrive late, and a vote that is asked for in its name is granted over a living leader. So a leader that
// wants to hand over marks its heartbeats, and only in the election that follows directly on its term are such messages
// honoured.
type gate struct {
	raft func() *raftHandle // nil until Raft has started
	in   <-chan raft.RPC
	out  chan raft.RPC

	met      func(*raft.RequestPreVoteRequest) // is told that somebody else would like to be elected; nil: nobody
	hold     time.Duration                     // how long a promise holds
	promised atomic.Pointer[promise]
	released atomic.Uint64 // the newest term whose leader is known to hand over
	mu       sync.RWMutex  // held for reading while a heartbeat is answered, for writing while a vote is or a transfer begins
}

// promise is made by answering a leader's heartbeat: to vote for nobody else for some time.
type promise struct {
	leader raft.ServerID
	at     time.Time
}

// handoverMark stands in the field of a heartbeat that only versions of Raft older than ours read.
const handoverMark = "handover"

func newGate(in <-chan raft.RPC, current func() *raftHandle) *gate {
	return &gate{in: in, out: make(chan raft.RPC), raft: current}
}

// run passes messages on until ctx ends.
func (g *gate) run(ctx context.Context) {
	for {
		select {
		case rpc := <-g.in:
			g.pass(ctx, rpc)
		case <-ctx.Done():
			return
		}
	}
}

func (g *gate) pass(ctx context.Context, rpc raft.RPC) {
	switch m := rpc.Command.(type) {
	case *raft.AppendEntriesRequest:
		if isHeartbeat(m) { // only from a transport that does not sort them out
			g.heartbeat(rpc, func(inner raft.RPC) { g.forward(ctx, inner, nil) })
			return
		}
		g.note(m)
	case *raft.RequestVoteRequest:
		if m.LeadershipTransfer && m.Term != g.released.Load()+1 {
			plain := *m
			plain.LeadershipTransfer = false
			rpc.Command, m = &plain, &plain
		}
		if r := g.raft(); r != nil {
			g.vote(ctx, r, rpc, m)
			return
		}
	case *raft.RequestPreVoteRequest:
		if g.preVote(rpc, m) {
			return
		}
	case *raft.TimeoutNowRequest:
		g.timeoutNow(ctx, rpc, m)
		return
	}
	select {
	case g.out <- rpc:
	case <-ctx.Done():
	}
}

// preVote answers, without Raft, who asks for a pre-vote while a promise holds: a candidate asks again and again. False: Raft must answer.
func (g *gate) preVote(rpc raft.RPC, m *raft.RequestPreVoteRequest) bool {
	if g.met != nil {
		g.met(m)
	}
	r := g.raft()
	if r == nil || !g.bound(raft.ServerID(m.ID)) {
		return false
	}
	rpc.Respond(&raft.RequestPreVoteResponse{Term: r.CurrentTerm()}, nil)
	return true
}

// forward has Raft handle a message and waits for its answer, which goes to inner.RespChan. It returns false if Raft has
// not taken the message by the time that late yields.
func (g *gate) forward(ctx context.Context, inner raft.RPC, late <-chan time.Time) bool {
	done := make(chan raft.RPCResponse, 1)
	to := inner.RespChan
	inner.RespChan = done
	select {
	case g.out <- inner:
	case <-late:
		return false
	case <-ctx.Done():
		return true
	}
	select {
	case resp := <-done:
		to <- resp
	case <-ctx.Done():
	}
	return true
}

// vote has Raft answer a request for a vote, with no heartbeat answered meanwhile. Raft may be busy with a snapshot for
// long: heartbeats go on until it takes the message.
func (g *gate) vote(ctx context.Context, r *raftHandle, rpc raft.RPC, m *raft.RequestVoteRequest) {
	for ctx.Err() == nil && !g.tryVote(ctx, r, rpc, m) {
		waitFor(ctx, time.Millisecond)
	}
}

func (g *gate) tryVote(ctx context.Context, r *raftHandle, rpc raft.RPC, m *raft.RequestVoteRequest) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !m.LeadershipTransfer && g.bound(raft.ServerID(m.ID)) {
		rpc.Respond(&raft.RequestVoteResponse{Term: r.CurrentTerm()}, nil)
		return true
	}
	return g.forward(ctx, rpc, time.After(time.Millisecond))
}

// bound reports whether this node has promised somebody else not to vote for id yet.
func (g *gate) bound(id raft.ServerID) bool {
	p := g.promised.Load()
	return p != nil && p.leader != id && time.Since(p.at) < g.hold
}

// follow makes the promise that a heartbeat's answer is. It is false if this node may have left the leader already. The
// promise is made before that is looked at, and an own candidacy looks at the promise after it has begun (see
// tracker.RequestVote): one of the two sees the other.
func (g *gate) follow(m *raft.AppendEntriesRequest) bool {
	g.promised.Store(&promise{raft.ServerID(m.ID), time.Now()})
	r := g.raft()
	return r == nil || r.State() != raft.Candidate && r.CurrentTerm() == m.Term
}

// note learns from a leader's message that it hands over.
func (g *gate) note(m *raft.AppendEntriesRequest) {
	//lint:ignore SA1019 the field is free just because nobody else uses it any more
	if string(m.Leader) == handoverMark {
		g.release(m.Term)
	}
}

// release says that the leader of a term has given up its lease.
func (g *gate) release(term uint64) {
	for old := g.released.Load(); term > old && !g.released.CompareAndSwap(old, term); {
		old = g.released.Load()
	}
}

// handoverMarked is a copy of a leader's message that says that it hands over.
func handoverMarked(m *raft.AppendEntriesRequest) *raft.AppendEntriesRequest {
	marked := *m
	//lint:ignore SA1019 see note
	marked.Leader = []byte(handoverMark)
	return &marked
}

// heartbeat has handle answer a heartbeat. The answer counts as a promise, and is withheld if it cannot be kept.
func (g *gate) heartbeat(rpc raft.RPC, handle func(raft.RPC)) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	m, ok := rpc.Command.(*raft.AppendEntriesRequest)
	if ok {
		g.note(m)
	}
	inner := rpc
	done := make(chan raft.RPCResponse, 1)
	inner.RespChan = done
	handle(inner)
	select {
	case resp := <-done:
		answer, _ := resp.Response.(*raft.AppendEntriesResponse)
		if ok && answer != nil && answer.Success && !g.follow(m) {
			resp = raft.RPCResponse{Response: resp.Response, Error: fmt.Errorf("standing for election: %w", fs.ErrBusy)}
		}
		rpc.RespChan <- resp
	default: // Raft is shutting down
	}
}

// timeoutNow lets this node stand for election over a living leader, if that is the leader's wish and still is: no
// heartbeat of a successor is answered between the check and the moment when the new term has begun.
func (g *gate) timeoutNow(ctx context.Context, rpc raft.RPC, m *raft.TimeoutNowRequest) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.raft()
	if r == nil {
		rpc.Respond(&raft.TimeoutNowResponse{}, fmt.Errorf("not started: %w", fs.ErrUnavailable))
		return
	}
	term := r.CurrentTerm()
	_, leader := r.LeaderWithID()
	if g.released.Load() != term || leader != raft.ServerID(m.ID) {
		rpc.Respond(&raft.TimeoutNowResponse{}, fmt.Errorf("a leadership transfer that is out of date: %w", fs.ErrStale))
		return
	}
	g.forward(ctx, rpc, nil)
	for r.CurrentTerm() == term && ctx.Err() == nil {
		waitFor(ctx, time.Millisecond)
	}
}

func isHeartbeat(m *raft.AppendEntriesRequest) bool {
	return m.Term != 0 && m.PrevLogEntry == 0 && m.PrevLogTerm == 0 && len(m.Entries) == 0 && m.LeaderCommitIndex == 0
}
