package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"dfs/cluster/pki"
	"dfs/cluster/rpcerr"
	"dfs/fs"
)

const (
	helloMethod   = "/dfs.cluster.v1.Cluster/Hello"
	promiseMethod = "/dfs.cluster.v1.Cluster/Promise"
	stageMethod   = "/dfs.blob.v1.Blobs/Stage"
)

// host is a node as peers see it: it says hello, and stages blobs as fast as the test lets it.
type host struct {
	tr      *Transport
	server  *Server
	log     *logBuffer
	ca      string
	staging atomic.Int32
	disk    chan struct{} // closed: it works again
	decoded atomic.Int32  // messages
	made    atomic.Int32  // answers of Get
}

// countingCodec knows how many messages have been decoded.
type countingCodec struct {
	encoding.CodecV2
	n *atomic.Int32
}

func (c countingCodec) Unmarshal(data mem.BufferSlice, v any) error {
	c.n.Add(1)
	return c.CodecV2.Unmarshal(data, v)
}

func newHost(t *testing.T, tune func(*intake)) *host {
	t.Helper()
	h := &host{log: &logBuffer{}, ca: testCA(t), disk: make(chan struct{})}
	h.tr = listen(t, Config{TLS: credentialsFor(t, h.ca, pki.RoleNode), Log: h.log.logger()})
	h.server = NewServer(ServerConfig{Log: h.log.logger(), Codec: countingCodec{encoding.GetCodecV2("proto"), &h.decoded}})
	if tune != nil {
		tune(h.server.intake)
	}
	RegisterService(h.server, ServiceConfig{Node: "n", Version: "v", Cluster: func() string { return "c" }})
	h.server.RegisterService(&grpc.ServiceDesc{ServiceName: "dfs.blob.v1.Blobs", HandlerType: (*any)(nil), Methods: []grpc.MethodDesc{
		{MethodName: "Stage", Handler: h.stage}, {MethodName: "Get", Handler: h.get}}}, h)
	done := make(chan error, 1)
	go func() { done <- h.server.Serve(h.tr.GRPCListener()) }()
	t.Cleanup(func() {
		h.server.Stop()
		<-done
	})
	return h
}

func (h *host) stage(_ any, ctx context.Context, receive func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	if err := receive(new(wrapperspb.BytesValue)); err != nil {
		return nil, err
	}
	h.staging.Add(1)
	select {
	case <-h.disk:
	case <-ctx.Done():
	}
	return new(emptypb.Empty), nil
}

// get answers with a blob's worth of bytes.
func (h *host) get(_ any, _ context.Context, receive func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	if err := receive(new(wrapperspb.BytesValue)); err != nil {
		return nil, err
	}
	h.made.Add(1)
	return &wrapperspb.BytesValue{Value: make([]byte, 4<<20)}, nil
}

// peer is another one with a certificate of its own.
func (h *host) peer(t *testing.T, role pki.Role, name string) *Dialer {
	t.Helper()
	files, err := pki.FilesIn(issueIn(t, h.ca, pki.Request{Role: role, Name: name}), role)
	if err != nil {
		t.Fatal(err)
	}
	c, err := pki.Open(files, role, nil)
	if err != nil {
		t.Fatal(err)
	}
	d := dialer(t, DialerConfig{TLS: c})
	t.Cleanup(func() { _ = c.Close() }) // before the dialer, which uses it no more
	return d
}

// mustServe has a well-behaved peer served, promptly.
func (h *host) mustServe(t *testing.T) {
	t.Helper()
	if _, err := SayHello(testContext(t, 5*time.Second), h.peer(t, pki.RoleNode, "good"), h.tr.Addr(), Hello{}); err != nil {
		t.Errorf("meanwhile another peer is not served: %v", err)
	}
}

func (h *host) mustLog(t *testing.T, parts ...string) {
	t.Helper()
	for _, p := range parts {
		eventually(t, 2*time.Second, "the log says "+p, func() bool { return h.log.contains(p) })
	}
}

// raw calls a method with bytes for a request.
func raw(t *testing.T, d *Dialer, addr, method string, request []byte) error {
	t.Helper()
	conn, err := d.DialGRPC(addr)
	if err != nil {
		t.Fatal(err)
	}
	return rpcerr.FromStatus(conn.Invoke(testContext(t, 20*time.Second), method, request, new(emptypb.Empty), grpc.ForceCodecV2(rawCodec{encoding.GetCodecV2("proto")})))
}

type rawCodec struct{ encoding.CodecV2 }

func (c rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil
}

func TestRequests_ThatAreTooLargeOrRubbishAreRefusedWithTheReason(t *testing.T) {
	h := newHost(t, nil)
	bad := h.peer(t, pki.RoleNode, "bad")
	before := heap()
	for name, c := range map[string]struct {
		method  string
		request []byte
		want    error
		reason  string
	}{
		"too large for its method": {helloMethod, make([]byte, requestMax+1), fs.ErrTooLarge, "16385 bytes, at most 16384"},
		"too large for any":        {stageMethod, make([]byte, receiveMax+1), fs.ErrTooLarge, "larger than max"},
		"two million founders":     {promiseMethod, bytes.Repeat([]byte("\x0a\x02\x12\x00"), 1<<20), fs.ErrTooLarge, "4194304 bytes, at most 16384"},
		"no message":               {helloMethod, []byte("\xff\xff\xff"), fs.ErrInvalid, "cannot be decoded"},
		"a length beyond the end":  {helloMethod, []byte("\x0a\xff\xff\xff\xff\x0f"), fs.ErrInvalid, "cannot be decoded"},
	} {
		t.Run(name, func(t *testing.T) {
			err := raw(t, bad, h.tr.Addr(), c.method, c.request)
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.reason) {
				t.Errorf("it is told %v", err)
			}
			h.mustLog(t, c.reason, "method="+c.method, `from="node bad"`)
		})
	}
	if grown := heap() - before; grown > 32<<20 {
		t.Errorf("the heap has grown by %d MiB", grown>>20)
	}
	h.mustServe(t)
}

func TestRequest_OfACallThatIsNotAllowedIsNotLookedAt(t *testing.T) {
	h := newHost(t, nil)
	err := raw(t, h.peer(t, pki.RoleMount, "m"), h.tr.Addr(), helloMethod, []byte("\xff"))
	if !errors.Is(err, fs.ErrPermission) || h.decoded.Load() != 0 {
		t.Errorf("%v; %d messages were decoded", err, h.decoded.Load())
	}
}

func TestHalfARequest_IsCutOff(t *testing.T) {
	h := newHost(t, func(in *intake) { in.messageTimeout = 500 * time.Millisecond })
	bad := newRude(t, h.peer(t, pki.RoleMount, "bad"), h.tr.Addr())
	bad.send(bad.open(stageMethod), message(4<<20, make([]byte, 1<<20)))
	h.mustServe(t)
	bad.awaitCutOff(10 * time.Second)
	h.mustLog(t, "begun and not completed", "method="+stageMethod, `from="mount bad"`)
	h.mustServe(t)
}

// A mount that sends a thousand blobs at once to a node whose disk hangs keeps them in its own memory.
func TestThousandBlobsAtOnce_WaitInTheClient(t *testing.T) {
	h := newHost(t, nil)
	bad := newRude(t, h.peer(t, pki.RoleMount, "bad"), h.tr.Addr())
	blob := message(4<<20, append([]byte("\x0a\xfb\xff\xff\x01"), make([]byte, 4<<20-5)...))
	before := heap()
	const blobs = 1000
	for range blobs {
		go func() {
			id := bad.open(stageMethod)
			bad.send(id, blob)
			bad.finish(id)
		}()
	}
	most := int32(budgets[bulk].peer / (4 << 20))
	eventually(t, 30*time.Second, "some are being staged", func() bool { return h.staging.Load() >= most-1 })
	bad.await(30*time.Second, "no window is left", func() bool {
		full := 0
		for _, w := range bad.windows {
			if bad.initial+w <= 0 {
				full++
			}
		}
		return full >= blobs-int(most)
	})
	if n := h.staging.Load(); n > most {
		t.Errorf("%d are being staged at once, at most %d should", n, most)
	}
	// What is staged, what waits in windows, and as much again for gRPC's buffers, which are larger than what they hold.
	limit := 2 * (budgets[bulk].peer + blobs*requestWindow)
	if grown := heap() - before; grown > limit {
		t.Errorf("the heap has grown by %d MiB, at most %d should it", grown>>20, limit>>20)
	}
	h.mustServe(t)
	close(h.disk)
	eventually(t, 30*time.Second, "those that wait have their turns", func() bool { return h.staging.Load() >= 4*most })
}

func TestTenThousandStreams_AreRefused(t *testing.T) {
	h := newHost(t, nil)
	d := h.peer(t, pki.RoleMount, "bad")
	before := heap()
	var all []*rude
	for range 10 {
		r := newRude(t, d, h.tr.Addr())
		for range 1000 {
			r.open(stageMethod)
		}
		all = append(all, r)
	}
	refused := func() (n int) {
		for _, r := range all {
			r.mu.Lock()
			n += r.refused + r.over
			r.mu.Unlock()
		}
		return n
	}
	eventually(t, 30*time.Second, "those beyond the bound are refused", func() bool { return refused() >= 10000-callsMax })
	h.mustLog(t, fmt.Sprintf("more than %d calls of one peer", callsMax), `from="mount bad"`)
	if grown := heap() - before; grown > 128<<20 {
		t.Errorf("the heap has grown by %d MiB", grown>>20)
	}
	h.mustServe(t)
	one := newRude(t, h.peer(t, pki.RoleMount, "other"), h.tr.Addr())
	for range 10000 {
		one.open(stageMethod)
	}
	one.await(30*time.Second, "those beyond the bound of one connection are refused", func() bool { return one.refused >= 10000-streamsMax })
	h.mustServe(t)
}

func TestCalls_AreTakenOffTheAccountWhenTheyEnd(t *testing.T) {
	h := newHost(t, nil)
	close(h.disk)
	d := h.peer(t, pki.RoleMount, "m")
	for range 100 {
		if err := raw(t, d, h.tr.Addr(), stageMethod, nil); err != nil {
			t.Fatal(err)
		}
	}
	bad := newRude(t, d, h.tr.Addr())
	bad.send(bad.open(stageMethod), message(4<<20, nil))
	drop(bad.conn)
	eventually(t, 5*time.Second, "nothing is under way", func() bool {
		h.tr.mux.guests.mu.Lock()
		defer h.tr.mux.guests.mu.Unlock()
		a := h.tr.mux.guests.open["mount m"]
		if a == nil || a.calls.Load() != 0 || a.conns[ProtocolGRPC] != 1 || !a.bytes[bulk].TryAcquire(budgets[bulk].peer) {
			return false
		}
		a.bytes[bulk].Release(budgets[bulk].peer)
		return true
	})
	for c, s := range h.server.intake.all {
		eventually(t, 5*time.Second, fmt.Sprintf("nothing of class %d is held", c), func() bool { return s.TryAcquire(budgets[c].all) })
	}
}

func TestConnections_OfOnePeerAreBounded(t *testing.T) {
	h := newHost(t, nil)
	bad := h.peer(t, pki.RoleNode, "bad")
	ctx := testContext(t, 30*time.Second)
	for range raftConnsMax {
		if _, err := bad.dial(ctx, ProtocolRaft, h.tr.Addr()); err != nil {
			t.Fatal(err)
		}
		conn, err := h.tr.mux.routes[ProtocolRaft].Accept()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { drop(conn) })
	}
	_, err := bad.dial(ctx, ProtocolRaft, h.tr.Addr())
	if !errors.Is(err, fs.ErrUnavailable) || !strings.Contains(err.Error(), "too many connections") {
		t.Errorf("one more: %v", err)
	}
	h.mustLog(t, "node bad: more than 32 for raft")
	if _, err := h.peer(t, pki.RoleNode, "good").dial(ctx, ProtocolRaft, h.tr.Addr()); err != nil {
		t.Errorf("another peer: %v", err)
	}
}

func TestWrongVersion_IsToldBothVersions(t *testing.T) {
	h := newHost(t, nil)
	d := h.peer(t, pki.RoleNode, "bad")
	ctx := testContext(t, 5*time.Second)
	conn, err := d.secure(ctx, rawDial(t, h.tr.Addr()).(*net.TCPConn))
	if err != nil {
		t.Fatal(err)
	}
	defer drop(conn)
	if err := writePreamble(conn, preamble{preambleVersion + 1, byte(ProtocolGRPC)}); err != nil {
		t.Fatal(err)
	}
	if p, err := readPreamble(conn); err != nil || p != (preamble{preambleVersion, statusVersion}) {
		t.Errorf("it is told %v, %v", p, err)
	}
	h.mustLog(t, "it speaks version 2 of the protocol, this build 1")
	h.mustServe(t)
}
