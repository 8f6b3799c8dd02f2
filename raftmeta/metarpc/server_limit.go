package metarpc

import (
	"context"
	"fmt"
	"sync"
	"time"

	"dfs/cluster/rpcerr"
	"dfs/fs"
)

// limiter bounds the requests being served and those that wait for it. A request that has been served for a while waits for others,
// for leases most likely, which come back by way of other requests: it makes room for them.
type limiter struct {
	running chan struct{}
	waiting chan struct{}
	parked  chan struct{} // served, and not counted in running any more
}

func newLimiter() *limiter {
	return &limiter{running: make(chan struct{}, requestsMax), waiting: make(chan struct{}, waitingMax), parked: make(chan struct{}, parkedMax)}
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

// enter is called with a place; what it returns gives it back. Meanwhile the place is exchanged for one among the parked ones, if
// there is any left.
func (l *limiter) enter() (leave func()) {
	var mu sync.Mutex
	place := l.running
	timer := time.AfterFunc(parkAfter, func() {
		mu.Lock()
		defer mu.Unlock()
		if place == nil {
			return // left
		}
		select {
		case l.parked <- struct{}{}:
			<-l.running
			place = l.parked
		default:
		}
	})
	return func() {
		timer.Stop()
		mu.Lock()
		defer mu.Unlock()
		<-place
		place = nil
	}
}

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
	defer l.enter()()
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
