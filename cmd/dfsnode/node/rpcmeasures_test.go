package node

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"google.golang.org/grpc"

	"dfs/cluster/rpcerr"
	"dfs/fs"
)

type dataMessage struct{ data []byte }

func (m *dataMessage) GetData() []byte { return m.data }

func TestCalls_AreCountedByKind(t *testing.T) {
	logs := &strings.Builder{}
	m := newRPCMeasures(slog.New(slog.NewTextHandler(logs, nil)))
	call := func(method string, req, rep any, err error) {
		_, got := m.unary(fs.WithRequestID(t.Context(), "m1-7"), req, &grpc.UnaryServerInfo{FullMethod: method}, func(context.Context, any) (any, error) {
			if m.activity().InFlight != 1 && !strings.Contains(method, "Cluster") {
				t.Error("a call that is being answered is not in flight")
			}
			return rep, err
		})
		if !errors.Is(got, err) {
			t.Errorf("%s: %v", method, got)
		}
	}
	call("/dfs.blob.v1.Blobs/Stage", &dataMessage{make([]byte, 10)}, nil, nil)
	call("/dfs.blob.v1.Blobs/Get", nil, &dataMessage{make([]byte, 7)}, nil)
	call("/dfs.meta.v1.Meta/Lookup", &dataMessage{make([]byte, 100)}, nil, errors.New("no such file"))
	call("/dfs.meta.v1.Meta/Lookup", nil, nil, rpcerr.ToStatus(fs.ErrNotExist))
	if strings.Contains(logs.String(), "m1-7") != strings.Contains(logs.String(), "level=ERROR") || strings.Count(logs.String(), "\n") != 1 {
		t.Errorf("logged is\n%s", logs)
	}
	call("/dfs.meta.v1.Cluster/Status", nil, nil, nil) // whoever looks is no part of what is seen
	call("/dfs.cluster.v1.Cluster/Hello", nil, nil, errors.New("no"))
	a := m.activity()
	if a.Ops != 4 || a.Errors != 2 || a.InFlight != 0 || a.WriteBytes != 10 || a.ReadBytes != 7 {
		t.Errorf("%+v", a)
	}
}

func TestMethods_BecomeLabels(t *testing.T) {
	for method, want := range map[string][2]string{
		"/dfs.meta.v1.Meta/OpenSession": {"meta", "open_session"}, "/dfs.cluster.v1.Cluster/Hello": {"peer", "hello"},
		"/dfs.meta.v1.Cluster/Status": {"admin", "status"}, "/x.Y/Z": {"other", "z"}, "": {"other", ""},
	} {
		if service, operation := split(method); service != want[0] || operation != want[1] {
			t.Errorf("%s: %s, %s", method, service, operation)
		}
	}
}
