package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"dfs/cluster"
	"dfs/fs"
)

const statusTimeout = 3 * time.Second

// openHTTP starts the status and metrics servers. They answer while the rest is still coming up.
func (n *Node) openHTTP(ctx context.Context) error {
	status := http.NewServeMux()
	status.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { writeText(w, http.StatusOK, "ok\n") })
	status.HandleFunc("GET /readyz", n.readyz)
	status.HandleFunc("GET /v1/status", n.status)
	if err := n.serveHTTP(ctx, "HTTP", n.addrs.http, "--http", status); err != nil {
		return err
	}
	metrics := http.NewServeMux()
	metrics.Handle("GET /metrics", promhttp.HandlerFor(n.registry(), promhttp.HandlerOpts{}))
	return n.serveHTTP(ctx, "metrics", n.addrs.metrics, "--metrics", metrics)
}

func (n *Node) serveHTTP(ctx context.Context, name, addr, flag string, handler http.Handler) error {
	if addr == "" {
		return nil
	}
	ln, err := cluster.ListenHTTP(ctx, addr, n.cfg.Insecure, n.tls, flag)
	if err != nil {
		return err
	}
	srv := &http.Server{
		Handler: handler, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, ErrorLog: cluster.HTTPLog(n.log),
	}
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
	s, err := n.ask(r.Context())
	switch {
	case err != nil:
		writeText(w, http.StatusServiceUnavailable, err.Error()+"\n")
	case s.Cluster == "":
		writeText(w, http.StatusServiceUnavailable, "this node belongs to no cluster yet\n")
	case !s.Quorum:
		writeText(w, http.StatusServiceUnavailable, "no quorum\n")
	default:
		writeText(w, http.StatusOK, "ok\n")
	}
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

// registry holds this node's metrics; several nodes in one process have one each.
func (n *Node) registry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "dfs_build_info", Help: "1, with the version as label."}, []string{"version"})
	build.WithLabelValues(n.deps.Version).Set(1)
	r.MustRegister(build)
	for _, g := range n.gauges() {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: g.name, Help: g.help}, func() float64 {
			if !n.opened() {
				return 0
			}
			return g.value()
		}))
	}
	return r
}

type gauge struct {
	name, help string
	value      func() float64
}

func (n *Node) gauges() []gauge {
	return []gauge{
		{"dfs_raft_applied_index", "Raft index that the local state has applied.", func() float64 { return float64(n.applied()) }},
		{"dfs_raft_is_leader", "1 while this node leads.", func() float64 { return flag(n.meta.IsLeader()) }},
		{"dfs_blob_requests_in_flight", "Blob requests being served.", func() float64 { return float64(n.inFlight()) }},
		{"dfs_blob_free_bytes", "Space that blobs may still take.", func() float64 { return float64(n.load().DiskFreeBytes) }},
		{"dfs_blob_total_bytes", "Space of the disk that blobs lie on.", func() float64 { return float64(n.load().DiskTotalBytes) }},
		{"dfs_blob_read_only", "1 while this node takes no new blobs.", func() float64 { return flag(n.load().ReadOnly) }},
		{"dfs_gossip_alive_nodes", "Nodes that gossip believes to be alive, this one included.", n.aliveNodes},
	}
}

func (n *Node) aliveNodes() float64 {
	alive := 0
	for _, m := range n.members() {
		if m.State == fs.NodeAlive {
			alive++
		}
	}
	return float64(alive)
}

func flag(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
