package fs

import "context"

// RequestIDMax is the longest request id, bytes.
const RequestIDMax = 64

type requestIDKey struct{}

// WithRequestID returns a context of a request that is called id, so that what several machines log of it can be found
// together: calls to other nodes carry the id along. It means nothing else.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

// RequestID is the id that WithRequestID gave; empty for none.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}
