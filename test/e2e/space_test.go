package e2e

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"dfs/test/harness"
)

func TestSpaceComesBack_AfterRemoval(t *testing.T) {
	t.Parallel()
	c := harness.StartCluster(t, 3, "--garbage-grace", "5s")
	m := c.Mount()
	const written = 300 << 20
	empty := map[string]int64{} // what a node without blobs takes: the log's file is as long from the start as it will be
	for _, n := range c.Nodes {
		empty[n.Name] = diskUse(t, n.Data)
	}
	m.Sh(3*time.Minute, "for i in 1 2 3; do head -c 100M /dev/urandom > f$i; done; sync f1 f2 f3")
	for _, n := range c.Nodes {
		if used := diskUse(t, n.Data) - empty[n.Name]; used < written {
			t.Errorf("%s uses %d bytes for %d written with three replicas: is anything there?", n.Name, used, written)
		}
	}
	m.Sh(time.Minute, "rm f1 f2 f3")
	began := time.Now()
	harness.Eventually(t, 5*time.Minute, func() error {
		for _, n := range c.Nodes {
			if used := diskUse(t, n.Data) - empty[n.Name]; used > written/4 {
				return errorf("%s still uses %d MiB more than when it was empty", n.Name, used>>20)
			}
		}
		return nil
	})
	t.Logf("the space was back after %s", time.Since(began).Round(time.Second))
	c.WaitSettled(time.Minute)
}

// diskUse is what du says, value logs included.
func diskUse(t *testing.T, dir string) int64 {
	t.Helper()
	// Files may vanish while du looks: its complaint and exit code about them do not matter.
	r := harness.Command{Argv: []string{"du", "-s", "-B1", dir}, Timeout: time.Minute}.Exec()
	n, err := strconv.ParseInt(strings.Split(r.Out, "\t")[0], 10, 64)
	if err != nil {
		t.Fatalf("du: %v: %v", err, r.Failure())
	}
	return n
}

func errorf(format string, args ...any) error { return fmt.Errorf(format, args...) }
