package cluster

import (
	"context"
	"crypto/tls"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"dfs/cluster/pki"
)

// ListenHTTP opens a port for the protocols that outsiders speak, status pages and metrics. With TLS they must show a
// certificate too, of any role, and ask for one of the hosts in the node's; without, the plaintext policy holds. flag is
// what an error tells the operator to change; the errors are those of Listen. Connections are bounded, in all and from one
// address; log, which may be nil, hears of those that are refused.
func ListenHTTP(ctx context.Context, addr string, insecure bool, credentials *pki.Credentials, flag string, log *slog.Logger) (net.Listener, error) {
	ln, err := listenTCP(ctx, addr, insecure || credentials != nil, flag)
	if err != nil {
		return nil, err
	}
	ln = &crowd{Listener: ln, log: logger(log), quota: rate.NewLimiter(1, 20), from: make(map[string]int)}
	if credentials == nil {
		return ln, nil
	}
	return tls.NewListener(ln, credentials.Server("http/1.1")), nil
}

// Bounds of a port for HTTP.
const (
	httpConnsMax   = 1024
	httpPeerMax    = 512 // from one address
	httpHeadersMax = 64 << 10
	httpHeaderTime = 5 * time.Second // the TLS handshake is bounded by it, too
	httpIdleTime   = time.Minute
)

// HTTPServer is a server for what [ListenHTTP] opens, with bounds of what a client may send before its handler is called. What
// comes after is for the handler to bound.
func HTTPServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{Handler: h, ReadHeaderTimeout: httpHeaderTime, IdleTimeout: httpIdleTime, MaxHeaderBytes: httpHeadersMax, ErrorLog: HTTPLog(log)}
}

// crowd is a listener that accepts so many connections and no more; the others are closed.
type crowd struct {
	net.Listener
	log   *slog.Logger
	quota *rate.Limiter // of log lines

	mu   sync.Mutex
	all  int
	from map[string]int // by address
}

// Accept implements net.Listener.
func (l *crowd) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		host := hostOf(conn.RemoteAddr())
		if l.enter(host) {
			return &oneOfMany{Conn: conn, leave: sync.OnceFunc(func() { l.leave(host) })}, nil
		}
		if l.quota.Allow() {
			l.log.Warn("HTTP connection refused: too many are open", "peer", conn.RemoteAddr(), "max", httpConnsMax, "max_from_address", httpPeerMax)
		}
		drop(conn)
	}
}

func (l *crowd) enter(host string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all >= httpConnsMax || l.from[host] >= httpPeerMax {
		return false
	}
	l.all++
	l.from[host]++
	return true
}

func (l *crowd) leave(host string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all--
	if l.from[host]--; l.from[host] == 0 {
		delete(l.from, host)
	}
}

// oneOfMany is a connection that a crowd counts.
type oneOfMany struct {
	net.Conn
	leave func()
}

func (c *oneOfMany) Close() error {
	c.leave()
	return c.Conn.Close()
}

// HTTPLog is an http.Server's ErrorLog: it says why strangers were refused, at most once a second in the long run.
func HTTPLog(l *slog.Logger) *log.Logger {
	return log.New(&httpWriter{log: logger(l), quota: rate.NewLimiter(1, 20)}, "", 0)
}

type httpWriter struct {
	log   *slog.Logger
	quota *rate.Limiter
}

func (w *httpWriter) Write(line []byte) (int, error) {
	if w.quota.Allow() {
		w.log.Warn(strings.TrimPrefix(strings.TrimSpace(string(line)), "http: "), "component", "http")
	}
	return len(line), nil
}
