package main

import (
	"strings"
	"testing"

	"dfs/fs"
)

func TestRaftStatus_SaysWhatIsKnownAndWhatIsNot(t *testing.T) {
	s := &fs.RaftStatus{Node: "a", State: "leader", Leader: "a", Term: 4, Quorum: true, First: 3, Last: 20, Commit: 19, Applied: 18, Snapshot: 2,
		Servers: []fs.RaftServer{{ID: "a", Addr: "h:1", Voter: true, Last: 20, Applied: 18}, {ID: "b", Addr: "h:2", Voter: true, Last: 15, Applied: 14, ContactMillis: 60},
			{ID: "c", Addr: "h:3", ContactMillis: -1}}}
	out := &strings.Builder{}
	if err := writeRaft(out, s); err != nil {
		t.Fatal(err)
	}
	for first, wants := range map[string][]string{
		"node": {"a is leader in term 4"}, "log": {"3 to 20", "committed 19", "applied 18", "up to 2"},
		"a": {"leader", "20", "0", "now"}, "b": {"voter", "15", "5", "14", "0.1s ago"}, "c": {"learner", "?"},
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
	s.Quorum, s.Leader, s.State = false, "", "candidate"
	out.Reset()
	if err := writeRaft(out, s); err != nil || !strings.HasPrefix(out.String(), "! NO QUORUM") || !strings.Contains(out.String(), "leader none") {
		t.Error(out, err)
	}
}

func TestMountList_TellsWhatOnlyTheLeaderKnows(t *testing.T) {
	s := healthy()
	s.Sessions = append(s.Sessions, fs.SessionStatus{Session: fs.Session{ID: 8}, Mount: fs.Mount{Path: "/mnt/y"}, IdleMillis: -1})
	out := &strings.Builder{}
	if err := writeMountList(out, s); err != nil {
		t.Fatal(err)
	}
	if l := line(t, out.String(), "/mnt/x"); !strings.Contains(l, "0.9s ago") || !strings.Contains(l, "v1") {
		t.Error(l)
	}
	if l := line(t, out.String(), "/mnt/y"); strings.Count(l, "?") != 3 {
		t.Error(l)
	}
}

func TestExplanation_LeadsFromThePathToTheLog(t *testing.T) {
	e := &fs.Explanation{Path: "/d/f", Node: "a", Quorum: true, Index: 44, Attr: fs.Attr{Ino: 17, Type: fs.TypeRegular, Mode: 0o644, Size: 4196, Nlink: 1},
		Extents: []fs.Extent{{Off: 0, Len: 4096, Blob: fs.BlobID{Session: 3, Counter: 5}, BlobOff: 512}, {Off: 4096, Len: 100}},
		Blobs: []fs.BlobOrigin{{BlobInfo: fs.BlobInfo{ID: fs.BlobID{Session: 3, Counter: 5}, Length: 8192, Sum: 0xabcd, Replicas: []fs.NodeID{"a", "gone"}},
			Wanted: 3, LiveBytes: 4096, Tx: fs.TxID{Session: 3, Seq: 17}, Index: 40}},
		Nodes: []fs.NodeInfo{{ID: "a", Addr: "h:1", Zone: "r1", State: fs.NodeAlive, Load: fs.Load{DiskTotalBytes: 2 << 30, DiskFreeBytes: 1 << 30}}, {ID: "gone"}}}
	out := &strings.Builder{}
	if err := writeExplanation(out, e); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"/d/f: file, inode 17, as node a has it at log entry 44", "mode 0644", "blob 3-5 from 512", "the metadata (inline)",
		"came with transaction 3.17, log entry 40", "on a at h:1, zone r1, alive, 1.0 GiB free now", "on gone at -, zone -, unknown", "2 of 3 replicas, in 2 zones"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing:\n%s", want, out)
		}
	}
}
