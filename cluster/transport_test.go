package cluster

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"dfs/fs"
)

var _ raft.StreamLayer = StreamLayer[raft.ServerAddress]{}

func listen(t *testing.T, cfg Config) *Transport {
	t.Helper()
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	if cfg.Log == nil {
		cfg.Log = testLog(t)
	}
	tr, err := Listen(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tr.Close(); err != nil {
			t.Error(err)
		}
	})
	return tr
}

// serveHealth runs gRPC's health service, as some service that can be called, until stop.
func serveHealth(t *testing.T, tr *Transport) (stop func()) {
	t.Helper()
	s := NewServer(ServerConfig{})
	healthpb.RegisterHealthServer(s, health.NewServer())
	done := make(chan error, 1)
	go func() { done <- s.Serve(tr.GRPCListener()) }()
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			s.Stop()
			<-done
		}
	}
	t.Cleanup(stop)
	return stop
}

func checkHealth(ctx context.Context, t *testing.T, d *Dialer, addr string, opts ...grpc.CallOption) error {
	t.Helper()
	conn, err := d.DialGRPC(addr)
	if err != nil {
		return err
	}
	_, err = healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{}, opts...)
	return err
}

func dialer(t *testing.T, cfg DialerConfig) *Dialer {
	d := NewDialer(cfg)
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func TestTransport_CarriesGRPCAndRaftOnOnePort(t *testing.T) {
	a := listen(t, Config{})
	serveHealth(t, a)
	b := listen(t, Config{})
	if err := checkHealth(testContext(t, 5*time.Second), t, b.Dialer, a.Addr()); err != nil {
		t.Fatal(err)
	}

	layer := RaftLayer[raft.ServerAddress](a)
	go func() {
		c, err := layer.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = io.Copy(c, c) // the dialling end notices what is missing
	}()
	c, err := RaftLayer[raft.ServerAddress](b).Dial(raft.ServerAddress(a.Addr()), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "hello"); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 5)
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "hello" {
		t.Fatalf("read %q, %v", got, err)
	}
	if layer.Addr().String() != a.Addr() {
		t.Errorf("Raft is told the address %s, want %s", layer.Addr(), a.Addr())
	}
}

func TestTransport_RaftTransportElectsOverIt(t *testing.T) {
	a, b := listen(t, Config{}), listen(t, Config{})
	ta := raft.NewNetworkTransport(RaftLayer[raft.ServerAddress](a), 2, time.Second, io.Discard)
	tb := raft.NewNetworkTransport(RaftLayer[raft.ServerAddress](b), 2, time.Second, io.Discard)
	defer ta.Close()
	defer tb.Close()
	go func() {
		rpc := <-tb.Consumer()
		rpc.Respond(&raft.RequestVoteResponse{Term: 7, Granted: true}, nil)
	}()
	var resp raft.RequestVoteResponse
	if err := ta.RequestVote("b", tb.LocalAddr(), &raft.RequestVoteRequest{}, &resp); err != nil {
		t.Fatal(err)
	}
	if !resp.Granted || resp.Term != 7 {
		t.Errorf("got %+v", resp)
	}
}

func TestDialGRPC_ReturnsTheSameClientForAnAddress(t *testing.T) {
	d := dialer(t, DialerConfig{})
	a, err := d.DialGRPC("127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	b, err := d.DialGRPC("127.0.0.1:1")
	if err != nil || a != b {
		t.Errorf("second client differs (%v)", err)
	}
	d.Forget("127.0.0.1:1")
	c, err := d.DialGRPC("127.0.0.1:1")
	if err != nil || a == c {
		t.Errorf("a forgotten client came back (%v)", err)
	}
}

func TestDialGRPC_ReconnectsWithinASecondOrSoAfterARestart(t *testing.T) {
	tr := listen(t, Config{})
	addr := tr.Addr()
	stop := serveHealth(t, tr)
	d := dialer(t, DialerConfig{})
	ctx := testContext(t, 20*time.Second)
	if err := checkHealth(ctx, t, d, addr); err != nil {
		t.Fatal(err)
	}
	stop()
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, "calls fail", func() bool { return checkHealth(ctx, t, d, addr) != nil })
	serveHealth(t, listen(t, Config{Listen: addr}))
	start := time.Now()
	if err := checkHealth(ctx, t, d, addr, grpc.WaitForReady(true)); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > 4*time.Second {
		t.Errorf("reconnecting took %v", took)
	}
}

func TestDialGRPC_FailsFastAndNamesTheCauseWhereNobodyListens(t *testing.T) {
	tr := listen(t, Config{})
	addr := tr.Addr()
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	err := checkHealth(testContext(t, 10*time.Second), t, dialer(t, DialerConfig{}), addr)
	if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("got %v", err)
	}
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestDial_BoundsTheTimeForAPeerThatAcceptsAndIsSilent(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	d := dialer(t, DialerConfig{})
	start := time.Now()
	_, err = d.dial(t.Context(), ProtocolRaft, ln.Addr().String())
	if !errors.Is(err, fs.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if took := time.Since(start); took > connectTimeout+time.Second {
		t.Errorf("took %v", took)
	}
}

func TestBreak_FailsCallsInFlightAndTheClientRecovers(t *testing.T) {
	tr := listen(t, Config{})
	serveHealth(t, tr)
	d := dialer(t, DialerConfig{})
	ctx := testContext(t, 10*time.Second)
	conn, err := d.DialGRPC(tr.Addr())
	if err != nil {
		t.Fatal(err)
	}
	watch, err := healthpb.NewHealthClient(conn).Watch(ctx, &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := watch.Recv(); err != nil {
		t.Fatal(err)
	}
	d.Break(tr.Addr())
	if _, err := watch.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("the call in flight got %v", err)
	}
	if err := checkHealth(ctx, t, d, tr.Addr(), grpc.WaitForReady(true)); err != nil {
		t.Errorf("the next call: %v", err)
	}
}

func TestDialer_ForgetsClosedConnections(t *testing.T) {
	tr := listen(t, Config{})
	d := dialer(t, DialerConfig{})
	c, err := d.dial(t.Context(), ProtocolRaft, tr.Addr())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.open) != 0 {
		t.Errorf("still tracked: %v", d.open)
	}
}

func TestDialer_RefusesEverythingAfterClose(t *testing.T) {
	tr := listen(t, Config{})
	d := NewDialer(DialerConfig{})
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := d.DialGRPC(tr.Addr()); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("DialGRPC: %v", err)
	}
	if _, err := d.dial(t.Context(), ProtocolRaft, tr.Addr()); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("dial: %v", err)
	}
}

func TestListen_NamesTheFlagWhenThePortIsTaken(t *testing.T) {
	tr := listen(t, Config{})
	_, err := Listen(t.Context(), Config{Listen: tr.Addr()})
	if !errors.Is(err, fs.ErrBusy) || !strings.Contains(err.Error(), "--listen") || !strings.Contains(err.Error(), tr.Addr()) {
		t.Errorf("got %v", err)
	}
}

func TestListen_RefusesWildcardsWithoutAnAdvertisedAddress(t *testing.T) {
	_, err := Listen(t.Context(), Config{Listen: ":0", Insecure: true})
	if !errors.Is(err, fs.ErrInvalid) || !strings.Contains(err.Error(), "--advertise") {
		t.Errorf("got %v", err)
	}
	tr := listen(t, Config{Listen: ":0", Insecure: true, Advertise: "node1.example:0"})
	if host, port, err := net.SplitHostPort(tr.Addr()); err != nil || host != "node1.example" || port == "0" {
		t.Errorf("advertises %s", tr.Addr())
	}
}

func TestPlaintext_IsRefusedBeyondLoopbackUnlessInsecure(t *testing.T) {
	for _, addr := range []string{":0", "0.0.0.0:0", "[::]:0"} {
		_, err := Listen(t.Context(), Config{Listen: addr, Advertise: "127.0.0.1:0"})
		if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "--insecure") {
			t.Errorf("listen on %s: %v", addr, err)
		}
	}
	d := dialer(t, DialerConfig{})
	if _, err := d.DialGRPC("192.0.2.77:7400"); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "--insecure") {
		t.Errorf("DialGRPC: %v", err)
	}
	if _, err := d.dial(t.Context(), ProtocolRaft, "192.0.2.77:7400"); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("dial: %v", err)
	}
	if _, err := dialer(t, DialerConfig{Insecure: true}).DialGRPC("192.0.2.77:7400"); err != nil {
		t.Errorf("insecure DialGRPC: %v", err)
	}
	if _, err := d.DialGRPC("localhost:7400"); err != nil {
		t.Errorf("a name is checked when it has been resolved: %v", err)
	}
}

func TestServer_BoundsTheStreamsOfAConnection(t *testing.T) {
	tr := listen(t, Config{})
	serveHealth(t, tr)
	conn, err := dialer(t, DialerConfig{}).DialGRPC(tr.Addr())
	if err != nil {
		t.Fatal(err)
	}
	client := healthpb.NewHealthClient(conn)
	ctx, end := context.WithCancel(t.Context())
	defer end()
	for range streamsMax {
		w, err := client.Watch(ctx, &healthpb.HealthCheckRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Recv(); err != nil { // it is under way
			t.Fatal(err)
		}
	}
	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := client.Check(short, &healthpb.HealthCheckRequest{}); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("call number %d: %v, want it to wait", streamsMax+1, err)
	}
}
