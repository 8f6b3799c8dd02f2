package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dfs/fs"
	"dfs/test/harness"
)

func TestOperator_CanWatchTheCluster(t *testing.T) {
	t.Parallel()
	c := harness.StartCluster(t, 3, "--zone", "r1")
	m := c.Mount()
	m.Sh(time.Minute, "mkdir d; head -c 100K /dev/urandom > d/f; sync d/f")

	status := c.Dfs(c.Addrs(), "status")
	if err := status.Failure(); err != nil {
		t.Fatal(err)
	}
	if err := want(status.Out, "quorum ok", "n1", "n2", "n3", "leader", "voter", "r1", m.Dir, "3 replicas, at least 2"); err != nil {
		t.Error(err)
	}
	harness.Eventually(t, 20*time.Second, func() error {
		for _, n := range c.Nodes { // any node will do
			r := c.Dfs(n.RPC, "tx", "ls")
			if err := want(r.Out, "committed", "create", "write"); err != nil {
				return err
			}
		}
		return nil
	})
	var list []fs.TxStatus
	r := c.Dfs(c.Addrs(), "tx", "ls", "--json")
	if err := json.Unmarshal([]byte(r.Out), &list); err != nil || len(list) == 0 {
		t.Fatalf("%v\n%s%s", err, r.Out, r.Err)
	}
	shown := 0
	for _, tx := range list {
		if len(tx.Blobs) == 0 {
			continue
		}
		shown++
		show := c.Dfs(c.Addrs(), "tx", "show", tx.ID.String())
		if err := want(show.Out, "transaction "+tx.ID.String(), "blob", "checksum"); err != nil {
			t.Error(err)
		}
		for _, b := range tx.Blobs {
			// A slow disk may miss the vote: two replicas are promised, and the third one follows.
			if len(b.Replicas) < 2 {
				t.Errorf("blob %s was committed on %v", b.ID, b.Replicas)
			}
			for _, id := range b.Replicas {
				if c.Node(string(id)) == nil || !strings.Contains(show.Out, string(id)) {
					t.Errorf("replica on %s of\n%s", id, show.Out)
				}
			}
		}
	}
	if shown == 0 {
		t.Error("no transaction with a blob is listed")
	}
	c.WaitSettled(time.Minute)
	if r := c.Dfs(c.Addrs(), "tx", "show", "999.1"); r.Code != 1 || !strings.Contains(r.Err, "999.1") {
		t.Errorf("an unknown transaction: exit code %d, %q", r.Code, r.Err)
	}
}

func TestHTTP_TellsOfLifeAndLoad(t *testing.T) {
	t.Parallel()
	c := harness.StartCluster(t, 1)
	n := c.Nodes[0]
	for url, wants := range map[string][]string{
		n.URL("/livez"):          {"ok"},
		n.URL("/readyz"):         {"ok"},
		n.URL("/v1/status"):      {`"Quorum":true`, `"n1"`},
		n.MetricsURL("/metrics"): {"dfs_build_info{", "dfs_raft_is_leader 1", "dfs_disk_free_bytes", "dfs_raft_term", "dfs_rpc_seconds_bucket{", "go_goroutines"},
	} {
		code, body := get(t, url)
		if code != http.StatusOK {
			t.Errorf("%s: %d %s", url, code, body)
		}
		if err := want(body, wants...); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
	two := harness.StartClusterNamed(t, "q", 2)
	two.Nodes[0].Kill()
	harness.Eventually(t, 20*time.Second, func() error {
		if code, body := get(t, two.Nodes[1].URL("/readyz")); code != http.StatusServiceUnavailable {
			return errorf("ready without a quorum: %d %s", code, body)
		}
		return nil
	})
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	client := http.Client{Timeout: 10 * time.Second}
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() // read only
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestSimulation_PrintsShares(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "nodes.json")
	nodes := `[{"id":"a","disk_total":1000000000000,"disk_free":900000000000,"cpu":0.1},{"id":"b","disk_total":1000000000000,"disk_free":100000000000,"cpu":0.9}]`
	if err := os.WriteFile(file, []byte(nodes), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, policy := range []string{"random", "round-robin", "weighted", "p2c"} {
		out := harness.Run(t, harness.Program(t, "dfs"), "lb", "simulate", "--policy", policy, "--nodes", file, "--json")
		var shares []struct {
			ID    string
			Share float64
		}
		if err := json.Unmarshal([]byte(out), &shares); err != nil || len(shares) != 2 {
			t.Fatalf("%s: %v\n%s", policy, err, out)
		}
		better := shares[0].Share > 0.6
		if want := policy == "weighted" || policy == "p2c"; better != want {
			t.Errorf("%s: the emptier node gets %.2f", policy, shares[0].Share)
		}
	}
	if out := harness.Run(t, harness.Program(t, "dfs"), "lb", "simulate", "--nodes", file); !strings.Contains(out, "%") {
		t.Errorf("no shares in\n%s", out)
	}
}

func TestFourthNode_JoinsAndServes(t *testing.T) {
	t.Parallel()
	c := harness.StartCluster(t, 3)
	m := c.Mount()
	fourth := c.Add()
	fourth.Start("DFS_BOOTSTRAP_EXPECT=3")
	c.WaitFormed(4)
	// A node that is slow to vote is left out for a while, so it need not get its share of the first files.
	round := 0
	harness.Eventually(t, time.Minute, func() error {
		round++
		m.Sh(time.Minute, fmt.Sprintf("for i in $(seq 20); do head -c 50K /dev/urandom > f%d-$i; sync f%[1]d-$i; done", round))
		if used := diskUse(t, filepath.Join(fourth.Data, "blobs")); used < 100<<10 {
			return errorf("the fourth node holds %d bytes: it was given nothing", used)
		}
		return nil
	})
	m.Sh(time.Minute, "sha256sum f* > sums")
	// Any one of the four may go.
	c.Nodes[0].Kill()
	m.Sh(2*time.Minute, "echo after > after; sync after; sha256sum --quiet -c sums")
	s, err := c.Status(fourth)
	if err != nil || len(s.Nodes) != 4 {
		t.Errorf("%s", fmt.Sprint(s, err))
	}
}
