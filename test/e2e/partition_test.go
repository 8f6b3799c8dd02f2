package e2e

import (
	"strings"
	"testing"
	"time"

	"dfs/test/harness"
)

func TestPartitionedNode_CatchesUp(t *testing.T) {
	t.Parallel()
	c, fabric := harness.StartNetnsCluster(t, 3)
	m := c.Mount()
	m.Sh(time.Minute, "echo before > before; sync before")

	lost := c.Leader() // the worst one to lose
	fabric.Cut(lost)
	m.Sh(2*time.Minute, "mkdir d; for i in $(seq 30); do seq $((i * 500)) > d/f$i; done; cat before; sha256sum d/* > sums; sync sums")
	harness.Eventually(t, 20*time.Second, func() error {
		return want(fabric.StatusFrom(lost), "NO QUORUM")
	})
	for _, n := range c.Nodes {
		if n != lost {
			harness.Eventually(t, 20*time.Second, func() error {
				return want(fabric.StatusFrom(n), "quorum ok", lost.Name+" ", "dead")
			})
		}
	}

	fabric.Heal(lost)
	c.WaitFormed(3)
	s := c.WaitSettled(2 * time.Minute) // the copies that it has missed are made up for
	if s.Blobs.UnderReplicated != 0 {
		t.Errorf("%d blobs lack replicas", s.Blobs.UnderReplicated)
	}
	harness.Eventually(t, 30*time.Second, func() error {
		mine, err := c.Status(lost)
		if err != nil {
			return err
		}
		if mine.Applied < s.Applied {
			return errorf("%s has applied %d of %d", lost.Name, mine.Applied, s.Applied)
		}
		return nil
	})
	m.Sh(time.Minute, "sha256sum --quiet -c sums")
}

func want(text string, parts ...string) error {
	for _, p := range parts {
		if !strings.Contains(text, p) {
			return errorf("%q is not in\n%s", p, text)
		}
	}
	return nil
}

func TestNodeWithoutFlags_IsAClusterThatGrows(t *testing.T) {
	t.Parallel()
	fabric := harness.NewFabric(t)
	dir := t.TempDir()
	first := fabric.Start("alone", "dfsnode", "DFS_DIR="+dir+"/one")
	status := func() string { return fabric.Output("alone", "dfs", "status") }
	harness.Eventually(t, 30*time.Second, func() error { return want(status(), "quorum ok", "alive") })

	// A second one on the same machine.
	second := fabric.Start("alone", "dfsnode", "DFS_DIR="+dir+"/two", "DFS_JOIN=127.0.0.1", "DFS_LISTEN=127.0.0.1:7410",
		"DFS_GOSSIP=127.0.0.1:7411", "DFS_HTTP=off", "DFS_METRICS=off")
	harness.Eventually(t, 30*time.Second, func() error { return want(status(), "127.0.0.1:7400", "127.0.0.1:7410") })
	second.Stop(15 * time.Second)
	first.Stop(15 * time.Second)
}
