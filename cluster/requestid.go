package cluster

import (
	"context"
	"strings"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"dfs/cluster/rpcerr"
	"dfs/fs"
	"dfs/fs/spans"
)

// requestHeader carries a request's id from node to node.
const requestHeader = "dfs-request"

// sendOrigin adds to a call what it is a part of: a request, by its id, and a trace.
func sendOrigin(ctx context.Context) context.Context {
	if id := fs.RequestID(ctx); id != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, requestHeader, id)
	}
	if t := spans.Carry(ctx); t != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, spans.Header, t)
	}
	return ctx
}

// sendUnary is a client's interceptor.
func sendUnary(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	ctx, s := spans.Start(ctx, method, trace.SpanKindClient)
	err := invoke(sendOrigin(ctx), method, req, reply, cc, opts...)
	s.End(rpcerr.FromStatus(err))
	return err
}

// sendStream is a client's interceptor. A stream that outlives its request has its id, but no span.
func sendStream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return open(sendOrigin(ctx), desc, cc, method, opts...)
}

// takeRequestID gives the context the id that came along. One that no log should have to show (too long, or with bytes that are
// no plain characters) is dropped.
func takeRequestID(ctx context.Context) context.Context {
	if ids := metadata.ValueFromIncomingContext(ctx, requestHeader); len(ids) > 0 && plain(ids[0]) {
		ctx = fs.WithRequestID(ctx, ids[0])
	}
	return ctx
}

// takeUnary is a server's interceptor. It begins no traces: those are for whoever makes the request.
func takeUnary(t spans.Tracer) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		ctx = takeRequestID(ctx)
		headers := metadata.ValueFromIncomingContext(ctx, spans.Header)
		if t == nil || len(headers) == 0 {
			return handler(ctx, req)
		}
		if ctx = spans.Take(ctx, headers[0]); !spans.Parent(ctx).IsValid() {
			return handler(ctx, req)
		}
		ctx, s := spans.Begin(ctx, t, info.FullMethod, trace.SpanKindServer)
		reply, err := handler(ctx, req)
		s.End(rpcerr.FromStatus(err))
		return reply, err
	}
}

func plain(id string) bool {
	return len(id) <= fs.RequestIDMax && !strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' })
}
