package cluster

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"dfs/cluster/pki"
)

// shortLived are credentials that hold for a few seconds, and are renewed by whoever sign says.
func shortLived(t *testing.T, ca string, role pki.Role, life time.Duration, sign func(*pki.Credentials) pki.Sign) *pki.Credentials {
	t.Helper()
	dir := issueIn(t, ca, pki.Request{Role: role, Name: "the-" + string(role), Life: life})
	files, err := pki.FilesIn(dir, role)
	if err != nil {
		t.Fatal(err)
	}
	c, err := pki.Open(files, role, testLog(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() }) // it never fails
	if sign != nil {
		c.KeepRenewed(sign(c))
	}
	return c
}

// TestRenewal_NoCallFailsWhenConnectionsAreMadeAnew has a node and a mount whose certificates end every few seconds, and
// calls that never stop.
func TestRenewal_NoCallFailsWhenConnectionsAreMadeAnew(t *testing.T) {
	const life = 8 * time.Second
	ca := testCA(t)
	issuer := func() (*pki.Issuer, error) { return pki.OpenIssuer(ca) }
	node := shortLived(t, ca, pki.RoleNode, life, func(*pki.Credentials) pki.Sign { return SignBy(issuer, nil) })
	tr := listen(t, Config{TLS: node})
	s := NewServer(ServerConfig{Log: testLog(t)})
	RegisterCertificates(s, issuer)
	slow := &slowHealth{}
	healthpb.RegisterHealthServer(s, slow)
	served := make(chan error, 1)
	go func() { served <- s.Serve(tr.GRPCListener()) }()
	defer func() { s.Stop(); <-served }()

	var d *Dialer
	mount := shortLived(t, ca, pki.RoleMount, life, func(c *pki.Credentials) pki.Sign {
		d = dialer(t, DialerConfig{TLS: c, Log: testLog(t)})
		return RenewAt(d, func() []string { return []string{"127.0.0.1:1", tr.Addr()} })
	})
	first := mount.Leaf()
	conn, err := d.DialGRPC(tr.Addr())
	if err != nil {
		t.Fatal(err)
	}
	end := time.Now().Add(3 * life)
	watching, stopWatching := context.WithDeadline(t.Context(), end)
	defer stopWatching()
	var calls, watched atomic.Int64
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for time.Now().Before(end) && !t.Failed() {
				_, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{})
				if err != nil {
					t.Errorf("call %d: %v", calls.Load(), err)
				}
				calls.Add(1)
			}
		})
	}
	workers.Go(func() { // a stream that lasts is made again by its holder
		for watching.Err() == nil {
			if w, err := healthpb.NewHealthClient(conn).Watch(watching, &healthpb.HealthCheckRequest{}); err == nil {
				watched.Add(1)
				_, _ = w.Recv() // until it breaks
			}
		}
	})
	workers.Wait()
	if mount.Leaf().Equal(first) || time.Now().Before(first.NotAfter) || watched.Load() < 3 || calls.Load() < 1000 {
		t.Errorf("renewed %v, %d connections, %d calls", !mount.Leaf().Equal(first), watched.Load(), calls.Load())
	}
}

// slowHealth answers after a moment, so that there is always a call under way.
type slowHealth struct {
	healthpb.UnimplementedHealthServer
}

func (*slowHealth) Check(ctx context.Context, _ *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	sleep(ctx, 2*time.Millisecond)
	return &healthpb.HealthCheckResponse{}, nil
}

func (*slowHealth) Watch(_ *healthpb.HealthCheckRequest, s grpc.ServerStreamingServer[healthpb.HealthCheckResponse]) error {
	<-s.Context().Done()
	return s.Context().Err()
}

// A connection of certificates that nobody renews ends with them, and is not made anew in a loop before.
func TestConnection_PastItsFreshness_IsLeftAlone(t *testing.T) {
	ca := testCA(t)
	tr := listen(t, Config{TLS: credentialsFor(t, ca, pki.RoleNode)})
	old := pki.Request{Role: pki.RoleNode, Name: "x", From: time.Now().Add(-time.Hour), Life: time.Hour + time.Minute}
	files, err := pki.FilesIn(issueIn(t, ca, old), pki.RoleNode)
	if err != nil {
		t.Fatal(err)
	}
	c, err := pki.Open(files, pki.RoleNode, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	conn, err := dialer(t, DialerConfig{TLS: c}).dial(testContext(t, 5*time.Second), ProtocolRaft, tr.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer drop(conn)
	if conn.(*dialled).retire != nil {
		t.Error("it would be made anew with what it was made with")
	}
}

func TestFreshness_EndsAfterTheRenewalAndBeforeTheFirstCertificate(t *testing.T) {
	ca := testCA(t)
	long, short := credentialsFor(t, ca, pki.RoleNode).Leaf(), shortLived(t, ca, pki.RoleMount, time.Hour, nil).Leaf()
	for range 100 {
		left := short.NotAfter.Sub(freshness(long, short))
		if life := short.NotAfter.Sub(short.NotBefore); left < life/6 || left > life/4 || !freshness(short, long).Before(short.NotAfter) {
			t.Fatalf("%s left of %s", left, life)
		}
	}
}

func TestLane_WaitsForCallsAndHoldsBackNewOnes(t *testing.T) {
	l := &lane{}
	ctx := testContext(t, 10*time.Second)
	if err := l.enter(ctx); err != nil {
		t.Fatal(err)
	}
	drained, entered := make(chan bool, 1), make(chan error, 1)
	busy := atomic.Bool{}
	busy.Store(true)
	go l.drained(func() { drained <- !busy.Load() })
	eventually(t, 5*time.Second, "the lane is shut", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.shut != nil
	})
	go func() { entered <- l.enter(ctx) }()
	busy.Store(false)
	l.leave()
	if !<-drained {
		t.Error("drained while a call was under way")
	}
	if err := <-entered; err != nil {
		t.Error(err)
	}
	// A call that does not end is not waited for for ever.
	start := time.Now()
	l.drained(func() {})
	if took := time.Since(start); took < drainMax/2 || took > 10*drainMax {
		t.Errorf("waited %s for a call that hangs", took)
	}
	l.leave()
	if l.calls != 0 {
		t.Errorf("%d calls are counted", l.calls)
	}
}
