package cluster

import (
	"context"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"dfs/fs"
)

// requestHeader carries a request's id from node to node.
const requestHeader = "dfs-request"

// sendRequestID is a client's interceptor: it sends the id of the context along.
func sendRequestID(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if id := fs.RequestID(ctx); id != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, requestHeader, id)
	}
	return invoke(ctx, method, req, reply, cc, opts...)
}

// takeRequestID is a server's interceptor: it gives the context the id that came along. One that no log should have to
// show (too long, or with bytes that are no plain characters) is dropped.
func takeRequestID(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if ids := metadata.ValueFromIncomingContext(ctx, requestHeader); len(ids) > 0 && plain(ids[0]) {
		ctx = fs.WithRequestID(ctx, ids[0])
	}
	return handler(ctx, req)
}

func plain(id string) bool {
	return len(id) <= fs.RequestIDMax && !strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' })
}
