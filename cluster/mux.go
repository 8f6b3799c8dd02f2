package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"dfs/cluster/pki"
	"dfs/fs"
)

// Bounds of the listener.
const (
	preambleTimeout = 3 * time.Second // from accept to a routed connection, or to a whole request to enrol
	strangersMax    = 256             // connections that have not said yet what they are for
	backlogMax      = 64              // routed connections that the protocol's server has not accepted yet
	acceptRetryMax  = time.Second     // between attempts when accept(2) fails
)

// mux accepts connections and hands each to the listener of its protocol. It owns two kinds of goroutines: one that
// accepts, and one for each stranger, which lives for preambleTimeout at most; see enrolDesk for those that stay longer.
type mux struct {
	ln     net.Listener
	tls    *tls.Config         // nil: plaintext
	routes map[Protocol]*route // fixed at start
	desk   *enrolDesk          // nil: nobody enrols here
	log    *slog.Logger
	quota  *rate.Limiter // of log lines about strangers, so that a port scan does not fill the disk
	ctx    context.Context
	cancel context.CancelFunc
	done   sync.WaitGroup
	guests accounts

	mu        sync.Mutex
	strangers map[net.Conn]struct{} // at most strangersMax
}

// newMux accepts from ln; conf, if any, is the listener's side of TLS, and desk serves those who enrol.
func newMux(ln net.Listener, addr net.Addr, conf *tls.Config, desk *enrolDesk, log *slog.Logger, protocols ...Protocol) *mux {
	ctx, cancel := context.WithCancel(context.Background())
	m := &mux{
		ln: ln, tls: conf, desk: desk, routes: make(map[Protocol]*route), log: log,
		quota: rate.NewLimiter(1, 20), ctx: ctx, cancel: cancel,
		strangers: make(map[net.Conn]struct{}), guests: accounts{open: make(map[string]*account)},
	}
	for _, p := range protocols {
		m.routes[p] = &route{addr: addr, conns: make(chan net.Conn, backlogMax), closed: make(chan struct{})}
	}
	m.done.Go(m.accept)
	return m
}

// close stops accepting, breaks what is unrouted, closes every route and waits.
func (m *mux) close() error {
	m.cancel()
	err := m.ln.Close()
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	m.mu.Lock()
	for c := range m.strangers {
		drop(c)
	}
	m.mu.Unlock()
	m.done.Wait()
	for _, r := range m.routes {
		r.shut()
	}
	return err
}

func (m *mux) accept() {
	var wait time.Duration
	for {
		conn, err := m.ln.Accept()
		if m.ctx.Err() != nil {
			if err == nil {
				drop(conn)
			}
			return
		}
		if err != nil { // out of file descriptors, most likely: it passes
			wait = min(max(2*wait, 5*time.Millisecond), acceptRetryMax)
			m.complain("cannot accept connections", "err", err, "retry_in", wait)
			sleep(m.ctx, wait)
			continue
		}
		wait = 0
		if !m.admit(conn) {
			m.complain("connection refused: too many that have not said what they are for", "peer", conn.RemoteAddr(), "max", strangersMax)
			drop(conn)
			continue
		}
		m.done.Go(func() {
			defer m.release(conn)
			m.introduce(conn)
		})
	}
}

// admit makes a connection a stranger. Once close has begun it refuses: close would miss the newcomer, and wait for it.
func (m *mux) admit(conn net.Conn) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ctx.Err() != nil || len(m.strangers) >= strangersMax {
		return false
	}
	m.strangers[conn] = struct{}{}
	return true
}

func (m *mux) release(conn net.Conn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.strangers, conn)
}

// introduce finds out who a stranger is and what it wants, and routes or closes the connection.
func (m *mux) introduce(raw net.Conn) {
	deadline := time.Now().Add(preambleTimeout)
	conn, proto, err := m.identify(raw, deadline)
	if e, ok := conn.(*enrolling); err == nil && ok {
		m.enrol(e)
		return
	}
	if err == nil {
		err = m.routes[proto].put(m.ctx, conn, time.Until(deadline))
	}
	if err != nil {
		m.complain("connection closed", "peer", raw.RemoteAddr(), "err", err)
		if _, ok := errors.AsType[*answeredError](err); ok {
			linger(raw)
		}
		drop(conn)
	}
}

// enrol serves a stranger that stays one, and ends its connection.
func (m *mux) enrol(conn *enrolling) {
	if err := m.desk.serve(m.ctx, conn); err != nil {
		m.complain("no new machine let in", "peer", conn.raw.RemoteAddr(), "err", err)
	}
	linger(conn.raw)
	drop(conn)
}

// identify does the listener's half of the handshake, of TLS first, by deadline. It returns a connection to close with an
// error too.
func (m *mux) identify(raw net.Conn, deadline time.Time) (net.Conn, Protocol, error) {
	if err := raw.SetDeadline(deadline); err != nil {
		return raw, 0, err
	}
	conn, peer, err := m.secure(raw)
	if err != nil {
		return raw, 0, err
	}
	judge := func(p Protocol) (byte, error) { return m.judge(p, peer) }
	_, stranger := conn.(*enrolling)
	if stranger {
		judge = m.judgeEnrolling
	}
	var g *guest
	proto, err := welcome(conn, func(p Protocol) (byte, error) {
		status, err := judge(p)
		if err != nil || stranger {
			return status, err
		}
		if g, err = m.guests.enter(conn, peer, p); err != nil {
			return statusBusy, err
		}
		return statusOK, nil
	})
	if g != nil {
		conn = g
	}
	if errors.Is(err, errSpeaksTLS) {
		err = answer(raw, statusPlain, err)
	}
	if err == nil && !stranger { // which keeps its deadline
		err = raw.SetDeadline(time.Time{})
	}
	if tcp, ok := raw.(*net.TCPConn); ok && err == nil {
		err = tune(tcp, proto)
	}
	return conn, proto, err
}

// judge says whether a protocol is served, and to peer.
func (m *mux) judge(p Protocol, peer *pki.Peer) (status byte, err error) {
	if r := m.routes[p]; r == nil || r.isClosed() {
		return statusProtocol, fmt.Errorf("it asks for %s, which is not served here: %w", p, fs.ErrNotSupported)
	}
	if err := maySpeak(peer, p); err != nil {
		return statusRole, err
	}
	return statusOK, nil
}

// judgeEnrolling is judge for a peer that has shown no certificate.
func (m *mux) judgeEnrolling(p Protocol) (status byte, err error) {
	if p != ProtocolEnrol {
		return statusRole, fmt.Errorf("it asks for %s without a certificate: %w", p, fs.ErrPermission)
	}
	if m.desk == nil {
		return statusProtocol, fmt.Errorf("it asks to enrol, which is not served here: %w", fs.ErrNotSupported)
	}
	return statusOK, nil
}

// complain logs at most one line a second in the long run, and none while closing.
func (m *mux) complain(msg string, args ...any) {
	if m.ctx.Err() == nil && m.quota.Allow() {
		m.log.Warn(msg, args...)
	}
}

// route is the net.Listener of one protocol.
type route struct {
	addr   net.Addr
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (r *route) Accept() (net.Conn, error) {
	select {
	case <-r.closed:
		return nil, net.ErrClosed
	default:
	}
	select {
	case c := <-r.conns:
		return c, nil
	case <-r.closed:
		return nil, net.ErrClosed
	}
}

// Close ends this protocol only; the port stays open for the others. Connections already accepted are the acceptor's.
func (r *route) Close() error {
	r.shut()
	return nil
}

func (r *route) Addr() net.Addr { return r.addr }

func (r *route) isClosed() bool {
	select {
	case <-r.closed:
		return true
	default:
		return false
	}
}

func (r *route) shut() {
	r.once.Do(func() { close(r.closed) })
	for {
		select {
		case c := <-r.conns:
			drop(c)
		default:
			return
		}
	}
}

// put queues conn for Accept. A connection that slips in while the route is being shut is closed like the rest: put
// looks again after queueing.
func (r *route) put(ctx context.Context, conn net.Conn, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case r.conns <- conn:
		if r.isClosed() {
			r.shut()
		}
		return nil
	case <-r.closed:
		return net.ErrClosed
	case <-ctx.Done():
		return net.ErrClosed
	case <-timer.C:
		return errors.Join(errors.New("the server does not accept connections; it is overloaded or stuck"), fs.ErrTimeout)
	}
}

// drop closes a connection that carries nothing anybody waits for.
func drop(c net.Conn) { _ = c.Close() }

// sleep waits for d or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
