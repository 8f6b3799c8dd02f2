package raftmeta

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"dfs/fs"
)

// tracker is the transport as Raft sees it: with an ear on the heartbeats' answers, and with every message addressed to a
// node and not only to a place. It cannot be closed through Raft: the Node does that.
type tracker struct {
	raft.Transport
	contacts *contacts
	gate     *gate
	canvass  *canvass
	ctx      context.Context // ends with the node
	handover atomic.Uint64   // the term that this node, its leader, hands over: no lease counts in it any more
}

var _ raft.WithPreVote = (*tracker)(nil)

// addressed is implemented by transports that check whom they talk to; see Transport.
type addressed interface {
	to(raft.ServerID, raft.ServerAddress) raft.ServerAddress
}

func (t *tracker) to(id raft.ServerID, at raft.ServerAddress) raft.ServerAddress {
	if a, ok := t.Transport.(addressed); ok {
		return a.to(id, at)
	}
	return at
}

// AppendEntries implements raft.Transport.
func (t *tracker) AppendEntries(id raft.ServerID, at raft.ServerAddress, req *raft.AppendEntriesRequest,
	resp *raft.AppendEntriesResponse) error {
	capEntries(req) // before it may be copied
	if t.handover.Load() == req.Term {
		req = handoverMarked(req)
	}
	sent := time.Now()
	err := t.Transport.AppendEntries(id, t.to(id, at), req, resp)
	if err == nil && resp.Success && resp.Term == req.Term && isHeartbeat(req) {
		t.contacts.answered(req.Term, id, sent, resp.LastLog)
	}
	return err
}

// AppendEntriesPipeline implements raft.Transport.
func (t *tracker) AppendEntriesPipeline(id raft.ServerID, at raft.ServerAddress) (raft.AppendPipeline, error) {
	p, err := t.Transport.AppendEntriesPipeline(id, t.to(id, at))
	if err != nil {
		return nil, err
	}
	return cappedPipeline{p}, nil
}

// RequestVote implements raft.Transport. As long as this node has a promise to keep it asks for no votes.
func (t *tracker) RequestVote(id raft.ServerID, at raft.ServerAddress, req *raft.RequestVoteRequest,
	resp *raft.RequestVoteResponse) error {
	if !req.LeadershipTransfer && t.gate.bound(raft.ServerID(req.ID)) {
		return fmt.Errorf("not standing against a leader whose heartbeat was just answered: %w", fs.ErrBusy)
	}
	return t.Transport.RequestVote(id, t.to(id, at), req, resp)
}

// RequestPreVote implements raft.WithPreVote. A transport without it counts as one that reaches nobody. It returns when there is nothing to be
// gained by asking again.
func (t *tracker) RequestPreVote(id raft.ServerID, at raft.ServerAddress, req *raft.RequestPreVoteRequest,
	resp *raft.RequestPreVoteResponse) error {
	pre, ok := t.Transport.(raft.WithPreVote)
	if !ok {
		return raft.ErrTransportShutdown
	}
	standing := func() bool {
		r := t.gate.raft()
		return r == nil || r.State() == raft.Candidate && r.CurrentTerm() < req.Term
	}
	return t.canvass.ask(t.ctx, req, resp, standing, func(resp *raft.RequestPreVoteResponse) error {
		return pre.RequestPreVote(id, t.to(id, at), req, resp)
	})
}

// InstallSnapshot implements raft.Transport.
func (t *tracker) InstallSnapshot(id raft.ServerID, at raft.ServerAddress, req *raft.InstallSnapshotRequest,
	resp *raft.InstallSnapshotResponse, data io.Reader) error {
	return t.Transport.InstallSnapshot(id, t.to(id, at), req, resp, data)
}

// TimeoutNow implements raft.Transport.
func (t *tracker) TimeoutNow(id raft.ServerID, at raft.ServerAddress, req *raft.TimeoutNowRequest,
	resp *raft.TimeoutNowResponse) error {
	return t.Transport.TimeoutNow(id, t.to(id, at), req, resp)
}

// Consumer implements raft.Transport: what arrives comes through the gate.
func (t *tracker) Consumer() <-chan raft.RPC { return t.gate.out }

// SetHeartbeatHandler implements raft.Transport.
func (t *tracker) SetHeartbeatHandler(handle func(raft.RPC)) {
	t.Transport.SetHeartbeatHandler(func(rpc raft.RPC) { t.gate.heartbeat(rpc, handle) })
}

func (t *tracker) close() error {
	if c, ok := t.Transport.(raft.WithClose); ok {
		return c.Close()
	}
	return nil
}
