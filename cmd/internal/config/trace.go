package config

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/pflag"
)

// Trace says where OpenTelemetry traces go.
type Trace struct {
	Endpoint string  // URL of a collector; empty: nowhere
	Sample   float64 // share of requests, 0 … 1
}

// otlpEndpoint is what OpenTelemetry's own programs are told by.
const otlpEndpoint = "OTEL_EXPORTER_OTLP_ENDPOINT="

func (t *Trace) register(flags *pflag.FlagSet) {
	flags.StringVar(&t.Endpoint, "trace-endpoint", "", "send OpenTelemetry traces to this collector, an OTLP/HTTP URL such as http://127.0.0.1:4318 (default: $OTEL_EXPORTER_OTLP_ENDPOINT, or none)")
	flags.Float64Var(&t.Sample, "trace-sample", 0.01, "share of requests that a trace is begun for, 0 to 1")
}

// FromEnv takes the endpoint from OpenTelemetry's own variable, if nothing else says one.
func (t *Trace) FromEnv(env []string) {
	for _, v := range env {
		if endpoint, ok := strings.CutPrefix(v, otlpEndpoint); ok && t.Endpoint == "" {
			t.Endpoint = endpoint
		}
	}
}

func (t *Trace) validate() error {
	if !(t.Sample >= 0 && t.Sample <= 1) { // NaN included
		return fmt.Errorf("%w: --trace-sample %v: want 0 to 1", ErrUsage, t.Sample)
	}
	if t.Endpoint == "" {
		return nil
	}
	if u, err := url.Parse(t.Endpoint); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("%w: --trace-endpoint %q: want http://HOST:PORT or https://HOST:PORT", ErrUsage, t.Endpoint)
	}
	return nil
}
