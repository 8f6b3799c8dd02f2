package raftmeta

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// candidate is what a node asks with; the higher entry is, the more of the log it has.
func candidate(id string, entry uint64) *raft.RequestPreVoteRequest {
	return &raft.RequestPreVoteRequest{RPCHeader: raft.RPCHeader{ID: []byte(id)}, Term: 5, LastLogTerm: 4, LastLogIndex: entry}
}

func always() bool { return true }

var slow = Timings{Heartbeat: 400 * time.Millisecond, Election: 400 * time.Millisecond}

// asked has a candidate ask a peer that answers with answer, and returns the outcome and how often it asked.
func asked(t *testing.T, c *canvass, ctx context.Context, standing func() bool, answer func(n int) (raft.RequestPreVoteResponse, error)) (granted bool, n int, err error) {
	t.Helper()
	var resp raft.RequestPreVoteResponse
	err = c.ask(ctx, candidate("b", 7), &resp, standing, func(resp *raft.RequestPreVoteResponse) (err error) {
		n++
		*resp, err = answer(n)
		return err
	})
	return resp.Granted, n, err
}

func TestCanvass_AsksAgainUntilItIsDecided(t *testing.T) {
	unreachable := errors.New("unreachable")
	ended, end := context.WithCancel(t.Context())
	end()
	for _, c := range []struct {
		name     string
		ctx      context.Context
		standing func() bool
		last     raft.RequestPreVoteResponse // the third answer; those before refuse
		err      error
		granted  bool
		asks     int
	}{
		{name: "the peer has lost its leader, too", last: raft.RequestPreVoteResponse{Term: 5, Granted: true}, granted: true, asks: 3},
		{name: "a newer term", last: raft.RequestPreVoteResponse{Term: 6}, asks: 3},
		{name: "it cannot be reached", err: unreachable, asks: 3},
		{name: "the node stops", ctx: ended, asks: 1},
		{name: "it stands no more", standing: func() bool { return false }, asks: 1},
	} {
		if c.ctx == nil {
			c.ctx = t.Context()
		}
		if c.standing == nil {
			c.standing = always
		}
		granted, n, err := asked(t, newCanvass(&slow), c.ctx, c.standing, func(n int) (raft.RequestPreVoteResponse, error) {
			if n < 3 {
				return raft.RequestPreVoteResponse{Term: 4}, nil
			}
			return c.last, c.err
		})
		if granted != c.granted || n != c.asks || !errors.Is(err, c.err) {
			t.Errorf("%s: granted %v after asking %d times, %v", c.name, granted, n, err)
		}
	}
}

func TestCanvass_EndsWithTheRound(t *testing.T) {
	began := time.Now()
	granted, n, err := asked(t, newCanvass(&slow), t.Context(), always, func(int) (raft.RequestPreVoteResponse, error) {
		return raft.RequestPreVoteResponse{Term: 4}, nil
	})
	if granted || err != nil || n < 2 || n > 20 || time.Since(began) < slow.Election/2 {
		t.Errorf("granted %v, %v, after asking %d times in %v", granted, err, n, time.Since(began))
	}
}

func TestCanvass_YieldsToWhoRanksHigher(t *testing.T) {
	for _, c := range []struct {
		name   string
		rivals []*raft.RequestPreVoteRequest
		yields bool
	}{
		{"nobody else asks", nil, false},
		{"more of the log", []*raft.RequestPreVoteRequest{candidate("a", 8)}, true},
		{"less of the log", []*raft.RequestPreVoteRequest{candidate("c", 6)}, false},
		{"the same and a higher name", []*raft.RequestPreVoteRequest{candidate("c", 7)}, true},
		{"the same and a lower name", []*raft.RequestPreVoteRequest{candidate("a", 7)}, false},
		{"one of two", []*raft.RequestPreVoteRequest{candidate("d", 9), candidate("a", 3)}, true},
	} {
		cv := newCanvass(&slow)
		for _, r := range c.rivals {
			cv.met(r)
		}
		granted, n, err := asked(t, cv, t.Context(), always, func(int) (raft.RequestPreVoteResponse, error) {
			return raft.RequestPreVoteResponse{Term: 5, Granted: true}, nil
		})
		if !granted || err != nil || n > 1 != c.yields { // the rival does not ask again: in the end nobody yields to it
			t.Errorf("%s: granted %v after asking %d times, %v", c.name, granted, n, err)
		}
	}
}

// A rival that cannot win, and goes on asking, does not keep anybody from being elected.
func TestCanvass_DoesNotYieldForEver(t *testing.T) {
	cv := newCanvass(&slow)
	granted, n, err := asked(t, cv, t.Context(), always, func(int) (raft.RequestPreVoteResponse, error) {
		cv.met(candidate("a", 8))
		return raft.RequestPreVoteResponse{Term: 5, Granted: true}, nil
	})
	if !granted || err != nil || n < 2 {
		t.Errorf("granted %v after asking %d times, %v", granted, n, err)
	}
}

// A node that keeps a promise refuses by itself, but takes note of who asks.
func TestGate_RefusesPreVotesWhileAPromiseHolds(t *testing.T) {
	c := newCluster(t, 3, nil)
	c.leader()
	f := c.follower()
	g := f.transport.gate
	answer := make(chan raft.RPCResponse, 1)
	rpc := raft.RPC{RespChan: answer}
	g.promised.Store(&promise{"n9", time.Now().Add(time.Hour)})
	if !g.preVote(rpc, candidate("x", 100)) {
		t.Fatal("it was left to Raft")
	}
	if resp, ok := (<-answer).Response.(*raft.RequestPreVoteResponse); !ok || resp.Granted || resp.Term != f.raft.Load().CurrentTerm() {
		t.Errorf("answered %v", resp)
	}
	if !f.transport.canvass.outranked(rank{term: 4, index: 99}) {
		t.Error("it has forgotten who asked")
	}
	if g.preVote(rpc, candidate("n9", 100)) {
		t.Error("the leader itself was refused")
	}
}
