package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"

	"dfs/blob/replica"
	"dfs/cluster"
	"dfs/cluster/pki"
	"dfs/cluster/rpcerr"
	"dfs/fs"
)

// allowed is written down a second time, by hand: who may call what is not to be changed in passing.
var allowed = map[pki.Role]string{
	pki.RoleNode: `
		/dfs.cluster.v1.Cluster/Hello /dfs.cluster.v1.Cluster/Promise
		/dfs.cluster.v1.Certificates/Renew
		/dfs.meta.v1.Cluster/Join /dfs.meta.v1.Cluster/Status /dfs.meta.v1.Cluster/RedeemToken
		/grpc.health.v1.Health/Check /grpc.health.v1.Health/List /grpc.health.v1.Health/Watch
		/dfs.meta.v1.Meta/Commit /dfs.meta.v1.Meta/Abort /dfs.meta.v1.Meta/Lookup /dfs.meta.v1.Meta/Getattr
		/dfs.meta.v1.Meta/Readdir /dfs.meta.v1.Meta/Readlink /dfs.meta.v1.Meta/Layout /dfs.meta.v1.Meta/Getxattr
		/dfs.meta.v1.Meta/Listxattr /dfs.meta.v1.Meta/Statfs /dfs.meta.v1.Meta/OpenSession /dfs.meta.v1.Meta/CloseSession
		/dfs.meta.v1.Meta/Attach /dfs.meta.v1.Meta/Pin /dfs.meta.v1.Meta/AllocInos /dfs.meta.v1.Meta/Lock /dfs.meta.v1.Meta/Room
		/dfs.blob.v1.Blobs/Stage /dfs.blob.v1.Blobs/Get /dfs.blob.v1.Blobs/Usage
		/dfs.blob.v1.Blobs/Commit /dfs.blob.v1.Blobs/Drop /dfs.blob.v1.Blobs/Delete /dfs.blob.v1.Blobs/List`,
	pki.RoleMount: `
		/dfs.cluster.v1.Certificates/Renew
		/dfs.meta.v1.Cluster/Status /dfs.meta.v1.Cluster/Watch
		/grpc.health.v1.Health/Check /grpc.health.v1.Health/List /grpc.health.v1.Health/Watch
		/dfs.meta.v1.Meta/Commit /dfs.meta.v1.Meta/Abort /dfs.meta.v1.Meta/Lookup /dfs.meta.v1.Meta/Getattr
		/dfs.meta.v1.Meta/Readdir /dfs.meta.v1.Meta/Readlink /dfs.meta.v1.Meta/Layout /dfs.meta.v1.Meta/Getxattr
		/dfs.meta.v1.Meta/Listxattr /dfs.meta.v1.Meta/Statfs /dfs.meta.v1.Meta/OpenSession /dfs.meta.v1.Meta/CloseSession
		/dfs.meta.v1.Meta/Attach /dfs.meta.v1.Meta/Pin /dfs.meta.v1.Meta/AllocInos /dfs.meta.v1.Meta/Lock /dfs.meta.v1.Meta/Room
		/dfs.blob.v1.Blobs/Stage /dfs.blob.v1.Blobs/Get /dfs.blob.v1.Blobs/Usage`,
	pki.RoleAdmin: `
		/dfs.cluster.v1.Certificates/Renew
		/dfs.meta.v1.Cluster/PutToken /dfs.meta.v1.Cluster/Tokens /dfs.meta.v1.Cluster/RevokeToken
		/dfs.meta.v1.Cluster/Status /dfs.meta.v1.Cluster/Transactions /dfs.meta.v1.Cluster/Transaction
		/dfs.meta.v1.Cluster/Removal /dfs.meta.v1.Cluster/RemoveNode
		/dfs.meta.v1.Cluster/SetQuota /dfs.meta.v1.Cluster/RemoveQuota /dfs.meta.v1.Cluster/Quotas
		/dfs.meta.v1.Cluster/Raft /dfs.meta.v1.Cluster/Explain /dfs.meta.v1.Cluster/Locks /dfs.meta.v1.Meta/Getattr
		/dfs.meta.v1.Cluster/Watch
		/grpc.health.v1.Health/Check /grpc.health.v1.Health/List /grpc.health.v1.Health/Watch`,
}

// tlsNode opens a node on loopback, with TLS or without, and returns it with the authority's directory.
func tlsNode(t *testing.T, secure bool) (*Node, string) {
	t.Helper()
	ca := filepath.Join(t.TempDir(), "ca")
	cfg := Config{
		Name: "n1", Dir: filepath.Join(t.TempDir(), "data"), Listen: "127.0.0.1:0", Gossip: "127.0.0.1:0", HTTP: "off", Metrics: "off",
		Voters: 3, Replicas: 3, Placement: "weighted", SessionTimeout: 2 * time.Second, GarbageGrace: time.Second, SweepInterval: time.Second,
	}
	cfg.Log.Level, cfg.Log.Format = "info", "text"
	if err := errors.Join(pki.InitCA(ca), pki.Issue(ca, filepath.Join(ca, "n1"), pki.Request{Role: pki.RoleNode, Name: "n1"})); err != nil {
		t.Fatal(err)
	}
	if secure {
		cfg.TLS.Dir = filepath.Join(ca, "n1")
	}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	n, err := Open(t.Context(), cfg, Deps{Version: "test", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n, ca
}

// client is a connection to n with a certificate of a role, or none ("").
func client(t *testing.T, n *Node, ca string, role pki.Role) *grpc.ClientConn {
	t.Helper()
	cfg := cluster.DialerConfig{}
	if role != "" {
		dir := filepath.Join(t.TempDir(), "x")
		if err := pki.Issue(ca, dir, pki.Request{Role: role, Name: "x"}); err != nil {
			t.Fatal(err)
		}
		files, err := pki.FilesIn(dir, role)
		if err != nil {
			t.Fatal(err)
		}
		if cfg.TLS, err = pki.Open(files, role, nil); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cfg.TLS.Close() }) // it never fails
	}
	d := cluster.NewDialer(cfg)
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	conn, err := d.DialGRPC(n.Addr())
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// raw carries messages as they are.
type raw struct{}

func (raw) Name() string                       { return "proto" }
func (raw) Marshal(v any) ([]byte, error)      { return *v.(*[]byte), nil }
func (raw) Unmarshal(data []byte, v any) error { *v.(*[]byte) = slices.Clone(data); return nil }

// call calls any method, unary or streaming, with one message, and returns how it ends. A stream that lives on ends with the
// deadline.
func call(t *testing.T, conn *grpc.ClientConn, method string, message []byte) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	s, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method, grpc.ForceCodec(raw{}))
	if err != nil {
		return err
	}
	_ = s.SendMsg(&message) // a refusal may be faster; RecvMsg returns it
	_ = s.CloseSend()       // likewise
	var reply []byte
	return s.RecvMsg(&reply)
}

// methods lists all that a node serves.
func methods(n *Node) []string {
	var all []string
	for service, info := range n.grpc.GetServiceInfo() {
		for _, m := range info.Methods {
			all = append(all, fmt.Sprintf("/%s/%s", service, m.Name))
		}
	}
	slices.Sort(all)
	return all
}

func refused(err error) bool {
	return status.Code(err) == codes.PermissionDenied && errors.Is(rpcerr.FromStatus(err), fs.ErrPermission)
}

// reached tells an error of the node, which may not implement all of the health service, from one of the way to it. (The node is a cluster's first and does not lead yet.)
func reached(err error) bool {
	code := status.Code(err)
	return (code != codes.Unavailable || errors.Is(rpcerr.FromStatus(err), fs.ErrNotLeader)) && (code != codes.Unimplemented || strings.HasPrefix(status.Convert(err).Message(), "method "))
}

func TestEveryCall_IsForItsRolesOnly(t *testing.T) {
	n, ca := tlsNode(t, true)
	all := methods(n)
	if len(all) < 30 {
		t.Fatalf("only %d methods are served", len(all))
	}
	for _, role := range pki.Roles() {
		conn, may := client(t, n, ca, role), strings.Fields(allowed[role])
		for _, method := range all {
			err := call(t, conn, method, nil)
			if refused(err) == slices.Contains(may, method) || !reached(err) {
				t.Errorf("%s as %s: %v", method, role, err)
			}
		}
		for _, method := range may {
			if !slices.Contains(all, method) {
				t.Errorf("%s is not served", method)
			}
		}
	}
	// Without a certificate there is no connection on which to call anything.
	conn := client(t, n, ca, "")
	for _, method := range all {
		if err := call(t, conn, method, nil); status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "speaks TLS only") {
			t.Errorf("%s as nobody: %v", method, err)
		}
	}
}

// Every method must be somebody's: one that is missing in cluster's table is allowed to nobody.
func TestEveryCall_HasARule(t *testing.T) {
	n, _ := tlsNode(t, false)
	ruled := strings.Fields(allowed[pki.RoleNode] + allowed[pki.RoleMount] + allowed[pki.RoleAdmin])
	for _, method := range methods(n) {
		if !slices.Contains(ruled, method) {
			t.Errorf("nobody may call %s: add it to the table in cluster/access.go, and here", method)
		}
	}
}

func TestPlaintext_KnowsNoRoles(t *testing.T) {
	n, ca := tlsNode(t, false)
	conn := client(t, n, ca, "")
	for _, method := range methods(n) {
		if err := call(t, conn, method, nil); refused(err) || !reached(err) {
			t.Errorf("%s: %v", method, err)
		}
	}
}

// The keepers' sessions are never fenced and outrank all writers: a mount must not write in their name.
func TestMount_CannotStageAsAKeeper(t *testing.T) {
	const keeper = ^fs.SessionID(0)
	if !replica.IsReserved(keeper) {
		t.Fatal("that is no keeper's session")
	}
	n, ca := tlsNode(t, true)
	for _, c := range []struct {
		role    pki.Role
		session fs.SessionID
		refused bool
	}{{pki.RoleMount, keeper, true}, {pki.RoleMount, 7, false}, {pki.RoleNode, keeper, false}} {
		tx := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(c.session))
		request := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), tx)
		request = protowire.AppendBytes(protowire.AppendTag(request, 2, protowire.BytesType), tx) // a blob of the session, written alike
		if err := call(t, client(t, n, ca, c.role), "/dfs.blob.v1.Blobs/Stage", request); err == nil || refused(err) != c.refused {
			t.Errorf("session %d as %s: %v", c.session, c.role, err)
		}
	}
}
