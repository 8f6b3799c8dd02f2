package cluster

import (
	"context"
	"crypto/tls"
	"log"
	"log/slog"
	"net"
	"strings"

	"golang.org/x/time/rate"

	"dfs/cluster/pki"
)

// ListenHTTP opens a port for the protocols that outsiders speak, status pages and metrics. With TLS they must show a
// certificate too, of any role, and ask for one of the hosts in the node's; without, the plaintext policy holds. flag is
// what an error tells the operator to change; the errors are those of Listen.
func ListenHTTP(ctx context.Context, addr string, insecure bool, credentials *pki.Credentials, flag string) (net.Listener, error) {
	if credentials == nil {
		return listenTCP(ctx, addr, insecure, flag)
	}
	ln, err := listenTCP(ctx, addr, true, flag)
	if err != nil {
		return nil, err
	}
	return tls.NewListener(ln, credentials.Server("http/1.1")), nil
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
