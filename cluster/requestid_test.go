package cluster

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"dfs/fs"
)

func TestRequestID_TravelsAndRubbishIsDropped(t *testing.T) {
	for sent, want := range map[string]string{"": "", "m-17": "m-17", "tx-3.17": "tx-3.17", "a b": "", "a\nb": "", "é": "",
		strings.Repeat("x", fs.RequestIDMax): strings.Repeat("x", fs.RequestIDMax), strings.Repeat("x", fs.RequestIDMax+1): ""} {
		var got string
		err := sendUnary(fs.WithRequestID(t.Context(), sent), "/m", nil, nil, nil,
			func(ctx context.Context, _ string, _, _ any, _ *grpc.ClientConn, _ ...grpc.CallOption) error {
				md, _ := metadata.FromOutgoingContext(ctx)
				_, err := takeUnary(nil)(metadata.NewIncomingContext(t.Context(), md), nil, nil, func(ctx context.Context, _ any) (any, error) {
					got = fs.RequestID(ctx)
					return nil, nil
				})
				return err
			})
		if err != nil || got != want {
			t.Errorf("%q arrives as %q, %v", sent, got, err)
		}
	}
}
