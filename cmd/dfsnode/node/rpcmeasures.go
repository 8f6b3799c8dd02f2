package node

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"dfs/cluster/rpcerr"
	"dfs/cmd/internal/metrics"
	"dfs/fs"
)

// rpcMeasures count the calls that this node answers, by service and method. Streams, which live as long as mounts do,
// are not timed.
type rpcMeasures struct {
	log     *slog.Logger
	seconds *prometheus.HistogramVec
	errors  *prometheus.CounterVec
	bytes   *prometheus.CounterVec

	ops, failed, nanos, read, written atomic.Uint64
	inFlight                          atomic.Int64
}

func newRPCMeasures(log *slog.Logger) *rpcMeasures {
	labels := []string{"service", "operation"}
	return &rpcMeasures{
		log: log,
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "dfs_rpc_seconds", Buckets: metrics.Seconds(),
			Help: "Time to answer a call, by service (meta, blobs, admin, peer) and kind."}, labels),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "dfs_rpc_errors_total",
			Help: "Calls answered with an error, \"no such file\" and \"not the leader\" included."}, labels),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "dfs_rpc_data_bytes_total",
			Help: "Bytes of file data in calls (direction in) and their answers (out)."}, []string{"direction"}),
	}
}

func (m *rpcMeasures) register(r prometheus.Registerer) { r.MustRegister(m.seconds, m.errors, m.bytes) }

// withData is a request or an answer that carries file data.
type withData interface{ GetData() []byte }

// unary counts a call.
func (m *rpcMeasures) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	service, operation := split(info.FullMethod)
	began := time.Now()
	if work(service) {
		m.inFlight.Add(1)
		defer m.inFlight.Add(-1)
	}
	rep, err := handler(ctx, req)
	took := time.Since(began)
	m.seconds.WithLabelValues(service, operation).Observe(took.Seconds())
	if work(service) {
		m.ops.Add(1)
		m.nanos.Add(uint64(took))
	}
	if err != nil {
		m.errors.WithLabelValues(service, operation).Inc()
		if work(service) {
			m.failed.Add(1)
		}
		m.report(ctx, service, operation, err)
		return rep, err
	}
	if service == "blobs" {
		m.written.Add(m.data(req, "in"))
		m.read.Add(m.data(rep, "out"))
	}
	return rep, nil
}

// work tells calls that are about files from those of operators and of nodes among themselves, which "dfs top" would else
// show itself with.
func work(service string) bool { return service == "meta" || service == "blobs" }

// report logs an error that is nobody's everyday business, with the id by which the caller logs it; the others at debug.
func (m *rpcMeasures) report(ctx context.Context, service, operation string, err error) {
	level := slog.LevelDebug
	switch fs.CodeOf(rpcerr.FromStatus(err)) {
	case fs.CodeInternal, fs.CodeCorrupt:
		if ctx.Err() == nil {
			level = slog.LevelError
		}
	}
	m.log.Log(ctx, level, "a call failed", "service", service, "operation", operation, "request", fs.RequestID(ctx), "err", err)
}

// data counts a message's file data.
func (m *rpcMeasures) data(msg any, direction string) uint64 {
	carrier, ok := msg.(withData)
	if !ok {
		return 0
	}
	n := len(carrier.GetData())
	m.bytes.WithLabelValues(direction).Add(float64(n))
	return uint64(n)
}

// activity is the sum over the calls that are about files.
func (m *rpcMeasures) activity() fs.Activity {
	return fs.Activity{Ops: m.ops.Load(), Errors: m.failed.Load(), BusyNanos: m.nanos.Load(), InFlight: uint64(max(0, m.inFlight.Load())),
		ReadBytes: m.read.Load(), WriteBytes: m.written.Load()}
}

// services are the words for gRPC services in labels; what is not in it is "other".
var services = map[string]string{"dfs.meta.v1.Meta": "meta", "dfs.meta.v1.Cluster": "admin", "dfs.blob.v1.Blobs": "blobs",
	"dfs.cluster.v1.Cluster": "peer", "grpc.health.v1.Health": "health"}

// split turns "/dfs.meta.v1.Meta/OpenSession" into "meta", "open_session".
func split(fullMethod string) (service, operation string) {
	name, method, _ := strings.Cut(strings.TrimPrefix(fullMethod, "/"), "/")
	service, ok := services[name]
	if !ok {
		service = "other"
	}
	out := &strings.Builder{}
	for i, r := range method {
		if unicode.IsUpper(r) && i > 0 {
			out.WriteByte('_')
		}
		out.WriteRune(unicode.ToLower(r))
	}
	return service, out.String()
}
