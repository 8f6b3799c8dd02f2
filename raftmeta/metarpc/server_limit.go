package metarpc

import (
	"context"
	"fmt"

	"dfs/cluster/rpcerr"
	"dfs/fs"
)

// limiter bounds the requests being served and those that wait for it.
type limiter struct {
	running chan struct{}
	waiting chan struct{}
}

func newLimiter() *limiter {
	return &limiter{running: make(chan struct{}, requestsMax), waiting: make(chan struct{}, waitingMax)}
}

func (l *limiter) acquire(ctx context.Context) error {
	select {
	case l.running <- struct{}{}:
		return nil
	default:
	}
	select {
	case l.waiting <- struct{}{}:
	default:
		return fmt.Errorf("%d requests are waiting, no more are taken: %w", cap(l.waiting), fs.ErrUnavailable)
	}
	defer func() { <-l.waiting }()
	select {
	case l.running <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *limiter) release() { <-l.running }

// serve runs one request: validate, wait for a place, call, convert the answer with the leases that come with it, encode the error.
func serve[Req, Out, Rep any](ctx context.Context, l *limiter, req Req, check func(Req) error,
	call func(context.Context, Req) (Out, error), convert func(Out) *Rep) (*Rep, error) {
	if err := check(req); err != nil {
		return nil, rpcerr.ToStatus(err)
	}
	ctx, leases, err := wished(ctx, req)
	if err != nil {
		return nil, rpcerr.ToStatus(err)
	}
	if err := l.acquire(ctx); err != nil {
		return nil, rpcerr.ToStatus(err)
	}
	defer l.release()
	out, err := call(ctx, req)
	if err != nil {
		return nil, rpcerr.ToStatus(err)
	}
	rep := convert(out)
	bear(rep, leases)
	return rep, nil
}

// same is the conversion of what needs none.
func same[T any](t *T) *T { return t }

func unchecked[T any](T) error { return nil }
