package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"syscall"
	"time"

	"dfs/cluster/pki"
	"dfs/fs"
)

// Config makes a Transport.
type Config struct {
	// Listen is the host:port to listen on; port 0 takes any free one.
	Listen string
	// Advertise is the host:port that others are told; empty means Listen, with the port that was taken.
	Advertise string
	// Insecure allows plaintext beyond loopback, both ways.
	Insecure bool
	// TLS, if any, is what this node speaks, both ways, to everybody. It stays the caller's to close, after the Transport.
	TLS *pki.Credentials
	// Enrol, if any, decides about machines that have no certificate yet. It counts with TLS only.
	Enrol  Enroller
	Faults fs.Faults    // of the Dialer
	Log    *slog.Logger // nil: none
}

// Transport is a node's end of the network: one port, one dialer.
type Transport struct {
	*Dialer
	mux  *mux
	addr nodeAddr
}

// Listen opens the port. The errors say which flag to change: fs.ErrBusy for a port in use, fs.ErrPermission for a
// non-loopback address without Insecure, fs.ErrInvalid for an address that is none.
func Listen(ctx context.Context, cfg Config) (*Transport, error) {
	ln, err := listenTCP(ctx, cfg.Listen, cfg.Insecure || cfg.TLS != nil, "--listen")
	if err != nil {
		return nil, err
	}
	addr, err := advertised(cfg.Advertise, ln.Addr())
	if err != nil {
		_ = ln.Close() // nobody has used it
		return nil, err
	}
	var conf *tls.Config
	if cfg.TLS != nil {
		conf = cfg.TLS.ServerOrEnrol()
	}
	return &Transport{
		Dialer: NewDialer(DialerConfig{Insecure: cfg.Insecure, TLS: cfg.TLS, Faults: cfg.Faults, Log: cfg.Log}),
		mux:    newMux(ln, addr, conf, newEnrolDesk(cfg.Enrol), logger(cfg.Log), ProtocolRaft, ProtocolGRPC),
		addr:   addr,
	}, nil
}

// Addr is the advertised host:port.
func (t *Transport) Addr() string { return string(t.addr) }

// GRPCListener is for the node's gRPC server; see [NewServer].
func (t *Transport) GRPCListener() net.Listener { return t.mux.routes[ProtocolGRPC] }

// Close closes the port and all dialled connections and waits for the transport's goroutines. Connections that were
// accepted from a listener are closed by whoever accepted them.
func (t *Transport) Close() error {
	return errors.Join(t.mux.close(), t.Dialer.Close())
}

// nodeAddr is an advertised host:port; unlike a net.TCPAddr it may hold a name.
type nodeAddr string

func (nodeAddr) Network() string  { return "tcp" }
func (a nodeAddr) String() string { return string(a) }

// StreamLayer carries Raft: StreamLayer[raft.ServerAddress] is a raft.StreamLayer. The type parameter keeps hashicorp's
// raft out of every program that only wants a Dialer.
type StreamLayer[A ~string] struct {
	net.Listener
	dialer *Dialer
}

// RaftLayer is the Raft side of a Transport. Closing it stops accepting Raft connections and nothing else.
func RaftLayer[A ~string](t *Transport) StreamLayer[A] {
	return StreamLayer[A]{Listener: t.mux.routes[ProtocolRaft], dialer: t.Dialer}
}

// Dial connects to another node's Raft, within timeout or two seconds, whichever is less.
func (s StreamLayer[A]) Dial(address A, timeout time.Duration) (net.Conn, error) {
	ctx := context.Background() // Raft has no context to give
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	return s.dialer.dial(ctx, ProtocolRaft, string(address))
}

// listenTCP opens a port under the plaintext policy; flag is what the operator would change.
func listenTCP(ctx context.Context, addr string, insecure bool, flag string) (net.Listener, error) {
	lc := net.ListenConfig{Control: exposure{insecure}.control}
	ln, err := lc.Listen(ctx, "tcp", addr)
	return ln, listenError(err, addr, flag)
}

func listenError(err error, addr, flag string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("listen on %s: another process uses that port, choose another with %s: %w", addr, flag, fs.ErrBusy)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("listen on %s: this machine does not have that address, choose another with %s: %w", addr, flag, fs.ErrInvalid)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("listen on %s (%s): %w", addr, flag, err)
	}
	return fmt.Errorf("listen on %s (%s): %w: %w", addr, flag, err, fs.ErrInvalid)
}

// advertised is what others are told: given, with the real port where it says 0, or else the listener's own address.
func advertised(given string, bound net.Addr) (nodeAddr, error) {
	_, boundPort, err := net.SplitHostPort(bound.String())
	if err != nil {
		return "", fmt.Errorf("listener's address %q: %w", bound, err)
	}
	if given == "" {
		given = bound.String()
	}
	host, port, err := net.SplitHostPort(given)
	if err != nil {
		return "", fmt.Errorf("advertised address %q is not HOST:PORT (%v): %w", given, err, fs.ErrInvalid)
	}
	if isWildcard(host) {
		return "", fmt.Errorf("others cannot connect to the wildcard address %s, say this machine's own with --advertise: %w", given, fs.ErrInvalid)
	}
	if len(host) > hostMax {
		return "", fmt.Errorf("advertised host is %d bytes long, at most %d are allowed: %w", len(host), hostMax, fs.ErrInvalid)
	}
	if port == "0" {
		port = boundPort
	}
	return nodeAddr(net.JoinHostPort(host, port)), nil
}
