package blobrpc

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
)

// bounded is a connection on which so many calls may be under way at once as places holds.
type bounded struct {
	grpc.ClientConnInterface
	places chan struct{}
}

// Invoke waits for a place, then calls.
func (b *bounded) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	select {
	case b.places <- struct{}{}:
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	}
	defer func() { <-b.places }()
	return b.ClientConnInterface.Invoke(ctx, method, args, reply, opts...)
}
