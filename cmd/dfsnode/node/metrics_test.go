package node

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"

	"dfs/fs"
)

func TestFollowerLag_IsWhatTheLeaderKnows(t *testing.T) {
	s := &fs.RaftStatus{Node: "a", Leader: "a", Last: 100, Servers: []fs.RaftServer{{ID: "a", Last: 100}, {ID: "b", Last: 40, ContactMillis: 20},
		{ID: "ahead", Last: 101, ContactMillis: 20}, {ID: "silent", Last: 7, ContactMillis: 60_000}, {ID: "unknown", ContactMillis: -1}}}
	if got, want := followerLags(s), map[fs.NodeID]uint64{"b": 60, "ahead": 0}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	s.Leader = "b"
	if got := followerLags(s); len(got) != 0 {
		t.Errorf("a follower tells %v", got)
	}
}

func TestStatusOverHTTP_SaysWhatTheNodeHasDone(t *testing.T) {
	n, _ := tlsNode(t, false)
	n.measures.rpc.ops.Add(7)
	answer := httptest.NewRecorder()
	n.status(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/status", nil))
	s := fs.Status{}
	if err := json.Unmarshal(answer.Body.Bytes(), &s); err != nil || s.Node != "n1" || s.Activity.Ops != 7 {
		t.Errorf("%v: %s", err, answer.Body)
	}
}
