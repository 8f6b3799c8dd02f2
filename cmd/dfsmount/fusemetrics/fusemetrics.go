// Package fusemetrics turns what a mount counts into metrics.
package fusemetrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"dfs/cmd/internal/metrics"
	"dfs/fs/fusefs"
)

// NewRegistry makes the registry of a mount that counts what stats says.
func NewRegistry(version string, stats func() fusefs.Stats) *prometheus.Registry {
	r := metrics.NewRegistry(version)
	r.MustRegister(newFuseCollector(stats))
	return r
}

// fuseCollector reads the front's counters when it is scraped.
type fuseCollector struct {
	stats                                                  func() fusefs.Stats
	seconds, failed, inFlight                              *prometheus.Desc // by operation
	read, written, files, dirs, panics, aborted, uncovered *prometheus.Desc
}

func newFuseCollector(stats func() fusefs.Stats) *fuseCollector {
	op := []string{"operation"}
	return &fuseCollector{
		stats:     stats,
		seconds:   prometheus.NewDesc("dfs_fuse_request_seconds", "Time to answer a kernel request, by kind.", op, nil),
		failed:    prometheus.NewDesc("dfs_fuse_request_errors_total", "Kernel requests answered with an errno, \"no such file\" included, by kind.", op, nil),
		inFlight:  prometheus.NewDesc("dfs_fuse_requests_in_flight", "Kernel requests being answered, by kind.", op, nil),
		read:      prometheus.NewDesc("dfs_fuse_read_bytes_total", "File data given to the kernel.", nil, nil),
		written:   prometheus.NewDesc("dfs_fuse_written_bytes_total", "File data taken from the kernel.", nil, nil),
		files:     prometheus.NewDesc("dfs_fuse_open_files", "Open file handles.", nil, nil),
		dirs:      prometheus.NewDesc("dfs_fuse_open_directories", "Open directory handles.", nil, nil),
		panics:    prometheus.NewDesc("dfs_fuse_panics_total", "Calls that ended in a bug of ours.", nil, nil),
		aborted:   prometheus.NewDesc("dfs_fuse_interrupts_total", "Calls that a fatal signal ended early.", nil, nil),
		uncovered: prometheus.NewDesc("dfs_fuse_uncovered_pages_total", "Drops of pages that were read while no lease was to be had for them.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (c *fuseCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.seconds, c.failed, c.inFlight, c.read, c.written, c.files, c.dirs, c.panics, c.aborted, c.uncovered} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *fuseCollector) Collect(ch chan<- prometheus.Metric) {
	s := c.stats()
	bounds := fusefs.LatencyBounds()
	for i := range s.Ops {
		o := &s.Ops[i]
		cumulative, sum := map[float64]uint64{}, uint64(0)
		for b, bound := range bounds {
			sum += o.Buckets[b]
			cumulative[bound.Seconds()] = sum
		}
		name := o.Op.String()
		// A request may have been counted between two of these numbers: the total is never below its parts.
		ch <- prometheus.MustNewConstHistogram(c.seconds, max(o.Count, sum), o.Busy.Seconds(), cumulative, name)
		ch <- prometheus.MustNewConstMetric(c.failed, prometheus.CounterValue, float64(o.Errors), name)
		ch <- prometheus.MustNewConstMetric(c.inFlight, prometheus.GaugeValue, float64(o.InFlight), name)
	}
	counter := func(d *prometheus.Desc, v uint64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v))
	}
	gauge := func(d *prometheus.Desc, v int) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v))
	}
	counter(c.read, s.Read)
	counter(c.written, s.Written)
	counter(c.panics, s.Panics)
	counter(c.aborted, s.Interrupts)
	counter(c.uncovered, s.Uncovered)
	gauge(c.files, s.Files)
	gauge(c.dirs, s.Dirs)
}
