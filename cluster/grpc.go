package cluster

import (
	"context"
	"fmt"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	"dfs/fs"
)

// Settings of every gRPC connection, both sides.
const (
	MessageMax    = 8 << 20   // bytes of one answer: a blob or a listing, with room to spare
	streamWindow  = 4 << 20   // a whole blob may be under way to a client without a round trip
	requestWindow = 64 << 10  // bytes of a request that come before its turn
	connWindow    = 8 << 20   // bytes under way in all streams of a connection
	ioBuffer      = 128 << 10 // bytes read or written at once
	headersMax    = 16 << 10  // bytes of a call's headers

	// gRPC's own pings find a process that hangs; it does not allow clients to ping more often than this.
	pingInterval = 10 * time.Second
	pingTimeout  = peerTimeout
	serverPing   = 2 * time.Second

	clientsMax = 4096 // addresses with a cached client

	// streamsMax bounds the calls under way on one connection; further ones wait in the client. Blob calls, the only ones
	// that may queue up behind a disk, take a small part of it: see blobrpc.ConcurrentCalls. The rest serves the metadata,
	// which takes no more than this from all connections together.
	streamsMax = 1024
)

// DialGRPC returns the client for addr (host:port), the same for each call with the same addr; it belongs to the
// Dialer, so do not close it. It connects at the first call made on it and again after failures, with a back-off of
// 100 ms to 1 s; a call made meanwhile fails at once with Unavailable unless it waits for ready.
// fs.ErrPermission: plaintext is not allowed to addr (for a host name this shows only when connecting).
func (d *Dialer) DialGRPC(addr string) (*grpc.ClientConn, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("node address %q: %v: %w", addr, err, fs.ErrInvalid)
	}
	if net.ParseIP(host) != nil {
		if err := d.exposure.check(addr); err != nil {
			return nil, fmt.Errorf("connect to node: %w", err)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, fmt.Errorf("dialer: %w", fs.ErrClosed)
	}
	if c := d.clients[addr]; c != nil {
		return c, nil
	}
	if len(d.clients) >= clientsMax {
		return nil, fmt.Errorf("clients of %d addresses are open: %w", clientsMax, fs.ErrTooLarge)
	}
	l := &lane{}
	c, err := grpc.NewClient("passthrough:///"+addr, d.clientOptions(addr, l)...)
	if err != nil {
		return nil, fmt.Errorf("make client of %s: %w", addr, err)
	}
	d.clients[addr], d.lanes[addr] = c, l
	return c, nil
}

// Forget closes the client of an address that no node has any more. Calls in flight on it fail.
func (d *Dialer) Forget(addr string) {
	d.mu.Lock()
	c := d.clients[addr]
	delete(d.clients, addr)
	delete(d.lanes, addr)
	d.mu.Unlock()
	if c != nil {
		_ = c.Close() // it fails only when it was closed before
	}
}

func (d *Dialer) clientOptions(addr string, l *lane) []grpc.DialOption {
	return []grpc.DialOption{
		// The address is bound here instead of being taken from gRPC's argument, which has been through a URL.
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return d.dial(ctx, ProtocolGRPC, addr)
		}),
		grpc.WithTransportCredentials(insecure.NewCredentials()), // the connection is secured, or allowed, by dial
		grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time: pingInterval, Timeout: pingTimeout, PermitWithoutStream: true,
		}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
			MinConnectTimeout: connectTimeout,
		}),
		grpc.WithInitialWindowSize(streamWindow),
		grpc.WithInitialConnWindowSize(connWindow),
		grpc.WithReadBufferSize(ioBuffer),
		grpc.WithWriteBufferSize(ioBuffer),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(MessageMax), grpc.MaxCallSendMsgSize(MessageMax)),
		grpc.WithIdleTimeout(0), // a connection that is there costs less than one that must be made
		grpc.WithDisableServiceConfig(),
		grpc.WithChainUnaryInterceptor(sendUnary, sendSession, l.unary),
		grpc.WithChainStreamInterceptor(sendStream, l.stream),
	}
}
