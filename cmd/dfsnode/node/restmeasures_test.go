package node

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"dfs/fs"
	"dfs/fs/rest"
)

func TestRequestsForFiles_AreCountedByKind(t *testing.T) {
	m, r := newRESTMeasures(), prometheus.NewRegistry()
	m.register(r)
	m.observe(rest.Done{Operation: "put", Took: time.Second, Written: 10})
	m.observe(rest.Done{Operation: "get", Took: time.Second, Read: 7, Code: "aborted"})
	m.observe(rest.Done{Operation: "get", Took: time.Second, Code: "not_found"})
	if got, want := m.activity(), (fs.Activity{Ops: 3, Errors: 2, BusyNanos: 3e9, ReadBytes: 7, WriteBytes: 10}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	series := map[string]int{}
	for _, f := range families {
		series[f.GetName()] = len(f.GetMetric())
	}
	for name, want := range map[string]int{"dfs_rest_request_seconds": 2, "dfs_rest_errors_total": 2, "dfs_rest_data_bytes_total": 2} {
		if series[name] != want {
			t.Errorf("%s: %d series, want %d", name, series[name], want)
		}
	}
}
