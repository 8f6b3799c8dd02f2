package node

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"dfs/cluster/pki"
	"dfs/cmd/internal/httpport"
	"dfs/cmd/internal/metrics"
	"dfs/fs"
)

const statusTimeout = 3 * time.Second

// openHTTP starts the servers of files and status, and of metrics. They answer while the rest is still coming up.
func (n *Node) openHTTP(ctx context.Context) error {
	status := http.NewServeMux()
	status.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { writeText(w, http.StatusOK, "ok\n") })
	status.HandleFunc("GET /readyz", n.readyz)
	status.HandleFunc("GET /v1/status", n.status)
	files, err := n.restFront()
	if err != nil {
		return err
	}
	err = n.servePort(ctx, "HTTP", httpport.Config{
		Addr: n.addrs.http, Flag: "--http", Admit: n.admitFiles, Handler: forMounts(files.Before(status)), // which knows slow clients
	})
	if err != nil {
		return err
	}
	return n.servePort(ctx, "metrics", httpport.Config{
		Addr: n.addrs.metrics, Flag: "--metrics", Timeout: metrics.ServeMax, Handler: n.metricsHandler(),
	})
}

// servePort serves on a port, if there is an address.
func (n *Node) servePort(ctx context.Context, name string, cfg httpport.Config) error {
	if cfg.Addr == "" {
		return nil
	}
	cfg.Insecure, cfg.TLS, cfg.Logger = n.cfg.Insecure, n.tls, n.log
	cfg.Failed = func(err error) { n.fail(fmt.Errorf("serve %s: %w", name, err)) }
	s, err := httpport.Serve(ctx, cfg)
	if err != nil {
		return err
	}
	n.onClose(name+" server", s.Close)
	return nil
}

// opened reports whether Open has come far enough for the metadata to be asked.
func (n *Node) opened() bool { return n.ringNow.Load() != nil }

func (n *Node) ask(ctx context.Context) (*fs.Status, error) {
	if !n.opened() {
		return nil, fmt.Errorf("the node is starting: %w", fs.ErrUnavailable)
	}
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	return n.Admin().Status(ctx)
}

func (n *Node) readyz(w http.ResponseWriter, r *http.Request) {
	if err := n.ready(r.Context()); err != nil {
		writeText(w, http.StatusServiceUnavailable, err.Error()+"\n")
		return
	}
	writeText(w, http.StatusOK, "ok\n")
}

// status shows what a call of Status by the same certificate does.
func (n *Node) status(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	if r.TLS != nil {
		peer, err := pki.PeerOf(*r.TLS)
		if err != nil {
			forbid(w, "a certificate with a role is wanted")
			return
		}
		ctx = fs.WithCaller(ctx, fs.Caller{Owner: peer.Owner()})
	}
	s, err := n.ask(ctx)
	if err != nil {
		writeText(w, http.StatusServiceUnavailable, err.Error()+"\n")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(s) // a client that has gone needs no answer
}

func writeText(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = w.Write([]byte(text)) // a client that has gone needs no answer
}
