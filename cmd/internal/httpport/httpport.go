// Package httpport serves HTTP on a port of a process: it listens under the rule of such ports (plaintext beyond loopback only
// if that is allowed, or mutual TLS), and serves in a goroutine of its own until Close. A client that is slow to say what it
// wants, or says nothing between two requests, is cut off; of what comes after a request's header see Config.Timeout.
package httpport

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"dfs/cluster"
	"dfs/cluster/pki"
)

// Config says what is served where.
type Config struct {
	Addr     string           // host:port
	Flag     string           // what an error tells the operator to change
	Insecure bool             // plaintext beyond loopback is allowed
	TLS      *pki.Credentials // nil: plaintext
	// Admit may refuse the address (IP:port) that was bound. nil: all are admitted.
	Admit   func(bound string) error
	Handler http.Handler
	Timeout time.Duration // of a request and its answer; 0: the handler takes care of slow clients
	Failed  func(error)   // is called, once, if serving ends by itself
	Logger  *slog.Logger
}

// Server serves until Close.
type Server struct {
	http    *http.Server
	addr    string
	stopped chan struct{}
}

// Serve opens the port and starts to serve.
func Serve(ctx context.Context, cfg Config) (*Server, error) {
	ln, err := cluster.ListenHTTP(ctx, cfg.Addr, cfg.Insecure, cfg.TLS, cfg.Flag, cfg.Logger)
	if err != nil {
		return nil, err
	}
	if cfg.Admit != nil {
		if err := cfg.Admit(ln.Addr().String()); err != nil {
			return nil, errors.Join(err, ln.Close())
		}
	}
	s := &Server{addr: ln.Addr().String(), stopped: make(chan struct{}), http: cluster.HTTPServer(cfg.Handler, cfg.Logger)}
	s.http.ReadTimeout, s.http.WriteTimeout = cfg.Timeout, cfg.Timeout
	go func() {
		defer close(s.stopped)
		if err := s.http.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			cfg.Failed(err)
		}
	}()
	return s, nil
}

// Addr is the host:port that is listened on.
func (s *Server) Addr() string { return s.addr }

// Close ends all connections, and waits for the server's goroutine.
func (s *Server) Close() error {
	err := s.http.Close()
	<-s.stopped
	return err
}
