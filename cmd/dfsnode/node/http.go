package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"dfs/cluster"
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
	if err := n.serveHTTP(ctx, "HTTP", n.addrs.http, "--http", n.admitFiles, forMounts(files.Before(status))); err != nil {
		return err
	}
	return n.serveHTTP(ctx, "metrics", n.addrs.metrics, "--metrics", func(string) error { return nil }, n.metricsHandler())
}

// serveHTTP serves on an address; admit may refuse the one that was bound.
func (n *Node) serveHTTP(ctx context.Context, name, addr, flag string, admit func(bound string) error, handler http.Handler) error {
	if addr == "" {
		return nil
	}
	ln, err := cluster.ListenHTTP(ctx, addr, n.cfg.Insecure, n.tls, flag, n.log)
	if err != nil {
		return err
	}
	if err := admit(ln.Addr().String()); err != nil {
		return errors.Join(err, ln.Close())
	}
	srv := cluster.HTTPServer(handler, n.log)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			n.fail(fmt.Errorf("serve %s: %w", name, err))
		}
	}()
	n.onClose(name+" server", func() error {
		err := srv.Close()
		<-stopped
		return err
	})
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
	return n.meta.Status(ctx)
}

func (n *Node) readyz(w http.ResponseWriter, r *http.Request) {
	if err := n.ready(r.Context()); err != nil {
		writeText(w, http.StatusServiceUnavailable, err.Error()+"\n")
		return
	}
	writeText(w, http.StatusOK, "ok\n")
}

func (n *Node) status(w http.ResponseWriter, r *http.Request) {
	s, err := n.ask(r.Context())
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
