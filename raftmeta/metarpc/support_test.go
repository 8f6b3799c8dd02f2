package metarpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"reflect"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	grpcbackoff "google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"dfs/fs"
)

// fakeMeta answers each call with what do returns for its name and arguments.
type fakeMeta struct {
	do     func(ctx context.Context, method string, args ...any) (any, error)
	stream func(s fs.Session, held fs.Held) (fs.Stream, error)
}

func answer[T any](v any, err error) (T, error) {
	t, ok := v.(T)
	if err == nil && !ok {
		err = fmt.Errorf("fake answers %T: %w", v, fs.ErrInternal)
	}
	return t, err
}

func (f *fakeMeta) Commit(ctx context.Context, tx *fs.Tx) (*fs.TxResult, error) {
	return answer[*fs.TxResult](f.do(ctx, "commit", tx))
}

func (f *fakeMeta) Abort(ctx context.Context, e fs.Epoch, tx fs.TxID) (*fs.TxResult, error) {
	return answer[*fs.TxResult](f.do(ctx, "abort", e, tx))
}

func (f *fakeMeta) Lookup(ctx context.Context, dir fs.Ino, name string) (fs.Attr, error) {
	return answer[fs.Attr](f.do(ctx, "lookup", dir, name))
}

func (f *fakeMeta) Getattr(ctx context.Context, ino fs.Ino) (fs.Attr, error) {
	return answer[fs.Attr](f.do(ctx, "getattr", ino))
}

func (f *fakeMeta) Readdir(ctx context.Context, dir fs.Ino, after fs.Cookie, limit int) (fs.Listing, error) {
	return answer[fs.Listing](f.do(ctx, "readdir", dir, after, limit))
}

func (f *fakeMeta) Readlink(ctx context.Context, ino fs.Ino) (string, error) {
	return answer[string](f.do(ctx, "readlink", ino))
}

func (f *fakeMeta) Layout(ctx context.Context, ino fs.Ino, off, length uint64) (*fs.Layout, error) {
	return answer[*fs.Layout](f.do(ctx, "layout", ino, off, length))
}

func (f *fakeMeta) Getxattr(ctx context.Context, ino fs.Ino, name string) ([]byte, error) {
	return answer[[]byte](f.do(ctx, "getxattr", ino, name))
}

func (f *fakeMeta) Listxattr(ctx context.Context, ino fs.Ino) ([]string, error) {
	return answer[[]string](f.do(ctx, "listxattr", ino))
}

func (f *fakeMeta) Statfs(ctx context.Context, ino fs.Ino) (fs.Statfs, error) {
	return answer[fs.Statfs](f.do(ctx, "statfs", ino))
}

func (f *fakeMeta) Room(ctx context.Context, s fs.Session, ino fs.Ino, want uint64, back fs.Return) (fs.Room, error) {
	return answer[fs.Room](f.do(ctx, "room", s, ino, want, back))
}

func (f *fakeMeta) SetQuota(ctx context.Context, of fs.QuotaOf, change fs.LimitChange) error {
	_, err := f.do(ctx, "set quota", of, change)
	return err
}

func (f *fakeMeta) RemoveQuota(ctx context.Context, of fs.QuotaOf) error {
	_, err := f.do(ctx, "remove quota", of)
	return err
}

func (f *fakeMeta) Quotas(ctx context.Context, after fs.QuotaID, limit int, all bool) ([]fs.Quota, error) {
	return answer[[]fs.Quota](f.do(ctx, "quotas", after, limit, all))
}

func (f *fakeMeta) OpenSession(ctx context.Context, who fs.Mount) (fs.Session, error) {
	return answer[fs.Session](f.do(ctx, "open", who))
}

func (f *fakeMeta) CloseSession(ctx context.Context, s fs.Session) error {
	_, err := f.do(ctx, "close", s)
	return err
}

func (f *fakeMeta) Attach(_ context.Context, s fs.Session, held fs.Held) (fs.Stream, error) {
	return f.stream(s, held)
}

func (f *fakeMeta) Pin(ctx context.Context, s fs.Session, ino fs.Ino) (fs.Attr, error) {
	return answer[fs.Attr](f.do(ctx, "pin", s, ino))
}

func (f *fakeMeta) AllocInos(ctx context.Context, s fs.Session, n int) (fs.InoRange, error) {
	return answer[fs.InoRange](f.do(ctx, "alloc", s, n))
}

func (f *fakeMeta) Lock(ctx context.Context, s fs.Session, c *fs.LockCall) (fs.LockAnswer, error) {
	return answer[fs.LockAnswer](f.do(ctx, "lock", s, c))
}

func (f *fakeMeta) Locks(ctx context.Context, ino fs.Ino, limit int) (*fs.LockList, error) {
	return answer[*fs.LockList](f.do(ctx, "locks", ino, limit))
}

func (f *fakeMeta) Join(ctx context.Context, n fs.NodeInfo, cluster string) (string, error) {
	return answer[string](f.do(ctx, "join", n, cluster))
}

func (f *fakeMeta) Removal(ctx context.Context, n fs.NodeID) (*fs.Removal, error) {
	return answer[*fs.Removal](f.do(ctx, "removal", n))
}

func (f *fakeMeta) RemoveNode(ctx context.Context, n fs.NodeID, force bool) error {
	_, err := f.do(ctx, "remove", n, force)
	return err
}

func (f *fakeMeta) Status(ctx context.Context) (*fs.Status, error) {
	return answer[*fs.Status](f.do(ctx, "status"))
}

func (f *fakeMeta) Transactions(ctx context.Context, limit int) ([]fs.TxStatus, error) {
	return answer[[]fs.TxStatus](f.do(ctx, "transactions", limit))
}

func (f *fakeMeta) Transaction(ctx context.Context, id fs.TxID) (*fs.TxStatus, error) {
	return answer[*fs.TxStatus](f.do(ctx, "transaction", id))
}

func (f *fakeMeta) Raft(ctx context.Context) (*fs.RaftStatus, error) {
	return answer[*fs.RaftStatus](f.do(ctx, "raft"))
}

func (f *fakeMeta) Explain(ctx context.Context, path string) (*fs.Explanation, error) {
	return answer[*fs.Explanation](f.do(ctx, "explain", path))
}

func (f *fakeMeta) PutToken(ctx context.Context, t fs.JoinToken, secret fs.TokenHash) error {
	_, err := f.do(ctx, "put token", t, secret)
	return err
}

func (f *fakeMeta) Tokens(ctx context.Context) ([]fs.JoinToken, error) {
	return answer[[]fs.JoinToken](f.do(ctx, "tokens"))
}

func (f *fakeMeta) RevokeToken(ctx context.Context, id string) error {
	_, err := f.do(ctx, "revoke token", id)
	return err
}

func (f *fakeMeta) RedeemToken(ctx context.Context, r fs.Redemption) error {
	_, err := f.do(ctx, "redeem token", r)
	return err
}

// network is a set of nodes on in-memory connections. An address without a server refuses connections.
type network struct {
	t  *testing.T
	mu sync.Mutex

	listeners map[string]*bufconn.Listener
	conns     map[string]*grpc.ClientConn
	servers   map[string]func()
}

func newNetwork(t *testing.T) *network {
	n := &network{t: t, listeners: map[string]*bufconn.Listener{}, conns: map[string]*grpc.ClientConn{}, servers: map[string]func(){}}
	t.Cleanup(n.close)
	return n
}

func (n *network) serve(addr string, m *fakeMeta) {
	n.serveServices(addr, Services{Meta: m, Admin: m, Membership: m, Tokens: m, Locks: m, Quotas: m})
}

func (n *network) serveEncoded(addr string, m *encodedMeta) { n.serveServices(addr, Services{Meta: m}) }

func (n *network) serveServices(addr string, s Services) {
	lis := bufconn.Listen(1 << 20)
	gs := grpc.NewServer(grpc.MaxRecvMsgSize(MessageBytesMax), grpc.WaitForHandlers(true))
	srv := Register(gs, s)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = gs.Serve(lis) // ends with Stop
	}()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.listeners[addr] = lis
	n.servers[addr] = func() {
		gs.Stop()
		srv.Close()
		<-done
	}
}

func (n *network) stop(addr string) {
	n.mu.Lock()
	stop := n.servers[addr]
	delete(n.servers, addr)
	delete(n.listeners, addr)
	n.mu.Unlock()
	if stop != nil {
		stop()
	}
}

func (n *network) dial(addr string) (grpc.ClientConnInterface, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if c := n.conns[addr]; c != nil {
		return c, nil
	}
	c, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(n.connect), grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: grpcbackoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, MaxDelay: time.Second}}))
	if err != nil {
		return nil, err
	}
	n.conns[addr] = c
	return c, nil
}

func (n *network) connect(ctx context.Context, addr string) (net.Conn, error) {
	n.mu.Lock()
	lis := n.listeners[addr]
	n.mu.Unlock()
	if lis == nil {
		return nil, errors.New("connection refused")
	}
	return lis.DialContext(ctx)
}

func (n *network) client(peers ...string) *Client {
	n.t.Helper()
	c, err := NewClient(Config{Peers: peers, Dial: n.dial})
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() {
		if err := c.Close(); err != nil {
			n.t.Error(err)
		}
	})
	return c
}

func (n *network) close() {
	for _, c := range n.conns {
		if err := c.Close(); err != nil {
			n.t.Error(err)
		}
	}
	for addr := range n.servers {
		n.stop(addr)
	}
}

// leader serves what f answers; f may be nil for a node that answers everything with the zero attributes.
func leader(f func(ctx context.Context, method string, args ...any) (any, error)) *fakeMeta {
	return &fakeMeta{do: func(ctx context.Context, method string, args ...any) (any, error) {
		if f == nil || method == "getattr" {
			return fs.Attr{Ino: fs.RootIno}, nil
		}
		return f(ctx, method, args...)
	}}
}

func follower(of string) *fakeMeta {
	refuse := func() error { return fmt.Errorf("asked: %w", &fs.NotLeaderError{Leader: of}) }
	return &fakeMeta{
		do:     func(context.Context, string, ...any) (any, error) { return nil, refuse() },
		stream: func(fs.Session, fs.Held) (fs.Stream, error) { return nil, refuse() },
	}
}

// hung answers nothing until the caller has given up.
func hung() *fakeMeta {
	return &fakeMeta{do: func(ctx context.Context, _ string, _ ...any) (any, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}
}

// fill sets every field of a value, in depth, to something that is not zero, each number different.
func fill[T any]() T {
	var t T
	n := uint64(0)
	fillValue(reflect.ValueOf(&t).Elem(), &n)
	return t
}

func fillValue(v reflect.Value, n *uint64) {
	*n++
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillValue(v.Elem(), n)
	case reflect.Struct:
		for i := range v.NumField() {
			fillValue(v.Field(i), n)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			fillValue(v.Index(i), n)
		}
	case reflect.String:
		v.SetString(fmt.Sprintf("text %d", *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float64:
		v.SetFloat(float64(*n) + 0.5)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*n))
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(*n % 200)
	default:
		panic("fill: " + v.Kind().String())
	}
}

func within(t *testing.T, limit time.Duration, what string, f func()) {
	t.Helper()
	start := time.Now()
	f()
	if took := time.Since(start); took > limit {
		t.Errorf("%s took %v, want at most %v", what, took, limit)
	}
}
