package raftmeta

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"dfs/fs"
)

func TestTransport_RefusesWhatIsMeantForAnotherNode(t *testing.T) {
	ln := listen(t, "127.0.0.1:0")
	b := NewTransport(layer{ln}, "b", nil)
	a := NewTransport(layer{listen(t, "127.0.0.1:0")}, "a", nil)
	defer func() {
		if err := errors.Join(a.Close(), b.Close()); err != nil {
			t.Error(err)
		}
	}()
	go func() {
		for rpc := range b.Consumer() {
			rpc.Respond(&raft.RequestVoteResponse{Granted: true}, nil)
		}
	}()
	at := raft.ServerAddress(ln.Addr().String())
	var resp raft.RequestVoteResponse
	if err := a.RequestVote("b", a.to("b", at), &raft.RequestVoteRequest{}, &resp); err != nil || !resp.Granted {
		t.Errorf("meant for b: %+v %v", resp, err)
	}
	resp = raft.RequestVoteResponse{}
	if err := a.RequestVote("c", a.to("c", at), &raft.RequestVoteRequest{}, &resp); err == nil || resp.Granted {
		t.Errorf("meant for c: %+v %v", resp, err)
	}
	if err := a.RequestVote("b", at, &raft.RequestVoteRequest{}, &resp); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("meant for nobody: %v", err)
	}
}

// Raft waits for its messages when it is shut down: closing the transport must end them, whatever the peer does.
func TestTransport_CloseEndsMessagesUnderWay(t *testing.T) {
	deaf := listen(t, "127.0.0.1:0") // accepts, and never answers
	defer func() { _ = deaf.Close() }()
	a := NewTransport(layer{listen(t, "127.0.0.1:0")}, "a", nil)
	done := make(chan error, 2)
	at := a.to("deaf", raft.ServerAddress(deaf.Addr().String()))
	go func() { done <- a.RequestVote("deaf", at, &raft.RequestVoteRequest{}, &raft.RequestVoteResponse{}) }()
	go func() {
		snapshot := io.MultiReader(bytes.NewReader(make([]byte, 1<<20)))
		done <- a.InstallSnapshot("deaf", at, &raft.InstallSnapshotRequest{Size: 1 << 20}, &raft.InstallSnapshotResponse{}, snapshot)
	}()
	eventually(t, "both are under way", func() bool {
		a.layer.mu.Lock()
		defer a.layer.mu.Unlock()
		return len(a.layer.conns) == 2
	})
	began := time.Now()
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := <-done; err == nil {
			t.Error("answered by nobody")
		}
	}
	if d := time.Since(began); d > transportTimeout/2 {
		t.Errorf("they ended after %v", d)
	}
	if _, err := a.layer.Dial(at, time.Second); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("a connection after the close: %v", err)
	}
	if c, err := net.Dial("tcp", string(a.LocalAddr())); err == nil {
		_ = c.Close()
		t.Error("the port is still open")
	}
}
