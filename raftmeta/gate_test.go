package raftmeta

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"dfs/fs"
)

// askVote sends a vote request through a gate and returns it as Raft would see it.
func askVote(t *testing.T, g *gate, m *raft.RequestVoteRequest) *raft.RequestVoteRequest {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan struct{})
	go func() { defer close(done); g.pass(ctx, raft.RPC{Command: m}) }()
	rpc := <-g.out
	<-done
	return rpc.Command.(*raft.RequestVoteRequest)
}

func TestGate_HonoursTransferOnlyRightAfterAMarkedTerm(t *testing.T) {
	g := newGate(nil, func() *raftHandle { return nil })
	if askVote(t, g, &raft.RequestVoteRequest{Term: 6, LeadershipTransfer: true}).LeadershipTransfer {
		t.Error("a transfer was honoured though no leader hands over")
	}
	g.note(handoverMarked(&raft.AppendEntriesRequest{Term: 5}))
	m := &raft.RequestVoteRequest{Term: 6, LeadershipTransfer: true}
	if !askVote(t, g, m).LeadershipTransfer {
		t.Error("the transfer that the leader of term 5 wished was not honoured")
	}
	if askVote(t, g, &raft.RequestVoteRequest{Term: 7, LeadershipTransfer: true}).LeadershipTransfer {
		t.Error("a transfer was honoured in the term after the successor's")
	}
	g.note(handoverMarked(&raft.AppendEntriesRequest{Term: 4}))
	if !askVote(t, g, m).LeadershipTransfer {
		t.Error("an older mark undid a newer one")
	}
}

func TestGate_RefusesLateTimeoutNow(t *testing.T) {
	c := newCluster(t, 3, nil)
	leader, f := c.leader(), c.follower()
	term := f.raft.Load().CurrentTerm()
	req := &raft.TimeoutNowRequest{RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax,
		ID: []byte(leader.cfg.ID), Addr: []byte(leader.cfg.Addr)}}
	c.mu.Lock()
	trans := c.trans[leader.cfg.ID]
	c.mu.Unlock()
	err := trans.TimeoutNow(raft.ServerID(f.cfg.ID), raft.ServerAddress(f.cfg.Addr), req, &raft.TimeoutNowResponse{})
	if !errors.Is(err, fs.ErrStale) {
		t.Fatalf("a transfer that the leader does not wish: %v", err)
	}
	if got := f.raft.Load().CurrentTerm(); got != term {
		t.Errorf("the term went from %d to %d", term, got)
	}
}

func TestClose_HandsLeadershipOverAtOnce(t *testing.T) {
	c := newCluster(t, 3, func(cfg *Config) {
		cfg.Timings.Heartbeat, cfg.Timings.Operation = 1500*time.Millisecond, 10*time.Second // a fail-over by time-out would take long
	})
	s := c.session()
	c.must(c.leader(), s.tx(s.create("a")))
	old := c.leader()
	term := old.raft.Load().CurrentTerm()
	c.stop(old.cfg.ID)
	for _, id := range c.ids() {
		n := c.node(id)
		if _, at := n.raft.Load().LeaderWithID(); at == "" || n.raft.Load().CurrentTerm() != term+1 {
			t.Errorf("%s: leader %q in term %d right after the old leader of term %d has closed", id, at, n.raft.Load().CurrentTerm(), term)
		}
	}
	if _, err := c.leader().Lookup(c.ctx(), fs.RootIno, "a"); err != nil {
		t.Error(err)
	}
}

// A restarted node has forgotten which leader it promised not to vote against: it waits the promise out.
func TestRestart_WaitsOutThePromiseOfALease(t *testing.T) {
	for _, noLease := range []bool{false, true} {
		c := newCluster(t, 1, func(cfg *Config) { cfg.NoLease, cfg.Timings.Heartbeat = noLease, 700*time.Millisecond })
		c.stop("n1")
		began := time.Now()
		c.start("n1")
		if d := time.Since(began); (d < 700*time.Millisecond) != noLease {
			t.Errorf("noLease %v: the node took part again after %v", noLease, d)
		}
	}
}

// A node that has left its leader does not answer as if it still followed it.
func TestGate_WithholdsTheAnswerOfACandidate(t *testing.T) {
	c := newCluster(t, 3, nil)
	f := c.follower()
	beat := func(term uint64) error {
		answer := make(chan raft.RPCResponse, 1)
		f.transport.gate.heartbeat(raft.RPC{RespChan: answer, Command: &raft.AppendEntriesRequest{
			RPCHeader: header("n9"), Term: term}}, func(rpc raft.RPC) {
			rpc.Respond(&raft.AppendEntriesResponse{Term: term, Success: true}, nil)
		})
		return (<-answer).Error
	}
	term := f.raft.Load().CurrentTerm()
	if err := beat(term); err != nil {
		t.Errorf("a follower's answer in its term: %v", err)
	}
	if err := beat(term - 1); err == nil {
		t.Error("a success in an older term was passed on")
	}
	c.setCut(f.cfg.ID, true)
	c.eventually("it stands for election", func() bool { return f.raft.Load().State() == raft.Candidate })
	if err := beat(f.raft.Load().CurrentTerm()); err == nil {
		t.Error("a candidate's success was passed on")
	}
}
