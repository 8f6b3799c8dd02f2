package placement

import (
	"errors"
	"strings"
	"testing"
	"time"

	"dfs/fs"
)

func TestParseNodes_ReadsArraysAndLines(t *testing.T) {
	want := Candidate{
		NodeInfo: fs.NodeInfo{ID: "a", Zone: "z", State: fs.NodeAlive, Load: fs.Load{DiskTotalBytes: 100, DiskFreeBytes: 50, CPU: 0.5, Memory: 0.25, InFlight: 3}},
		Latency:  1500 * time.Microsecond,
	}
	a := `{"id":"a","zone":"z","disk_total":100,"disk_free":50,"cpu":0.5,"memory":0.25,"in_flight":3,"latency_ms":1.5}`
	for name, in := range map[string]string{
		"array": " \n[" + a + `, {"id":"b"}]` + "\n", "lines": a + "\n" + `{"id":"b"}` + "\n\n", "one line": a + ` {"id":"b"}`,
	} {
		got, err := ParseNodes(strings.NewReader(in))
		if err != nil || len(got) != 2 || got[0] != want || got[1].ID != "b" {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestParseNodes_SaysWhatIsWrongAndWhere(t *testing.T) {
	for in, text := range map[string]string{
		"":                              "empty",
		" \n":                           "empty",
		"[]":                            "no node",
		`{"id":"a"} {"cpu":0.1}`:        "node 2: it has no id",
		`{"id":"a","speed":1}`:          `node 1: json: unknown field "speed"`,
		`[{"id":"a"},{"id":"a"}]`:       `node 2: id "a" is there twice`,
		`{"id":"a","cpu":1.5}`:          "cpu and memory must be 0 … 1",
		`{"id":"a","memory":-1}`:        "cpu and memory must be 0 … 1",
		`{"id":"a","disk_free":1}`:      "more than disk_total",
		`{"id":"a","latency_ms":-1}`:    "latency_ms",
		`{"id":"a","in_flight":-1}`:     "in_flight",
		`[{"id":"a"}`:                   "nodes:",
		`[{"id":"a"}] x`:                "nodes:",
		`{"id":"a"}]`:                   "nodes:",
		`[{"id":"a"}][{"id":"b"}]`:      "follows",
		"id: a\n":                       "node 1",
		`{"id":"a","disk_total":"1GB"}`: "disk_total",
	} {
		got, err := ParseNodes(strings.NewReader(in))
		if !errors.Is(err, fs.ErrInvalid) || !strings.Contains(err.Error(), text) {
			t.Errorf("%q: %v, %v; want %q", in, got, err, text)
		}
	}
}

func TestShares_CountsEveryPickAndListsEveryNode(t *testing.T) {
	shares, err := Shares(Weighted{}, append(mixed(), node("z", state(fs.NodeDead))), 1000, 1)
	if err != nil {
		t.Fatal(err)
	}
	picks, sum := 0, 0.0
	for _, s := range shares {
		picks += s.Picks
		sum += s.Share
	}
	if picks != 1000 || sum < 0.999 || sum > 1.001 || len(shares) != 6 || shares[5] != (Share{ID: "z"}) {
		t.Errorf("got %+v", shares)
	}
	if _, err := Shares(Random{}, nil, 1, 1); !errors.Is(err, fs.ErrUnavailable) {
		t.Errorf("of nobody: %v", err)
	}
}

func FuzzParseNodes_NeverPanics(f *testing.F) {
	f.Add(`[{"id":"a"}]`)
	f.Add(`{"id":"a","cpu":1}{`)
	f.Fuzz(func(t *testing.T, in string) {
		nodes, err := ParseNodes(strings.NewReader(in))
		if err == nil {
			_, _ = Shares(Weighted{}, nodes, 3, 1) // it may find nobody fit; it must not panic
		}
	})
}
