package cluster

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"

	"dfs/cluster/pki"
	"dfs/fs"
)

// connectTimeout bounds a connection attempt, from name lookup to the answered preamble.
const connectTimeout = 2 * time.Second

// DialerConfig makes a Dialer.
type DialerConfig struct {
	// Insecure allows plaintext beyond loopback.
	Insecure bool
	// TLS is shown to every node, and what every node's certificate is judged by. Nil: plaintext.
	TLS    *pki.Credentials
	Faults fs.Faults    // step "dial:HOST:PORT": an error keeps this process from connecting there
	Log    *slog.Logger // nil: none
}

// Dialer makes every connection that leaves this process for a node. Mounts have only a Dialer; nodes have it in their
// [Transport]. All methods may be called from any goroutine.
type Dialer struct {
	exposure exposure
	tls      *pki.Credentials // nil: plaintext
	faults   fs.Faults
	log      *slog.Logger

	mu      sync.Mutex
	closed  bool
	clients map[string]*grpc.ClientConn      // by address
	lanes   map[string]*lane                 // of clients
	open    map[string]map[*dialled]struct{} // by address; every open connection of any protocol
	work    sync.WaitGroup                   // connections being made anew
}

// NewDialer makes a Dialer. Close it.
func NewDialer(cfg DialerConfig) *Dialer {
	return &Dialer{
		exposure: exposure{cfg.Insecure || cfg.TLS != nil}, tls: cfg.TLS, faults: cfg.Faults, log: logger(cfg.Log),
		clients: make(map[string]*grpc.ClientConn), lanes: make(map[string]*lane), open: make(map[string]map[*dialled]struct{}),
	}
}

// dial connects to addr (host:port) for one protocol: fs.ErrUnavailable if nothing answers, fs.ErrNotSupported or
// errNotDFS if the wrong thing does, fs.ErrPermission if plaintext is not allowed there.
func (d *Dialer) dial(ctx context.Context, proto Protocol, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := d.connect(ctx, proto, addr)
	if err != nil {
		return nil, fmt.Errorf("connect to node at %s: %w", addr, unavailable(err))
	}
	return conn, nil
}

func (d *Dialer) connect(ctx context.Context, proto Protocol, addr string) (net.Conn, error) {
	if err := d.faults.At("dial:" + addr); err != nil {
		return nil, err
	}
	conn, err := (&net.Dialer{Control: d.exposure.control}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	tcp := conn.(*net.TCPConn) // what "tcp" always gives
	var own *x509.Certificate
	if d.tls != nil {
		own = d.tls.Leaf() // or an older one than is shown, which errs on the safe side
	}
	shaken, err := d.shake(ctx, tcp, proto)
	if err != nil {
		drop(tcp)
		return nil, err
	}
	c := &dialled{Conn: shaken, raw: tcp, addr: addr, proto: proto, owner: d}
	var fresh time.Time
	if s, ok := shaken.(*secured); ok {
		fresh = freshness(own, s.peer.Leaf)
	}
	if err := d.track(c, fresh); err != nil {
		drop(shaken)
		return nil, err
	}
	return c, nil
}

// shake tunes the socket and does the dialler's half of the handshake: TLS, if there is any, and the preamble.
func (d *Dialer) shake(ctx context.Context, raw *net.TCPConn, proto Protocol) (net.Conn, error) {
	if err := tune(raw, proto); err != nil {
		return nil, err
	}
	deadline, _ := ctx.Deadline() // dial always sets one
	if err := raw.SetDeadline(deadline); err != nil {
		return nil, fmt.Errorf("set deadline: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { drop(raw) }) // a cancelled caller does not wait for the deadline
	defer stop()
	conn, err := d.secure(ctx, raw)
	if err != nil {
		return nil, err
	}
	err = explain(greet(conn, proto))
	if err == nil {
		err = raw.SetDeadline(time.Time{})
	}
	if err != nil {
		drop(conn)
		return nil, err
	}
	return conn, nil
}

// unavailable adds fs.ErrUnavailable to errors of the network, and leaves those that trying again cannot heal.
func unavailable(err error) error {
	for _, lasting := range []error{fs.ErrPermission, fs.ErrNotSupported, fs.ErrInvalid, fs.ErrClosed, errNotDFS} {
		if errors.Is(err, lasting) {
			return err
		}
	}
	return &networkError{err}
}

// networkError is an fs.ErrUnavailable that says no more than its cause does: people read it.
type networkError struct{ cause error }

func (e *networkError) Error() string   { return e.cause.Error() }
func (e *networkError) Unwrap() []error { return []error{e.cause, fs.ErrUnavailable} }

// Break closes all connections to addr. Calls in flight fail at once instead of waiting for their deadlines; clients
// stay valid and connect anew at the next call. It is for peers that gossip has declared dead: a hung process keeps its
// connections open.
func (d *Dialer) Break(addr string) {
	d.mu.Lock()
	var conns []*dialled
	for c := range d.open[addr] {
		conns = append(conns, c)
	}
	d.mu.Unlock()
	for _, c := range conns {
		drop(c.raw) // without a goodbye, for which a hung process would have to be waited for
	}
}

// Close closes all clients and all connections. Afterwards everything fails with fs.ErrClosed.
func (d *Dialer) Close() error {
	d.mu.Lock()
	d.closed = true
	clients := d.clients
	d.clients = make(map[string]*grpc.ClientConn)
	var conns []*dialled
	for _, set := range d.open {
		for c := range set {
			conns = append(conns, c)
		}
	}
	d.mu.Unlock()
	var errs []error
	for addr, c := range clients {
		if err := c.Close(); err != nil {
			errs = append(errs, fmt.Errorf("close client of %s: %w", addr, err))
		}
	}
	for _, c := range conns {
		drop(c)
	}
	d.work.Wait()
	return errors.Join(errs...)
}

// track makes a connection one that can be broken, and has it made anew when it is not fresh any more.
func (d *Dialer) track(c *dialled, fresh time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return fmt.Errorf("dialer: %w", fs.ErrClosed)
	}
	if d.open[c.addr] == nil {
		d.open[c.addr] = make(map[*dialled]struct{})
	}
	d.open[c.addr][c] = struct{}{}
	d.retireAt(c, fresh)
	return nil
}

func (d *Dialer) untrack(c *dialled) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.open[c.addr], c)
	if len(d.open[c.addr]) == 0 {
		delete(d.open, c.addr)
	}
}

// dialled is a connection that its Dialer can break.
type dialled struct {
	net.Conn
	raw    *net.TCPConn // what Conn runs on, or Conn itself
	addr   string
	proto  Protocol
	owner  *Dialer
	retire *time.Timer // nil: it ends with the certificates, if there are any
}

func (c *dialled) Close() error {
	if c.retire != nil {
		c.retire.Stop()
	}
	c.owner.untrack(c)
	return c.Conn.Close()
}

// logger makes a nil logger a silent one.
func logger(l *slog.Logger) *slog.Logger {
	if l == nil {
		return slog.New(slog.DiscardHandler)
	}
	return l
}
