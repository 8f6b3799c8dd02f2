// Package tracing sends OpenTelemetry spans to a collector, where that is wanted.
package tracing

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"golang.org/x/time/rate"

	"dfs/cluster"
	"dfs/cmd/internal/config"
	"dfs/fs/spans"
)

const (
	closeMax   = 3 * time.Second  // for the last spans
	exportMax  = 10 * time.Second // for one batch; what does not fit into the queue meanwhile is dropped
	tracesPath = "/v1/traces"
)

// Open begins to send spans of a service to the collector that cfg names; without one the tracer is nil. close sends what is left.
func Open(cfg config.Trace, insecure bool, service, version string, log *slog.Logger) (t spans.Tracer, close func(), err error) {
	if cfg.Endpoint == "" {
		return nil, func() {}, nil
	}
	u, err := url.Parse(cfg.Endpoint)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: --trace-endpoint: %v", config.ErrUsage, err)
	}
	if u.Path = strings.TrimSuffix(u.Path, "/"); u.Path == "" {
		u.Path = tracesPath
	}
	client := cluster.HTTPClient(insecure || u.Scheme == "https", nil)
	exporter, err := otlptracehttp.New(context.Background(), otlptracehttp.WithEndpointURL(u.String()),
		otlptracehttp.WithHTTPClient(client), otlptracehttp.WithTimeout(exportMax))
	if err != nil {
		return nil, nil, fmt.Errorf("traces: %w", err)
	}
	quota := rate.NewLimiter(rate.Every(time.Minute), 1)
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		if quota.Allow() {
			log.Warn("traces are lost", "endpoint", u.Redacted(), "err", err)
		}
	}))
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(cfg.Sample))),
		sdktrace.WithResource(resource.NewSchemaless(attribute.String("service.name", service), attribute.String("service.version", version))))
	return provider.Tracer(spans.Name), func() {
		ctx, cancel := context.WithTimeout(context.Background(), closeMax)
		defer cancel()
		if err := provider.Shutdown(ctx); err != nil {
			log.Warn("the last traces are lost", "err", err)
		}
		client.CloseIdleConnections()
	}, nil
}
