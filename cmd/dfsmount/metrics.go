package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"

	"dfs/cmd/dfsmount/fusemetrics"
	"dfs/cmd/internal/config"
	"dfs/cmd/internal/httpport"
	"dfs/cmd/internal/metrics"
	"dfs/cmd/internal/version"
	"dfs/fs/fusefs"
)

// serveMetrics serves what --metrics asks for, until stop is called. Without it nothing is served.
func (m *mounter) serveMetrics(ctx context.Context, stats func() fusefs.Stats, log *slog.Logger) (stop func() error, err error) {
	if m.Metrics == "" {
		return func() error { return nil }, nil
	}
	host, port, err := net.SplitHostPort(m.Metrics)
	if err != nil {
		return nil, fmt.Errorf("%w: --metrics %q: want HOST:PORT or :PORT", config.ErrUsage, m.Metrics)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	// A mount that answers is ready: with the cluster gone its calls fail, which the nodes' metrics tell of.
	ready := func(context.Context) error { return nil }
	s, err := httpport.Serve(ctx, httpport.Config{
		Addr: net.JoinHostPort(host, port), Flag: "--metrics", Insecure: m.Insecure, Timeout: metrics.ServeMax, Logger: log,
		Handler: metrics.Handler(fusemetrics.NewRegistry(version.String(), stats), ready),
		Failed:  func(err error) { log.Error("no more metrics are served", "err", err) },
	})
	if err != nil {
		return nil, err
	}
	log.Info("serving metrics", "addr", s.Addr())
	return s.Close, nil
}
