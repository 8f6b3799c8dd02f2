package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"dfs/fs"
)

func TestTop_ShowsRatesBetweenTwoLooks(t *testing.T) {
	began := time.Now()
	last := &look{at: began, status: healthy(), nodes: []nodeAnswer{
		{ID: "a", Status: &fs.Status{Activity: fs.Activity{Ops: 100, Errors: 1, BusyNanos: 1e9, ReadBytes: 0, WriteBytes: 1 << 20}}},
		{ID: "b", Err: errors.New("refused")}, {ID: "c", Status: &fs.Status{Activity: fs.Activity{Ops: 500}}}}}
	next := &look{at: began.Add(2 * time.Second), status: healthy(), nodes: []nodeAnswer{
		{ID: "a", Status: &fs.Status{Activity: fs.Activity{Ops: 300, Errors: 3, BusyNanos: 2e9, ReadBytes: 4 << 20, WriteBytes: 1 << 20, InFlight: 7}}},
		{ID: "b", Status: &fs.Status{}}, {ID: "c", Status: &fs.Status{Activity: fs.Activity{Ops: 20}}}}}
	last.status.Sessions[0].Activity = fs.Activity{Ops: 10, BusyNanos: 10e6}
	next.status.Sessions[0].Activity = fs.Activity{Ops: 60, BusyNanos: 60e6}
	next.status.Sessions = append(next.status.Sessions, fs.SessionStatus{Session: fs.Session{ID: 8}, Mount: fs.Mount{Host: "h", Path: "/new"}, Activity: fs.Activity{Ops: 9}})
	out := &strings.Builder{}
	if err := (&top{}).show(out, compare(last, next)); err != nil {
		t.Fatal(err)
	}
	for first, wants := range map[string][]string{
		"cluster": {"c1", "over 2.0s"}, "a": {"100.0", "1.0", "5.00 ms", "7", "2.0 MiB", "0 B"}, "b": {"-"}, "c": {"-"},
		"m:/mnt/x": {"25.0", "0.0", "1.00 ms"}, "h:/new": {"-"},
	} {
		for _, want := range wants {
			if l := line(t, out.String(), first); !strings.Contains(l, want) {
				t.Errorf("the line of %s does not say %q: %s", first, want, l)
			}
		}
	}
	if strings.Contains(out.String(), "NO QUORUM") {
		t.Error(out)
	}
	next.status.Quorum = false
	out.Reset()
	if err := (&top{}).show(out, compare(last, next)); err != nil || !strings.Contains(out.String(), "NO QUORUM") {
		t.Error(out, err)
	}
}

func TestTopOfANewLeader_DoesNotTakeAMountsPastForItsPresent(t *testing.T) {
	last, next := &look{status: healthy()}, &look{at: time.Time{}.Add(time.Second), status: healthy()}
	next.status.Sessions[0].Activity = fs.Activity{Ops: 1 << 40}
	if f := compare(last, next); f.Mounts[0].Known {
		t.Errorf("%+v", f.Mounts[0])
	}
}

func TestTopWithoutLeader_KnowsNothingOfMounts(t *testing.T) {
	last, next := &look{status: healthy()}, &look{at: time.Time{}.Add(time.Second), status: healthy()}
	last.status.Sessions[0].Activity = fs.Activity{Ops: 1}
	next.status.Sessions[0].Activity = fs.Activity{Ops: 2}
	next.status.Sessions[0].IdleMillis = -1
	if f := compare(last, next); f.Mounts[0].Known {
		t.Errorf("%+v", f.Mounts[0])
	}
}
