package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"dfs/test/harness"
)

// spanCollector is an OpenTelemetry collector that keeps what it gets.
type spanCollector struct {
	mu    sync.Mutex
	spans map[string]*otlp.Span // by id
	of    map[string]string     // services, likewise
	text  string                // all of it, to look for what must not be there
}

func (c *spanCollector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var req collector.ExportTraceServiceRequest
	data, err := io.ReadAll(r.Body)
	if err == nil {
		err = proto.Unmarshal(data, &req)
	}
	if err != nil || r.URL.Path != "/v1/traces" {
		http.Error(w, "bad", http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text += string(data)
	for _, rs := range req.ResourceSpans {
		for _, ss := range rs.ScopeSpans {
			for _, s := range ss.Spans {
				c.spans[string(s.SpanId)] = s
				c.of[string(s.SpanId)] = rs.Resource.Attributes[0].Value.GetStringValue()
			}
		}
	}
}

// path names the spans from the root to s, each with its service.
func (c *spanCollector) path(s *otlp.Span) string {
	var names []string
	for s != nil {
		names = append([]string{c.of[string(s.SpanId)] + ":" + s.Name}, names...)
		if len(s.ParentSpanId) == 0 {
			return strings.Join(names, " > ")
		}
		s = c.spans[string(s.ParentSpanId)]
	}
	return "(incomplete) " + strings.Join(names, " > ")
}

// has reports whether a trace has paths that begin and end so, one for each.
func (c *spanCollector) has(begins string, ends ...string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	byTrace := map[string]map[string]bool{}
	var all []string
	for _, s := range c.spans {
		path := c.path(s)
		all = append(all, path)
		for _, end := range ends {
			if strings.HasPrefix(path, begins) && strings.HasSuffix(path, end) {
				id := string(s.TraceId)
				if byTrace[id] == nil {
					byTrace[id] = map[string]bool{}
				}
				byTrace[id][end] = true
			}
		}
	}
	for _, found := range byTrace {
		if len(found) == len(ends) {
			return nil
		}
	}
	return fmt.Errorf("no trace begins with %q and ends with all of %q:\n%s", begins, ends, strings.Join(all, "\n"))
}

func TestTrace_OfAnFsyncLeadsFromTheMountToTheLeaderAndTheDisks(t *testing.T) {
	t.Parallel()
	harness.NeedFUSE(t)
	c := &spanCollector{spans: map[string]*otlp.Span{}, of: map[string]string{}}
	srv := httptest.NewServer(c)
	defer srv.Close()
	cl := harness.StartCluster(t, 3, "--trace-endpoint", srv.URL)
	m := cl.MountWith([]string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + srv.URL}, "--trace-sample", "1")
	m.Sh(time.Minute, "dd if=/dev/zero of=secretname bs=1M count=1 conv=fsync status=none")
	harness.Eventually(t, 30*time.Second, func() error {
		return c.has("dfsmount:fsync > dfsmount:flush transaction > dfsmount:",
			"prepare > dfsmount:/dfs.blob.v1.Blobs/Stage > dfsnode:/dfs.blob.v1.Blobs/Stage",
			"decide > dfsmount:/dfs.meta.v1.Meta/Commit > dfsnode:/dfs.meta.v1.Meta/Commit > dfsnode:commit and apply")
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	if strings.Contains(c.text, "secretname") || !strings.Contains(c.text, "dfs.request") {
		t.Error("spans carry a file's name, or no request's id")
	}
}
