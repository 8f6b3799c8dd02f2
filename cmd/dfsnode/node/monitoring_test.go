package node

import (
	"encoding/json"
	"log/slog"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.yaml.in/yaml/v3"

	"dfs/cmd/dfsmount/fusemetrics"
	"dfs/fs/fusefs"
)

// known are the metrics that a node and a mount have, each with its labels.
func known(t *testing.T) map[string][]string {
	t.Helper()
	n := &Node{measures: newMeasures(slog.New(slog.DiscardHandler))}
	names := map[string][]string{"up": {"job", "instance"}} // Prometheus's own
	for _, r := range []*prometheus.Registry{n.registry(), fusemetrics.NewRegistry("v", func() fusefs.Stats { return fusefs.Stats{} })} {
		descs := make(chan *prometheus.Desc)
		go func() {
			defer close(descs)
			r.Describe(descs)
		}()
		fields := regexp.MustCompile(`fqName: "([^"]+)", help: "(.*)", .*constLabels: {(.*)}, variableLabels: {([^}]*)}`)
		for d := range descs {
			f := fields.FindStringSubmatch(d.String())
			if f == nil {
				t.Fatalf("cannot read %s", d)
			}
			labels := []string{"instance", "job", "le"}
			for label := range strings.SplitSeq(f[3]+","+f[4], ",") {
				labels = append(labels, strings.SplitN(label, "=", 2)[0])
			}
			names[f[1]] = labels
		}
	}
	return names
}

func TestMetricNames_KeepTheRules(t *testing.T) {
	for name, labels := range known(t) {
		if name == "up" || strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_") {
			continue
		}
		if !regexp.MustCompile(`^dfs_[a-z_]+$`).MatchString(name) {
			t.Errorf("%s does not begin with dfs_", name)
		}
		for _, unit := range []string{"_ms", "_millis", "_kb", "_mb", "_percent", "_nanos"} {
			if strings.Contains(name, unit) {
				t.Errorf("%s is not in a base unit", name)
			}
		}
		for _, label := range []string{"path", "ino", "name", "session", "mount"} {
			if slices.Contains(labels, label) {
				t.Errorf("%s has the label %s: the series are not bounded", name, label)
			}
		}
	}
}

var (
	metricName = regexp.MustCompile(`\b(dfs_[a-z_]+|up)\b`)
	labelName  = regexp.MustCompile(`(?:by \(([a-z_, ]+)\)|{([a-z_]+)[=!]|\{\{ ?(?:\$labels\.)?([a-z]+) ?\}\})`)
)

// check reports what an expression, with the texts around it, names and nobody has.
func check(names map[string][]string, expr string, texts ...string) (bad []string) {
	var labels []string
	used := metricName.FindAllString(expr, -1)
	for _, name := range used {
		base := name
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			if cut, ok := strings.CutSuffix(name, suffix); ok && strings.HasSuffix(cut, "_seconds") {
				base = cut
			}
		}
		if names[base] == nil {
			bad = append(bad, name)
		}
		labels = append(labels, names[base]...)
	}
	if len(used) == 0 {
		bad = append(bad, "no metric in "+expr)
	}
	for _, m := range labelName.FindAllStringSubmatch(expr+strings.Join(texts, " "), -1) {
		for label := range strings.SplitSeq(m[1]+m[2]+m[3], ",") {
			if label = strings.TrimSpace(label); !slices.Contains(labels, label) {
				bad = append(bad, "label "+label)
			}
		}
	}
	return bad
}

func TestAlertRules_NameMetricsThatExist(t *testing.T) {
	data, err := os.ReadFile("../monitoring/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Labels      map[string]string
				Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(data, &rules); err != nil {
		t.Fatal(err)
	}
	names, count := known(t), 0
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			count++
			texts := slices.Collect(maps.Values(r.Annotations))
			for _, bad := range check(names, r.Expr, strings.ReplaceAll(strings.Join(texts, " "), "{{ $value }}", "")) {
				t.Errorf("%s: there is no %s", r.Alert, bad)
			}
			if r.Labels["severity"] == "" || r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
				t.Errorf("%s lacks a severity, a summary or a description", r.Alert)
			}
		}
	}
	if count < 10 {
		t.Errorf("%d rules only", count)
	}
}

func TestBoard_NamesMetricsThatExist(t *testing.T) {
	data, err := os.ReadFile("../monitoring/board.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr, LegendFormat string }
		}
	}
	if err := json.Unmarshal(data, &board); err != nil {
		t.Fatal(err)
	}
	names, count := known(t), 0
	for _, p := range board.Panels {
		for _, target := range p.Targets {
			count++
			for _, bad := range check(names, target.Expr, target.LegendFormat) {
				t.Errorf("%s: there is no %s", p.Title, bad)
			}
		}
	}
	if count < 15 {
		t.Errorf("%d queries only", count)
	}
}

func TestMonitoringCheck_Bites(t *testing.T) {
	names := known(t)
	for expr, want := range map[string]int{
		"dfs_raft_term": 0, "dfs_no_such": 1, "rate(dfs_rpc_seconds_count[5m])": 0, "dfs_raft_term_count": 1, `sum by (operation) (dfs_rpc_errors_total)`: 0,
		`sum by (path) (dfs_rpc_errors_total)`: 1, `dfs_rpc_errors_total{kind="x"}`: 1, "vector(1)": 1,
	} {
		if bad := check(names, expr); len(bad) != want {
			t.Errorf("%s: %v", expr, bad)
		}
	}
	if bad := check(names, "dfs_raft_term", "{{operation}} {{ $labels.instance }}"); len(bad) != 1 {
		t.Error(bad)
	}
}
