package main

import (
	"strings"
	"testing"

	"dfs/fs"
)

func TestJSON_HasListsAndWords(t *testing.T) {
	for name, c := range map[string]struct {
		v     any
		wants []string
	}{
		"a list":   {[]fs.TxStatus(nil), []string{"[]"}},
		"a status": {&fs.Status{Nodes: []fs.NodeStatus{{NodeInfo: fs.NodeInfo{State: fs.NodeSuspect}}}}, []string{`"Sessions": []`, `"State": "suspect"`}},
		"within":   {[]fs.TxStatus{{}}, []string{`"Ops": []`, `"Blobs": []`}},
		"a flow":   {&flow{}, []string{`"Nodes": []`, `"Mounts": []`}},
	} {
		out := &strings.Builder{}
		if err := writeJSON(out, c.v); err != nil {
			t.Fatal(err)
		}
		for _, want := range c.wants {
			if !strings.Contains(out.String(), want) || strings.Contains(out.String(), "null") {
				t.Errorf("%s lacks %s:\n%s", name, want, out)
			}
		}
	}
}
