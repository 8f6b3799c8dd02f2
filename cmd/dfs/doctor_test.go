package main

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"

	"dfs/fs"
	"dfs/raftmeta/metarpc"
)

// healthy is a cluster of three with which nothing is wrong.
func healthy() *fs.Status {
	s := &fs.Status{Cluster: "c1", Node: "a", Leader: "a", Term: 3, Quorum: true, Applied: 10, Commit: 10, Replicas: 3, MinReplicas: 2, MinReplicasWanted: 2,
		Sessions: []fs.SessionStatus{{Session: fs.Session{ID: 7}, Mount: fs.Mount{Host: "m", Path: "/mnt/x", Version: "v1"}, IdleMillis: 900}}}
	for _, id := range []fs.NodeID{"a", "b", "c"} {
		s.Nodes = append(s.Nodes, fs.NodeStatus{NodeInfo: fs.NodeInfo{ID: id, Addr: "127.0.0.1:7400", State: fs.NodeAlive,
			Load: fs.Load{DiskTotalBytes: 100 << 30, DiskFreeBytes: 50 << 30}}, Voter: true, Member: true, Storing: true, Applied: 10, Version: "v1"})
	}
	return s
}

// sound is an examination that finds nothing.
func sound() *examination {
	x := &examination{Status: healthy(), Machine: &machine{OpenFiles: 1 << 20, DataDir: "/data", DataType: "ext4", FreeBytes: 50 << 30, Total: 100 << 30}}
	for i := range x.Status.Nodes {
		x.Nodes = append(x.Nodes, nodeAnswer{ID: x.Status.Nodes[i].ID, Addr: x.Status.Nodes[i].Addr, Status: x.Status, Took: time.Millisecond})
	}
	return x
}

func TestDoctor_FindsWhatIsWrongAndNothingElse(t *testing.T) {
	for name, c := range map[string]struct {
		harm  func(x *examination)
		wants []string // the findings, in order
		says  string
	}{
		"nothing":        {func(*examination) {}, nil, ""},
		"nobody answers": {func(x *examination) { x.Status, x.Nodes, x.Unreachable = nil, nil, errors.New("refused") }, []string{"unreachable"}, "refused"},
		"no cluster":     {func(x *examination) { x.Status.Cluster = "" }, []string{"no-cluster"}, "node a belongs to no cluster"},
		"no quorum":      {func(x *examination) { x.Status.Quorum = false }, []string{"no-quorum"}, "NO QUORUM"},
		"a node cut off": {func(x *examination) { s := *x.Status; s.Quorum = false; x.Nodes[1].Status = &s }, []string{"node-cut-off"}, "node b sees no quorum, though node a does"},
		"a long time-out": {func(x *examination) {
			x.Status.Sessions[0].TimeoutMillis, x.Status.Sessions[0].IdleMillis = 60_000, 20_000
		}, nil, ""},
		"a dead node":     {func(x *examination) { x.Status.Nodes[2].State = fs.NodeDead }, []string{"redundancy", "quorum-margin", "node-down"}, "dfs node remove c"},
		"it says no more": {func(x *examination) { x.Status.Nodes[2].State = fs.NodeDead; x.Nodes[2].Err = errors.New("refused") }, []string{"redundancy", "quorum-margin", "node-down"}, ""},
		"a suspect node":  {func(x *examination) { x.Status.Nodes[2].State = fs.NodeSuspect }, []string{"redundancy", "quorum-margin", "node-suspect"}, "NODE c"},
		"a silent node":   {func(x *examination) { x.Nodes[1].Err = errors.New("time-out") }, []string{"node-silent"}, "node b at 127.0.0.1:7400 does not answer: time-out"},
		"a lagging node": {func(x *examination) {
			x.Status.Commit, x.Status.Nodes[0].Applied, x.Status.Nodes[1].Applied = 5000, 5000, 5000
		}, []string{"node-lags"}, "NODE c LAGS: it has yet to apply 4990"},
		"unknown is no lag":  {func(x *examination) { x.Status.Commit, x.Status.Nodes[2].Applied = 10, 0 }, nil, ""},
		"a full disk":        {func(x *examination) { x.Status.Nodes[1].Load.ReadOnly = true }, []string{"disk-full"}, "DISK FULL on node b"},
		"a nearly full disk": {func(x *examination) { x.Status.Nodes[1].Load.DiskFreeBytes = 5 << 30 }, []string{"disk-nearly-full"}, "5% left"},
		"too few writable":   {func(x *examination) { x.Status.Nodes[1].Load.ReadOnly, x.Status.Nodes[2].Load.ReadOnly = true, true }, []string{"writes-fail", "disk-full", "disk-full"}, "WRITES OF FILE DATA FAIL"},
		"few storing nodes":  {func(x *examination) { x.Status.MinReplicas = 1 }, []string{"redundancy"}, "1 of 2 copies"},
		"two replicas":       {func(x *examination) { x.Status.Replicas = 2 }, []string{"redundancy"}, "BELOW THREE"},
		"a node of v2":       {func(x *examination) { x.Status.Nodes[1].Version = "v2" }, []string{"versions"}, "v1 on a, c, m:/mnt/x; v2 on b"},
		"a mount of v2":      {func(x *examination) { x.Status.Sessions[0].Mount.Version = "v2" }, []string{"versions"}, "v2 on m:/mnt/x"},
		"a silent mount":     {func(x *examination) { x.Status.Sessions[0].IdleMillis = 8000 }, []string{"mount-silent"}, "/mnt/x on m, session 7, for 8s"},
		"a node's own": {func(x *examination) {
			x.Status.Sessions[0].IdleMillis, x.Status.Sessions[0].Mount.Path = 8000, "rest of b"
		}, []string{"mount-silent"}, "rest of b on m"},
		"nobody can tell": {func(x *examination) { x.Status.Sessions[0].IdleMillis = -1 }, nil, ""},
		"repair debt":     {func(x *examination) { x.Status.Blobs.UnderReplicated = 5 }, []string{"under-replicated"}, "5 BLOBS LACK REPLICAS"},
		"lost replicas":   {func(x *examination) { x.Nodes[0].Status.Upkeep.Lost = 2; x.Nodes = x.Nodes[:1] }, []string{"replica-lost"}, "2 times"},
		"mended replicas": {func(x *examination) { x.Nodes[0].Status.Upkeep.Healed = 2; x.Nodes = x.Nodes[:1] }, []string{"replica-damaged"}, "2 replicas"},
		"clocks differ":   {func(x *examination) { x.Nodes[0].Offset, x.Nodes[2].Offset = time.Second, -2*time.Second }, []string{"clock-skew"}, "nodes c and a differ by 3s"},
		"all off alike": {func(x *examination) {
			x.Nodes[0].Offset, x.Nodes[1].Offset, x.Nodes[2].Offset = time.Hour, time.Hour, time.Hour
		}, nil, ""},
		"a slow answer":       {func(x *examination) { x.Nodes[0].Offset, x.Nodes[0].Took = 5*time.Second, 10*time.Second }, nil, ""},
		"no TLS":              {func(x *examination) { x.Insecure, x.Nodes[1].Addr = true, "10.0.0.2:7400" }, []string{"no-tls"}, "10.0.0.2"},
		"on loopback, no TLS": {func(x *examination) { x.Insecure = true }, nil, ""},
		"no FUSE":             {func(x *examination) { x.Machine.Device = "no such file" }, []string{"no-fuse"}, "no such file"},
		"few open files":      {func(x *examination) { x.Machine.OpenFiles = 1024 }, []string{"open-files"}, "1024"},
		"a dead mount":        {func(x *examination) { x.Machine.Dead = []string{"/mnt/y"} }, []string{"mount-dead"}, "/mnt/y"},
		"a hung mount":        {func(x *examination) { x.Machine.Hung = []string{"/mnt/z"} }, []string{"mount-hangs"}, "/mnt/z/.dfs/status"},
		"data in memory":      {func(x *examination) { x.Machine.DataType = "tmpfs" }, []string{"data-volatile"}, "power cut"},
		"data on NFS":         {func(x *examination) { x.Machine.DataType = "nfs" }, []string{"data-indirect"}, "nfs"},
		"no room":             {func(x *examination) { x.Machine.FreeBytes = 1 << 20 }, []string{"data-space"}, "1.0 MiB left of 100 GiB"},
		"no node here":        {func(x *examination) { x.Machine.DataDir, x.Machine.FreeBytes = "", 0 }, nil, ""},
	} {
		x := sound()
		c.harm(x)
		list := diagnose(x)
		var names []string
		out := &strings.Builder{}
		for i := range list {
			names = append(names, list[i].Name)
			out.WriteString(list[i].String())
			if f := &list[i]; f.Cause == "" || f.Remedy == "" || strings.Contains(f.Cause+f.Remedy, "\n") {
				t.Errorf("%s: not one line of cause and one of remedy: %+v", name, f)
			}
		}
		if !slices.Equal(names, c.wants) || !strings.Contains(out.String(), c.says) {
			t.Errorf("%s: found %v, want %v that say %q:\n%s", name, names, c.wants, c.says, out)
		}
	}
}

func TestDoctor_TakesTheViewThatSaysMost(t *testing.T) {
	view := func(node, leader fs.NodeID, term uint64, quorum bool) *fs.Status {
		return &fs.Status{Cluster: "c", Node: node, Leader: leader, Term: term, Quorum: quorum}
	}
	cutOff, oldLeader := view("a", "", 9, false), view("o", "o", 3, true)
	follower, leader, other := view("b", "c", 4, true), view("c", "c", 4, true), view("x", "x", 99, true)
	other.Cluster = "another"
	for _, c := range []struct {
		first *fs.Status
		rest  []*fs.Status
		want  *fs.Status
	}{
		{cutOff, nil, cutOff}, {cutOff, []*fs.Status{cutOff, follower}, follower}, {follower, []*fs.Status{cutOff, oldLeader, leader, follower}, leader},
		{cutOff, []*fs.Status{nil, leader, oldLeader}, leader}, {follower, []*fs.Status{other}, follower},
	} {
		var nodes []nodeAnswer
		for _, s := range c.rest {
			n := nodeAnswer{Status: s}
			if s == nil {
				n.Err = errors.New("refused")
			}
			nodes = append(nodes, n)
		}
		if got := bestStatus(c.first, nodes); got != c.want {
			t.Errorf("%+v: took %+v", c.first, got)
		}
	}
}

func TestDoctorsJSON_IsAListAlways(t *testing.T) {
	data, err := json.Marshal(diagnose(sound()))
	if err != nil || string(data) != "[]" {
		t.Errorf("%s, %v", data, err)
	}
}

func TestMountPoints_AreReadFromMountinfo(t *testing.T) {
	for line, want := range map[string]string{
		`62 29 0:51 / /mnt/x rw,nosuid - fuse.dfs 127.0.0.1 rw,user_id=0`: "/mnt/x",
		`62 29 0:51 / /mnt/a\040b rw - fuse.dfs a rw`:                     "/mnt/a b",
		`62 29 0:51 / /mnt/y rw - fuse.sshfs a rw`:                        "",
		`62 29 0:51 /`: "",
		``:             "",
	} {
		if got, ok := mountPoint(line); got != want || ok != (want != "") {
			t.Errorf("%q: %q, %v", line, got, ok)
		}
	}
}

func TestPathInAMount_BecomesOneFromTheRoot(t *testing.T) {
	mounts := []string{"/mnt/x", "/mnt/x/inner", "/srv"}
	for path, want := range map[string]string{"/mnt/x/d/f": "/d/f", "/mnt/x": "/", "/mnt/x/inner/f": "/f", "/mnt/xy": "/mnt/xy", "/d/f": "/d/f", "d": "d", "/srv/../d": "/srv/../d"} {
		if got := withinMount(path, mounts); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

func TestMounts_AreNotWaitedForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		forever := make(chan struct{})
		began := time.Now()
		dead, hung := probeMounts([]string{"/hung", "/dead", "/well", "/hung2"}, func(dir string) error {
			switch dir {
			case "/dead":
				return syscall.ENOTCONN
			case "/well":
				return nil
			}
			<-forever
			return nil
		})
		if !slices.Equal(dead, []string{"/dead"}) || !slices.Equal(hung, []string{"/hung", "/hung2"}) || time.Since(began) != mountPatience {
			t.Errorf("dead %v, hung %v after %v", dead, hung, time.Since(began))
		}
		close(forever)
	})
}

// hangs is a connection to a node that takes questions and answers none.
type hangs struct{ grpc.ClientConnInterface }

func (hangs) Invoke(ctx context.Context, _ string, _, _ any, _ ...grpc.CallOption) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestNodeThatHangs_LeavesTimeForTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := metarpc.NewClient(metarpc.Config{Peers: []string{"a:1"}, OpTimeout: 10 * time.Second,
			Dial: func(string) (grpc.ClientConnInterface, error) { return hangs{}, nil }})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()                                                // which does not fail
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second) // less than one attempt may take
		defer cancel()
		began := time.Now()
		nodes := askMembers(ctx, c, healthy())
		if took := time.Since(began); len(nodes) != 3 || nodes[0].Err == nil || took > 2*time.Second || ctx.Err() != nil {
			t.Errorf("%d nodes after %v, %v", len(nodes), took, nodes)
		}
	})
}
