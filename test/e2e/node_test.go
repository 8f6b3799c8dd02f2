package e2e

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"dfs/fs"
	"dfs/test/harness"
)

func TestRemovedNode_EndsAndTheMachineJoinsUnderAnotherName(t *testing.T) {
	t.Parallel()
	c := harness.StartCluster(t, 3)
	c.Add().Start("DFS_BOOTSTRAP_EXPECT=0")
	c.WaitFormed(4)
	m := c.Mount()
	m.Sh(time.Minute, "for i in $(seq 20); do head -c 50K /dev/urandom > f$i; sync f$i; done; sha256sum f* > sums; sync sums")
	victim := c.Follower()

	r := c.Dfs(c.Addrs(), "node", "ls")
	if err := want(r.Out, "NODE", "n1", "n4", victim.RPC, "leader", "voter", "learner", "alive", "STORES", "yes"); err != nil {
		t.Error(err)
	}
	var list []fs.NodeStatus
	r = c.Dfs(c.Addrs(), "node", "ls", "--json")
	if err := json.Unmarshal([]byte(r.Out), &list); err != nil || len(list) != 4 {
		t.Errorf("%v\n%s%s", err, r.Out, r.Err)
	}
	r = c.Dfs(c.Addrs(), "node", "remove", victim.Name)
	if r.Code == 0 || !strings.Contains(r.Err, "alive") || !strings.Contains(r.Err, "--force") {
		t.Fatalf("a node that is alive: exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}
	if r = c.Dfs(c.Addrs(), "node", "remove", "nobody"); r.Code == 0 || !strings.Contains(r.Err, "no node \"nobody\"") {
		t.Errorf("nobody: exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}
	r = c.Dfs(c.Addrs(), "node", "remove", victim.Name, "--force")
	if err := r.Failure(); err != nil {
		t.Fatal(err)
	}
	if err := want(r.Out, "removing node "+victim.Name, "will be copied", "2 voters are left", "is removed"); err != nil {
		t.Error(err)
	}
	if code := victim.Wait(30 * time.Second); code == 0 {
		t.Error("the removed node ends as if all were well")
	}
	if err := want(victim.Tail(5), "was removed from the cluster", "another --name", victim.Data); err != nil {
		t.Error(err)
	}
	r = c.Dfs(c.Addrs(), "node", "remove", victim.Name)
	if err := want(r.Out, "removed already"); err != nil || r.Code != 0 {
		t.Errorf("a second time: exit code %d, %v", r.Code, err)
	}

	// Its directory is of no use any more; the others have all that lay on it, and make up for the copies.
	victim.Restart("DFS_BOOTSTRAP_EXPECT=0")
	if code := victim.Wait(30 * time.Second); code == 0 {
		t.Error("the removed node, started again, ends as if all were well")
	}
	fresh := c.Add()
	fresh.Start("DFS_BOOTSTRAP_EXPECT=0")
	c.WaitFormed(4)
	m.Sh(2*time.Minute, "echo more > more; sync more; sha256sum --quiet -c sums")
	c.WaitSettled(2 * time.Minute)
}

func TestNodeThatWasCutOff_HearsThatItWasRemoved(t *testing.T) {
	t.Parallel()
	c := harness.StartCluster(t, 3)
	victim := c.Follower()
	victim.Kill()
	harness.Eventually(t, time.Minute, func() error {
		return c.Dfs(c.Addrs(), "node", "remove", victim.Name).Failure() // until the others take it for dead
	})
	victim.Restart()
	if code := victim.Wait(time.Minute); code == 0 {
		t.Error("it ends as if all were well")
	}
	if err := want(victim.Tail(5), "was removed from the cluster"); err != nil {
		t.Error(err)
	}
}
