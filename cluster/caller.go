package cluster

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"dfs/cluster/rpcerr"
	"dfs/fs"
)

// sessionHeader names the session that a call reads under, as ID.EPOCH. Calls that are about a session name it themselves.
const sessionHeader = "dfs-session"

// sendSession is a client's interceptor: it sends the session of the context along.
func sendSession(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if id, epoch := fs.SessionOf(ctx); id != 0 {
		ctx = metadata.AppendToOutgoingContext(ctx, sessionHeader, fmt.Sprintf("%d.%d", id, epoch))
	}
	return invoke(ctx, method, req, reply, cc, opts...)
}

// identified gives a served call's context its fs.Caller: the certificate, which the connection has proven, and the session,
// which is as yet a claim. Without either there is none.
func identified(ctx context.Context) (context.Context, error) {
	who, known := fs.Caller{}, false
	if p := callerOf(ctx); p != nil {
		who.Owner, known = p.Owner(), true
	}
	if named := metadata.ValueFromIncomingContext(ctx, sessionHeader); len(named) > 0 {
		var err error
		if who.Session, who.Epoch, err = parseSession(named); err != nil {
			return nil, rpcerr.ToStatus(err)
		}
		known = true
	}
	if !known {
		return ctx, nil
	}
	return fs.WithCaller(ctx, who), nil
}

func parseSession(named []string) (fs.SessionID, fs.Epoch, error) {
	first, second, _ := strings.Cut(named[0], ".")
	id, err1 := strconv.ParseUint(first, 10, 64)
	epoch, err2 := strconv.ParseUint(second, 10, 64)
	if len(named) != 1 || err1 != nil || err2 != nil || id == 0 || epoch == 0 {
		return 0, 0, fmt.Errorf("the call names its session in a way that cannot be understood: %w", fs.ErrInvalid)
	}
	return fs.SessionID(id), fs.Epoch(epoch), nil
}

// identify is a server's interceptor; for streams see Server.line.
func identify(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	ctx, err := identified(ctx)
	if err != nil {
		return nil, err
	}
	return handler(ctx, req)
}

// identifiedStream is a stream whose context has the caller.
type identifiedStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *identifiedStream) Context() context.Context { return s.ctx }
