package blobrpc_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"dfs/blob"
	"dfs/blob/blobpb"
	"dfs/blob/blobrpc"
	"dfs/blob/blobtest"
	"dfs/blob/memstore"
	"dfs/fs"
)

const node = fs.NodeID("n1")

// serve serves store in memory, with the bulk codec on the server or the standard one, and returns a connection.
func serve(t testing.TB, srv *blobrpc.Server, opts ...grpc.ServerOption) *grpc.ClientConn {
	t.Helper()
	l := bufconn.Listen(1 << 20)
	opts = append([]grpc.ServerOption{
		grpc.MaxRecvMsgSize(blobrpc.MessageBytesMax),
		grpc.InitialWindowSize(blobrpc.StreamWindowBytes), grpc.InitialConnWindowSize(blobrpc.ConnWindowBytes),
	}, opts...)
	g := grpc.NewServer(opts...)
	srv.Register(g)
	served := make(chan error, 1)
	go func() { served <- g.Serve(l) }()
	conn, err := grpc.NewClient("passthrough:///bufconn",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Errorf("close connection: %v", err)
		}
		g.Stop()
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return conn
}

func remote(t testing.TB, store blob.Store, opts ...grpc.ServerOption) *blobrpc.Client {
	return blobrpc.NewClient(serve(t, blobrpc.NewServer(store, blobrpc.ServerConfig{Node: node}), opts...), node)
}

func bulk() grpc.ServerOption { return grpc.ForceServerCodecV2(blobrpc.Codec()) }

func TestBlobrpc_PassesTheSuite(t *testing.T) {
	for name, opts := range map[string][]grpc.ServerOption{"bulk codec": {bulk()}, "standard codec": nil} {
		t.Run(name, func(t *testing.T) {
			mem := func(cfg memstore.Config) *memstore.Store {
				cfg.Node = node
				return memstore.New(cfg)
			}
			blobtest.Run(t,
				func(t *testing.T) blob.Store { return remote(t, mem(memstore.Config{}), opts...) },
				blobtest.WithCapacity(func(t *testing.T, bytes uint64) blob.Store {
					return remote(t, mem(memstore.Config{CapacityBytes: bytes}), opts...)
				}),
				blobtest.WithFence(func(t *testing.T, fence func(fs.Epoch, fs.SessionID) bool) blob.Store {
					return remote(t, mem(memstore.Config{Fence: fence}), opts...)
				}),
				blobtest.WithDamage(func(t *testing.T) (blob.Store, func(*testing.T, fs.BlobID, uint32)) {
					s := mem(memstore.Config{})
					return remote(t, s, opts...), func(_ *testing.T, id fs.BlobID, off uint32) { s.Damage(id, off) }
				}),
			)
		})
	}
}

func sample(counter uint64, n int) *blob.Blob {
	return blob.New(blobtest.ID(1, counter), blobtest.Bytes(n, counter))
}

func TestCall_MeantForAnotherNodeIsRefused(t *testing.T) {
	store := memstore.New(memstore.Config{Node: node})
	conn := serve(t, blobrpc.NewServer(store, blobrpc.ServerConfig{Node: node}))
	b := sample(1, 100)
	if _, err := blobrpc.NewClient(conn, node).Stage(t.Context(), blobtest.Tx(1, 1), b); err != nil {
		t.Fatal(err)
	}
	other := blobrpc.NewClient(conn, "n2")
	if err := other.Delete(t.Context(), []fs.BlobID{b.ID}); !errors.Is(err, fs.ErrUnavailable) {
		t.Errorf("delete: %v", err)
	}
	if _, err := other.Stage(t.Context(), blobtest.Tx(1, 1), sample(2, 10)); !errors.Is(err, fs.ErrUnavailable) {
		t.Errorf("stage: %v", err)
	}
	if list, err := store.List(t.Context(), fs.BlobID{}, 10); err != nil || len(list) != 1 {
		t.Errorf("the store holds %v, %v", list, err)
	}
}

func TestVote_OfAnotherNodeIsNotCounted(t *testing.T) {
	c := remote(t, memstore.New(memstore.Config{Node: "somebody"}))
	if voters, err := c.Stage(t.Context(), blobtest.Tx(1, 1), sample(1, 10)); err == nil {
		t.Fatalf("counted as a vote of %q", voters)
	}
}

func TestOverloadedServer_RefusesMoreBytes(t *testing.T) {
	entered, leave := make(chan struct{}, 8), make(chan struct{})
	store := memstore.New(memstore.Config{Node: node, Faults: func(step string) error {
		if step == "stage.before" {
			entered <- struct{}{}
			<-leave
		}
		return nil
	}})
	srv := blobrpc.NewServer(store, blobrpc.ServerConfig{Node: node, StageBytes: 2500})
	c := blobrpc.NewClient(serve(t, srv, bulk()), node)
	answers := make(chan error, 2)
	for i := range uint64(2) {
		go func() {
			_, err := c.Stage(t.Context(), blobtest.Tx(1, 1), sample(i+1, 1000))
			answers <- err
		}()
	}
	<-entered
	<-entered
	if n := srv.InFlight(); n != 2 {
		t.Errorf("%d in flight, want 2", n)
	}
	if _, err := c.Stage(t.Context(), blobtest.Tx(1, 1), sample(3, 1000)); !errors.Is(err, fs.ErrUnavailable) {
		t.Errorf("a third blob: %v, want %v", err, fs.ErrUnavailable)
	}
	close(leave)
	for range 2 {
		if err := <-answers; err != nil {
			t.Error(err)
		}
	}
	if _, err := c.Stage(t.Context(), blobtest.Tx(1, 1), sample(3, 1000)); err != nil {
		t.Errorf("when there is room again: %v", err)
	}
	if n := srv.InFlight(); n != 0 {
		t.Errorf("%d in flight at rest", n)
	}
}

// fussy fails the test when a request reaches the store.
type fussy struct {
	blob.Store
	t *testing.T
}

func TestServer_ChecksRequestsBeforeTheStoreSeesThem(t *testing.T) {
	conn := serve(t, blobrpc.NewServer(fussy{nil, t}, blobrpc.ServerConfig{Node: node}))
	rpc := blobpb.NewBlobsClient(conn)
	ctx := t.Context()
	id, tx := &blobpb.BlobID{Session: 1, Counter: 1}, &blobpb.Tx{Session: 1, Seq: 1}
	many := make([]*blobpb.BlobID, blobrpc.IDsMax+1)
	manyStaged := make([]*blobpb.Staged, blobrpc.IDsMax+1)
	for i := range many {
		many[i], manyStaged[i] = id, &blobpb.Staged{Id: id, Tx: tx}
	}
	for name, call := range map[string]func() error{
		"stage without tx":  func() error { _, err := rpc.Stage(ctx, &blobpb.StageRequest{Id: id, Data: []byte{1}}); return err },
		"commit without id": func() error { _, err := rpc.Commit(ctx, &blobpb.CommitRequest{Ids: []*blobpb.BlobID{{}}}); return err },
		"commit too many":   func() error { _, err := rpc.Commit(ctx, &blobpb.CommitRequest{Ids: many}); return err },
		"delete without id": func() error {
			_, err := rpc.Delete(ctx, &blobpb.DeleteRequest{Ids: []*blobpb.BlobID{id, {}}})
			return err
		},
		"delete too many": func() error { _, err := rpc.Delete(ctx, &blobpb.DeleteRequest{Ids: many}); return err },
		"drop without tx": func() error {
			_, err := rpc.Drop(ctx, &blobpb.DropRequest{Staged: []*blobpb.Staged{{Id: id}}})
			return err
		},
		"drop too many":  func() error { _, err := rpc.Drop(ctx, &blobpb.DropRequest{Staged: manyStaged}); return err },
		"get nothing":    func() error { _, err := rpc.Get(ctx, &blobpb.GetRequest{Id: id, Length: 10}); return err },
		"get without id": func() error { _, err := rpc.Get(ctx, &blobpb.GetRequest{Length: 10, N: 1}); return err },
		"get an overflow": func() error {
			_, err := rpc.Get(ctx, &blobpb.GetRequest{Id: id, Length: 10, Off: 1<<32 - 1, N: 2})
			return err
		},
		"list without a limit": func() error { _, err := rpc.List(ctx, &blobpb.ListRequest{Limit: 1 << 31}); return err },
	} {
		if err := call(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestTooLarge_IsSaidByTheClient(t *testing.T) {
	c := remote(t, memstore.New(memstore.Config{Node: node}))
	b := blob.New(blobtest.ID(1, 1), make([]byte, 2*fs.BlobMax))
	if _, err := c.Stage(t.Context(), blobtest.Tx(1, 1), b); !errors.Is(err, fs.ErrTooLarge) {
		t.Fatalf("stage: %v", err)
	}
}

func TestDeadServer_IsUnavailable(t *testing.T) {
	conn, err := grpc.NewClient("passthrough:///nowhere",
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) { return nil, fmt.Errorf("refused") }),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }() // nothing was opened
	_, err = blobrpc.NewClient(conn, node).Stage(t.Context(), blobtest.Tx(1, 1), sample(1, 100_000))
	if !errors.Is(err, fs.ErrUnavailable) {
		t.Fatalf("stage: %v, want %v", err, fs.ErrUnavailable)
	}
}

// TestCancelledStage_LeavesTheBytesToTheCaller is for the race detector: once Stage has returned, the caller may write
// over its bytes, even if the transport was in the middle of them.
func TestCancelledStage_LeavesTheBytesToTheCaller(t *testing.T) {
	store := memstore.New(memstore.Config{Node: node})
	c := remote(t, store, grpc.InitialWindowSize(65535), grpc.InitialConnWindowSize(65535))
	data := blobtest.Bytes(fs.BlobMax, 1)
	for i := range uint64(40) {
		ctx, cancel := context.WithCancel(t.Context())
		b := blob.New(blobtest.ID(1, i+1), data)
		done := make(chan error, 1)
		go func() {
			_, err := c.Stage(ctx, blobtest.Tx(1, 1), b)
			done <- err
		}()
		moment := time.After(time.Duration(i) * 100 * time.Microsecond) // another one each time
		<-moment
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Fatalf("stage: %v", err)
		}
		data[i]++
		data[len(data)-1-int(i)]++
	}
}

func BenchmarkStage(b *testing.B) {
	for name, opts := range map[string][]grpc.ServerOption{"bulk": {bulk()}, "standard": nil} {
		b.Run(name, func(b *testing.B) {
			c := remote(b, nowhere{}, opts...)
			bl := sample(1, fs.BlobMax)
			b.SetBytes(fs.BlobMax)
			for b.Loop() {
				if _, err := c.Stage(b.Context(), blobtest.Tx(1, 1), bl); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// nowhere votes yes and keeps nothing.
type nowhere struct{ blob.Store }

func (nowhere) Stage(context.Context, blob.Tx, *blob.Blob) ([]fs.NodeID, error) {
	return []fs.NodeID{node}, nil
}

func TestSlowStore_LeavesStreamsToOthers(t *testing.T) {
	entered, leave := make(chan struct{}, 2*blobrpc.ConcurrentCalls), make(chan struct{})
	store := memstore.New(memstore.Config{Node: node, Faults: func(step string) error {
		if step == "get.before" {
			entered <- struct{}{}
			<-leave
		}
		return nil
	}})
	conn := serve(t, blobrpc.NewServer(store, blobrpc.ServerConfig{Node: node}), bulk(), grpc.MaxConcurrentStreams(blobrpc.ConcurrentCalls+1))
	b := sample(1, 100)
	info := b.Info(nil)
	slow, other := blobrpc.NewClient(conn, node), blobrpc.NewClient(conn, node)
	if _, err := slow.Stage(t.Context(), blobtest.Tx(1, 1), b); err != nil {
		t.Fatal(err)
	}
	answers := make(chan error)
	for range 2 * blobrpc.ConcurrentCalls {
		go func() {
			_, err := slow.Get(t.Context(), &info, 0, 100)
			answers <- err
		}()
	}
	for range blobrpc.ConcurrentCalls {
		<-entered
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if _, err := other.Usage(ctx); err != nil {
		t.Errorf("a call beside those that wait for the store: %v", err)
	}
	gone, give := context.WithCancel(t.Context())
	give()
	if _, err := slow.Get(gone, &info, 0, 100); !errors.Is(err, context.Canceled) {
		t.Errorf("a call that gives up before its turn: %v", err)
	}
	close(leave)
	for range 2 * blobrpc.ConcurrentCalls {
		if err := <-answers; err != nil {
			t.Error(err)
		}
	}
}
