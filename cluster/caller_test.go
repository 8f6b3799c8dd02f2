package cluster

import (
	"context"
	"errors"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"dfs/cluster/rpcerr"
	"dfs/fs"
)

func TestSession_GoesAlongWithACall(t *testing.T) {
	sent := func(ctx context.Context) context.Context {
		var out metadata.MD
		err := sendSession(ctx, "/m", nil, nil, nil, func(ctx context.Context, _ string, _, _ any, _ *grpc.ClientConn, _ ...grpc.CallOption) error {
			out, _ = metadata.FromOutgoingContext(ctx)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return metadata.NewIncomingContext(t.Context(), out)
	}
	got, err := identified(sent(fs.WithSession(t.Context(), &fs.Session{ID: 7, Epoch: 9, Root: 3})))
	if who := fs.CallerOf(got); err != nil || who != (fs.Caller{Session: 7, Epoch: 9}) {
		t.Errorf("arrived as %+v, %v", who, err)
	}
	for _, s := range []*fs.Session{{ID: 7, Epoch: 9, Root: fs.RootIno}, {ID: 7, Epoch: 9}} {
		if md, _ := metadata.FromIncomingContext(sent(fs.WithSession(t.Context(), s))); len(md) > 0 {
			t.Errorf("a session that sees everything is told: %v", md)
		}
	}
}

func TestSession_ThatCannotBeUnderstoodIsRefused(t *testing.T) {
	for _, named := range [][]string{{""}, {"7"}, {"7."}, {".9"}, {"0.9"}, {"7.0"}, {"-7.9"}, {"7.9.1"}, {"7.9", "7.9"}, {"99999999999999999999.1"}} {
		ctx := metadata.NewIncomingContext(t.Context(), metadata.MD{sessionHeader: named})
		if _, err := identified(ctx); !errors.Is(rpcerr.FromStatus(err), fs.ErrInvalid) {
			t.Errorf("%q: %v", named, err)
		}
	}
}
