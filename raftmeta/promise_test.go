package raftmeta

import (
	"errors"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"dfs/fs"
)

// sideDoor is a transport in memory that lets a test answer heartbeats beside Raft's main goroutine, as a network does.
type sideDoor struct {
	*raft.InmemTransport
	handle chan func(raft.RPC)
}

func (d *sideDoor) SetHeartbeatHandler(handle func(raft.RPC)) { d.handle <- handle }

// A vote is being kept on a slow disk while the old leader comes back: its heartbeats must not be answered as if this
// node still followed it, for two such answers would make a lease beside the leader that the vote elects.
func TestGate_AnswersNoHeartbeatWhileAVoteIsBeingKept(t *testing.T) {
	doors := map[fs.NodeID]*sideDoor{}
	c := newCluster(t, 3, func(cfg *Config) {
		d := &sideDoor{cfg.Transport.(*raft.InmemTransport), make(chan func(raft.RPC), 4)}
		doors[cfg.ID], cfg.Transport = d, d
	})
	leader, f := c.leader(), c.follower()
	other := c.ids()[0]
	for _, id := range c.ids() {
		if id != leader.cfg.ID && id != f.cfg.ID {
			other = id
		}
	}
	var handle func(raft.RPC)
	for len(doors[f.cfg.ID].handle) > 0 {
		handle = <-doors[f.cfg.ID].handle
	}
	c.setCut(f.cfg.ID, true)
	c.eventually("the follower stands for election", func() bool { return f.raft.Load().State() == raft.Candidate })

	keeping, kept := make(chan struct{}, 16), make(chan struct{})
	c.onStep(f.cfg.ID, "log.write", func() error { keeping <- struct{}{}; <-kept; return nil })
	term := f.raft.Load().CurrentTerm()
	voted := make(chan raft.RPCResponse, 1)
	go f.transport.gate.pass(t.Context(), raft.RPC{RespChan: voted, Command: &raft.RequestVoteRequest{
		RPCHeader: header(other), Term: term + 1, LastLogIndex: 1 << 30, LastLogTerm: term + 1}})
	<-keeping

	beats := make(chan raft.RPCResponse, 2)
	for range 2 {
		go handle(raft.RPC{RespChan: beats, Command: &raft.AppendEntriesRequest{RPCHeader: header(leader.cfg.ID), Term: term}})
	}
	refused := func(answer raft.RPCResponse) {
		t.Helper()
		if m := answer.Response.(*raft.AppendEntriesResponse); answer.Error == nil && m.Success {
			t.Error("the old leader is followed while, or after, a vote against it is given")
		}
	}
	select {
	case answer := <-beats:
		refused(answer)
		beats <- answer
	case <-time.After(50 * time.Millisecond): // not answered as long as the vote is not kept: as it should be
	}
	close(kept)
	refused(<-beats)
	refused(<-beats)
	if answer := <-voted; !answer.Response.(*raft.RequestVoteResponse).Granted {
		t.Error("the vote was not granted: this shows nothing")
	}
}

// Raft's main goroutine may take its time between finding that the leader was silent and giving it up; heartbeats that are
// answered in between are promises all the same.
func TestGate_KeepsAPromiseThatRaftForgot(t *testing.T) {
	c := newCluster(t, 3, func(cfg *Config) { cfg.Timings.Heartbeat = time.Second })
	f, leader := c.follower(), c.leader()
	g := f.transport.gate
	ask := func(id fs.NodeID, hold time.Duration) (reached bool) {
		own := newGate(nil, f.raft.Load)
		own.hold = hold
		own.promised.Store(g.promised.Load())
		answer := make(chan raft.RPCResponse, 1)
		done := make(chan struct{})
		go func() {
			defer close(done)
			own.pass(t.Context(), raft.RPC{RespChan: answer, Command: &raft.RequestVoteRequest{RPCHeader: header(id), Term: 1}})
		}()
		select {
		case rpc := <-own.out:
			rpc.Respond(&raft.RequestVoteResponse{}, nil)
			reached = true
		case <-done:
		}
		if m := (<-answer).Response.(*raft.RequestVoteResponse); m.Granted {
			t.Error("granted")
		}
		return reached
	}
	if ask("x", time.Hour) {
		t.Error("somebody else's request for a vote reached Raft right after the leader's heartbeat")
	}
	if !ask(leader.cfg.ID, time.Hour) {
		t.Error("the leader itself was refused")
	}
	if !ask("x", time.Nanosecond) {
		t.Error("the promise does not end")
	}
	stand := &raft.RequestVoteRequest{RPCHeader: header(f.cfg.ID), Term: 1}
	at := raft.ServerAddress(leader.cfg.Addr)
	err := f.transport.RequestVote(raft.ServerID(leader.cfg.ID), at, stand, &raft.RequestVoteResponse{})
	if !errors.Is(err, fs.ErrBusy) {
		t.Errorf("the node stands against a leader whose heartbeat it has just answered: %v", err)
	}
	stand.LeadershipTransfer = true
	if err := f.transport.RequestVote(raft.ServerID(leader.cfg.ID), at, stand, &raft.RequestVoteResponse{}); err != nil {
		t.Errorf("a leadership transfer: %v", err)
	}
}

// Of two voters the leader itself is the one whose vote its successor needs.
func TestGiveAway_WorksWithTwoVoters(t *testing.T) {
	c := newCluster(t, 2, func(cfg *Config) {
		cfg.Timings.Heartbeat, cfg.Timings.Operation = 1500*time.Millisecond, 10*time.Second
	})
	old := c.leader()
	term := old.raft.Load().CurrentTerm()
	old.giveAway()
	n := c.leader()
	if got := n.raft.Load().CurrentTerm(); n == old || got != term+1 {
		t.Errorf("%s leads in term %d after %s has given term %d away", n.cfg.ID, got, old.cfg.ID, term)
	}
}

func header(id fs.NodeID) raft.RPCHeader {
	return raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(id), Addr: []byte(addrOf(id))}
}
