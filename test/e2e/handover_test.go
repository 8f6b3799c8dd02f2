package e2e

import (
	"testing"
	"time"

	"dfs/test/harness"
)

func TestLeaderStoppedCleanly_HandsOver(t *testing.T) {
	t.Parallel()
	c := harness.StartCluster(t, 3)
	m := c.Mount()
	stalls := watchStalls(m.Dir)
	for range 2 {
		leader := c.Leader()
		leader.Stop(15 * time.Second)
		c.Leader()
		leader.Restart()
		c.WaitFormed(3)
	}
	t.Logf("longest stall %s", stalls().Round(10*time.Millisecond))
	m.Sh(time.Minute, "echo x > f && sync f")
}
