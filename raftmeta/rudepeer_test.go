package raftmeta

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"golang.org/x/time/rate"

	"dfs/cluster"
	"dfs/cluster/pki"
)

// logText is a log that tests look into.
type logText struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logText) contains(s string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.buf.String(), s)
}

// certified opens a port for a node with a certificate of the authority in ca.
func certified(t *testing.T, ca, name string) *cluster.Transport {
	t.Helper()
	out := filepath.Join(t.TempDir(), name)
	if err := pki.Issue(ca, out, pki.Request{Role: pki.RoleNode, Name: name}); err != nil {
		t.Fatal(err)
	}
	files, err := pki.FilesIn(out, pki.RoleNode)
	if err != nil {
		t.Fatal(err)
	}
	c, err := pki.Open(files, pki.RoleNode, nil)
	if err != nil {
		t.Fatal(err)
	}
	tr, err := cluster.Listen(t.Context(), cluster.Config{Listen: "127.0.0.1:0", TLS: c})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(tr.Close(), c.Close()); err != nil {
			t.Error(err)
		}
	})
	return tr
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A node with a proper certificate that sends rubbish as Raft is cut off, and others are served meanwhile.
func TestRudePeer_IsCutOffWithTheReason(t *testing.T) {
	ca := filepath.Join(t.TempDir(), "ca")
	if err := pki.InitCA(ca); err != nil {
		t.Fatal(err)
	}
	log := &logText{}
	a, bad, good := certified(t, ca, "a"), certified(t, ca, "bad"), certified(t, ca, "good")
	at := raft.ServerAddress(a.Addr())
	node := NewTransport(cluster.RaftLayer[raft.ServerAddress](a), "a", slog.New(slog.NewTextHandler(log, nil)))
	node.layer.messageTimeout, node.layer.snapshotSilence = 2*time.Second, 300*time.Millisecond
	peer := NewTransport(cluster.RaftLayer[raft.ServerAddress](good), "good", nil)
	defer func() {
		if err := errors.Join(node.Close(), peer.Close()); err != nil {
			t.Error(err)
		}
	}()
	go answerAll(node)
	mustServe := func() {
		t.Helper()
		var resp raft.RequestVoteResponse
		if err := peer.RequestVote("a", node.to("a", at), &raft.RequestVoteRequest{}, &resp); err != nil || !resp.Granted {
			t.Errorf("meanwhile another peer: %+v, %v", resp, err)
		}
	}
	cases := map[string]struct{ sent, reason string }{
		"half a message":  {"\x00\x81\xa4Term", "begun and not completed"},
		"half a snapshot": {"\x02\x81\xa4Size\xce\x00\x10\x00\x00half", "begun and not completed"},
		"another name":    {"", "is meant for node b"},
	}
	for name, c := range absurd {
		cases[name] = c
	}
	before := heap()
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			conn, err := cluster.RaftLayer[raft.ServerAddress](bad).Dial(at, 5*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			to := "a"
			if c.sent == "" {
				to = "b"
			}
			_, _ = io.WriteString(conn, "\x01"+to+c.sent) // it may be cut off before all has been sent
			mustServe()
			mustBeCut(t, conn)
			eventually(t, "the log says "+c.reason, func() bool { return log.contains(c.reason) })
		})
	}
	if grown := heap() - before; grown > 64<<20 {
		t.Errorf("the heap has grown by %d MiB", grown>>20)
	}
	mustServe()
}

func answerAll(node *Transport) {
	for rpc := range node.Consumer() {
		if rpc.Reader != nil {
			_, _ = io.Copy(io.Discard, rpc.Reader) // as Raft does, whatever comes
		}
		rpc.Respond(&raft.RequestVoteResponse{Granted: true}, nil)
	}
}

func mustBeCut(t *testing.T, conn net.Conn) {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	var timeout net.Error
	if _, err := io.Copy(io.Discard, conn); errors.As(err, &timeout) && timeout.Timeout() {
		t.Error("it is not cut off")
	}
}

// A peer that comes again and again does not fill the disk with the reasons why it is sent away.
func TestQuotaLog_BoundsComplaints(t *testing.T) {
	log := &logText{}
	l := slog.New(quotaHandler{slog.NewTextHandler(log, nil), rate.NewLimiter(0, 3)}).With("a", 1)
	for range 10 {
		l.Warn("bad")
		l.Info("good")
	}
	if bad, good := strings.Count(log.buf.String(), "bad"), strings.Count(log.buf.String(), "good"); bad != 3 || good != 10 {
		t.Errorf("%d complaints and %d other lines", bad, good)
	}
}

// A message that takes longer than one may, byte by byte, is no message, however busy the connection is.
func TestMessageTimeout_IsOfEachMessage(t *testing.T) {
	here, there := net.Pipe()
	l := &namedLayer{self: "n1", log: slog.New(slog.DiscardHandler), messageTimeout: time.Minute, snapshotSilence: time.Minute}
	c := &namedConn{Conn: here, layer: l, checked: true}
	go func() { _, _ = there.Write([]byte("\x00\x80\x00")) }()
	buf := make([]byte, 10)
	if n, err := c.read(buf); n != 3 || err != nil {
		t.Fatal(n, err)
	}
	first := c.deadline()
	if first.IsZero() || c.deadline() != first {
		t.Errorf("half a message has the deadlines %v, %v", first, c.deadline())
	}
	go func() { _, _ = there.Write([]byte("\x80\x00")) }()
	if n, err := c.read(buf); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	if next := c.deadline(); !next.After(first) {
		t.Errorf("the next message has the deadline %v of the one before", next)
	}
	go func() { _, _ = there.Write([]byte("\x80")) }()
	if n, err := c.read(buf); n != 1 || err != nil || !c.deadline().IsZero() {
		t.Errorf("%d, %v, between messages there is the deadline %v", n, err, c.deadline())
	}
}

// What does not fit into one message goes in the next ones, in order, with one at a time and in a pipeline.
func TestFollower_CatchesUpOnMoreThanAMessage(t *testing.T) {
	sent := &capturing{}
	tr := &tracker{Transport: sent, contacts: nil, gate: nil}
	req := &raft.AppendEntriesRequest{Term: 7, PrevLogEntry: 1, Entries: fullEntries(1 << 20)}
	if err := tr.AppendEntries("b", "b:1", req, &raft.AppendEntriesResponse{}); err != nil {
		t.Fatal(err)
	}
	tr.handover.Store(7)
	marked := &raft.AppendEntriesRequest{Term: 7, PrevLogEntry: 1, Entries: fullEntries(1 << 20)}
	if err := tr.AppendEntries("b", "b:1", marked, &raft.AppendEntriesResponse{}); err != nil {
		t.Fatal(err)
	}
	p, err := tr.AppendEntriesPipeline("b", "b:1")
	if err != nil {
		t.Fatal(err)
	}
	piped := &raft.AppendEntriesRequest{Entries: fullEntries(1 << 20)}
	if _, err := p.AppendEntries(piped, nil); err != nil {
		t.Fatal(err)
	}
	// Raft goes on behind the last entry of its own message.
	for i, own := range []*raft.AppendEntriesRequest{req, marked, piped} {
		if n := len(sent.reqs[i].Entries); n != 7 || len(own.Entries) != n {
			t.Errorf("message %d: %d entries are sent, Raft believes %d", i, n, len(own.Entries))
		}
	}
}

// capturing keeps what is sent.
type capturing struct {
	raft.Transport
	reqs []*raft.AppendEntriesRequest
}

func (c *capturing) AppendEntries(_ raft.ServerID, _ raft.ServerAddress, req *raft.AppendEntriesRequest, _ *raft.AppendEntriesResponse) error {
	c.reqs = append(c.reqs, req)
	return nil
}

func (c *capturing) AppendEntriesPipeline(raft.ServerID, raft.ServerAddress) (raft.AppendPipeline, error) {
	return capturingPipeline{c, nil}, nil
}

type capturingPipeline struct {
	c *capturing
	raft.AppendPipeline
}

func (p capturingPipeline) AppendEntries(req *raft.AppendEntriesRequest, _ *raft.AppendEntriesResponse) (raft.AppendFuture, error) {
	p.c.reqs = append(p.c.reqs, req)
	return nil, nil
}
