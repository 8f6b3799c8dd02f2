package cluster

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
)

// drainMax is how long a connection that is to be made anew waits for the calls under way on it, and new calls for it.
const drainMax = 500 * time.Millisecond

// lasting are the streams that live for as long as their holders, which make them again when they break.
var lasting = map[string]bool{"/dfs.meta.v1.Meta/Attach": true, "/dfs.meta.v1.Cluster/Watch": true, "/grpc.health.v1.Health/Watch": true}

// lane counts the calls of one gRPC client, and can hold back new ones until those under way are done.
type lane struct {
	mu    sync.Mutex
	calls int           // under way, the lasting ones apart
	shut  chan struct{} // nil: open; else closed when the lane opens again
	empty chan struct{} // nil, or closed when calls is 0
}

// enter begins a call, as soon as the lane is open.
func (l *lane) enter(ctx context.Context) error {
	for {
		l.mu.Lock()
		shut := l.shut
		if shut == nil {
			l.calls++
		}
		l.mu.Unlock()
		if shut == nil {
			return nil
		}
		select {
		case <-shut:
		case <-ctx.Done():
			return status.FromContextError(ctx.Err()).Err()
		}
	}
}

func (l *lane) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.calls--; l.calls == 0 && l.empty != nil {
		close(l.empty)
		l.empty = nil
	}
}

// drained runs fn when no call is under way, or after drainMax, with the lane shut meanwhile. Only one drains at a time;
// another one waits for it and does without.
func (l *lane) drained(fn func()) {
	l.mu.Lock()
	if shut := l.shut; shut != nil {
		l.mu.Unlock()
		<-shut
		fn()
		return
	}
	shut, empty := make(chan struct{}), make(chan struct{})
	if l.shut, l.empty = shut, empty; l.calls == 0 {
		close(empty)
		l.empty = nil
	}
	l.mu.Unlock()
	over := time.NewTimer(drainMax)
	defer over.Stop()
	select {
	case <-empty:
	case <-over.C:
	}
	fn()
	l.mu.Lock()
	l.shut, l.empty = nil, nil
	l.mu.Unlock()
	close(shut)
}

// unary and stream are a client's interceptors.
func (l *lane) unary(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if err := l.enter(ctx); err != nil {
		return err
	}
	defer l.leave()
	return invoke(ctx, method, req, reply, cc, opts...)
}

func (l *lane) stream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	if lasting[method] {
		return open(ctx, desc, cc, method, opts...)
	}
	if err := l.enter(ctx); err != nil {
		return nil, err
	}
	return open(ctx, desc, cc, method, append(opts, grpc.OnFinish(func(error) { l.leave() }))...)
}
