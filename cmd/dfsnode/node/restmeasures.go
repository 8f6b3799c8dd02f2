package node

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"dfs/cmd/internal/metrics"
	"dfs/fs"
	"dfs/fs/rest"
)

// restMeasures count the requests for files over HTTP.
type restMeasures struct {
	seconds *prometheus.HistogramVec
	errors  *prometheus.CounterVec
	bytes   *prometheus.CounterVec

	ops, failed, nanos, read, written atomic.Uint64
}

func newRESTMeasures() *restMeasures {
	return &restMeasures{
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "dfs_rest_request_seconds", Buckets: metrics.Seconds(),
			Help: "Time to answer an HTTP request for files, its body included, by kind."}, []string{"operation"}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "dfs_rest_errors_total",
			Help: "HTTP requests for files that failed, \"not_found\" included, by kind and by the code of the error."}, []string{"operation", "code"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "dfs_rest_data_bytes_total",
			Help: "Bytes of file content in requests (direction in) and answers (out)."}, []string{"direction"}),
	}
}

func (m *restMeasures) register(r prometheus.Registerer) {
	r.MustRegister(m.seconds, m.errors, m.bytes)
}

// observe is the front's Observe.
func (m *restMeasures) observe(d rest.Done) {
	m.seconds.WithLabelValues(d.Operation).Observe(d.Took.Seconds())
	m.bytes.WithLabelValues("in").Add(float64(d.Written))
	m.bytes.WithLabelValues("out").Add(float64(d.Read))
	m.ops.Add(1)
	m.nanos.Add(uint64(d.Took))
	m.read.Add(d.Read)
	m.written.Add(d.Written)
	if d.Code != "" {
		m.errors.WithLabelValues(d.Operation, d.Code).Inc()
		m.failed.Add(1)
	}
}

// activity is the sum over all requests: the front is a mount to the cluster, and tells as one what it does.
func (m *restMeasures) activity() fs.Activity {
	return fs.Activity{Ops: m.ops.Load(), Errors: m.failed.Load(), BusyNanos: m.nanos.Load(), ReadBytes: m.read.Load(), WriteBytes: m.written.Load()}
}
