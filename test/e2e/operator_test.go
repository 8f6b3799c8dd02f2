package e2e

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dfs/fs"
	"dfs/test/harness"
)

// dfs runs one of the operator's commands and wants its exit code and words.
func dfs(c *harness.Cluster, addr string, code int, wants []string, args ...string) error {
	r := c.Dfs(addr, args...)
	if r.Code != code {
		return errorf("dfs %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), r.Code, code, r.Out, r.Err)
	}
	return want(r.Out+r.Err, wants...)
}

func TestOperator_SeesWhatIsWrongWithoutAQuorumToo(t *testing.T) {
	t.Parallel()
	c := harness.StartCluster(t, 3, "--zone", "r1")
	m := c.Mount()
	m.Sh(time.Minute, "mkdir d; head -c 100K /dev/urandom > d/f; sync d/f; ln -s f d/l; cat .dfs/version")
	c.WaitSettled(time.Minute)

	var e fs.Explanation
	if r := c.Dfs(c.Addrs(), "explain", m.Path("d/f"), "--json"); r.Failure() != nil || json.Unmarshal([]byte(r.Out), &e) != nil {
		t.Fatal(r.Out, r.Err)
	}
	if e.Path != "/d/f" || e.Attr.Size != 100<<10 || len(e.Blobs) == 0 || e.Blobs[0].Index == 0 {
		t.Fatalf("%+v", e)
	}
	b := e.Blobs[0]
	for _, err := range []error{
		dfs(c, c.Addrs(), 0, []string{"/d/f: file", b.ID.String(), b.Tx.String(), "zone r1"}, "explain", "/d/f"),
		dfs(c, c.Addrs(), 0, []string{"symlink", `leads to "f"`}, "explain", "/d/l"),
		dfs(c, c.Addrs(), 1, []string{"no such file"}, "explain", "/d/none"),
		dfs(c, c.Addrs(), 0, []string{fmt.Sprint("log index ", b.Index)}, "tx", "show", b.Tx.String()),
		dfs(c, c.Leader().RPC, 0, []string{"is leader in term", "n1", "n2", "n3", "voter"}, "raft", "status"),
		dfs(c, c.Addrs(), 0, []string{m.Dir, "ago"}, "mount", "ls"),
		dfs(c, c.Addrs(), 0, []string{"NODE", "n3", m.Dir}, "top", "--once", "--interval", "3s"),
	} {
		if err != nil {
			t.Error(err)
		}
	}

	keep := c.Follower()
	for _, n := range c.Nodes {
		if n != keep {
			n.Kill()
		}
	}
	file := filepath.Join(t.TempDir(), "b.tar.gz")
	began := time.Now()
	harness.Eventually(t, 20*time.Second, func() error { return dfs(c, keep.RPC, 0, []string{"! NO QUORUM", "is dead"}, "status") })
	t.Log("status knew after", time.Since(began))
	for _, err := range []error{
		dfs(c, keep.RPC, 1, []string{"NO QUORUM", "start the nodes that are down", "NODE n"}, "doctor"),
		dfs(c, keep.RPC, 0, []string{"NO QUORUM", "leader none"}, "raft", "status"),
		dfs(c, keep.RPC, 0, []string{"NO QUORUM", m.Dir}, "mount", "ls"),
		dfs(c, keep.RPC, 0, []string{"NO QUORUM", "/d/f: file", b.ID.String()}, "explain", "/d/f"),
		dfs(c, keep.RPC, 0, []string{"NO QUORUM"}, "top", "--once", "--interval", "200ms"),
		dfs(c, keep.RPC, 0, nil, "debug", "bundle", file, "--metrics", strings.TrimPrefix(keep.MetricsURL(""), "http://")),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	if err := want(harness.Run(t, "tar", "tzf", file), "metrics-0.txt", "/status.json", "/raft.json", "doctor.txt"); err != nil {
		t.Error(err)
	}
	if _, body := get(t, keep.MetricsURL("/metrics")); want(body, "dfs_raft_quorum 0", "dfs_disk_total_bytes") != nil {
		t.Error(body)
	}
	harness.Eventually(t, 30*time.Second, func() error { // told by the mount alone
		r := harness.Command{Argv: []string{"cat", ".dfs/status", ".dfs/nodes", ".dfs/config"}, Dir: m.Dir, Timeout: 10 * time.Second}.Exec()
		if err := r.Failure(); err != nil {
			return err
		}
		return want(r.Out, "DOES NOT ANSWER", "n1", "read-policy: p2c")
	})
}
