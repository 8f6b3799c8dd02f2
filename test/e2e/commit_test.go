package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dfs/test/harness"
)

// The two-phase commit with real processes: at each arrow of the protocol the process that is about to send, or has just
// sent, is killed. What must hold each time: a file's flush has happened wholly or not at all; what fsync acknowledged
// is there; afterwards nothing stays staged, and no replica is missing.

// versions are two contents of a file, in files outside of the mount, that one flush replaces by each other.
type versions struct{ dir string }

func newVersions(t *testing.T) versions {
	t.Helper()
	v := versions{t.TempDir()}
	harness.Shell(t, time.Minute, v.dir, "head -c 3M /dev/urandom > old; head -c 3M /dev/urandom > new")
	return v
}

func (v versions) path(name string) string { return filepath.Join(v.dir, name) }

// put overwrites file with a version and fsyncs it, in one flush.
func (v versions) put(name, file string) harness.Result {
	argv := []string{"dd", "if=" + v.path(name), "of=" + file, "bs=3M", "conv=notrunc,fsync", "status=none"}
	return harness.Command{Argv: argv, Timeout: 2 * time.Minute}.Exec()
}

// which tells which version a file holds.
func (v versions) which(t *testing.T, file string) string {
	t.Helper()
	for _, name := range []string{"old", "new"} {
		r := harness.Command{Argv: []string{"cmp", "-s", v.path(name), file}, Timeout: time.Minute}.Exec()
		if r.Hung || r.Code > 1 {
			t.Fatalf("cannot read %s: %v", file, r.Failure())
		}
		if r.Code == 0 {
			return name
		}
	}
	return "a mixture"
}

// longFlush keeps the mount from flushing before the test says fsync.
const longFlush = "--flush-age=50s"

func TestCoordinatorKilledAtEachArrow_AllOrNothing(t *testing.T) {
	t.Parallel()
	c := harness.StartCluster(t, 3, "--session-timeout", "3s", "--garbage-grace", "1s", "--sweep-interval", "1s")
	witness := c.Mount()
	v := newVersions(t)
	for _, arrow := range []struct{ step, want string }{
		{"flush.prepare.before", "old"},
		{"replica.stage.before", "old"},
		{"replica.stage.vote", "old"},
		{"replica.stage.after", "old"},
		{"flush.prepare.after", "old"},
		{"flush.decide.before", "old"},
		{"flush.decide.after", "new"}, // decided, though nobody has been told
	} {
		t.Run(arrow.step, func(t *testing.T) {
			c.In(t)
			file := strings.ReplaceAll(arrow.step, ".", "-")
			if err := v.put("old", witness.Path(file)).Failure(); err != nil {
				t.Fatal(err)
			}
			m := c.MountWith([]string{"DFS_FAILPOINTS=" + arrow.step + "=kill"}, longFlush)
			if r := v.put("new", m.Path(file)); r.Code == 0 {
				t.Errorf("fsync succeeded although the mount was killed on its way")
			}
			harness.Eventually(t, 10*time.Second, func() error {
				if m.Alive() {
					return errorf("the mount still runs: %s was never reached", arrow.step)
				}
				return nil
			})
			if got := v.which(t, witness.Path(file)); got != arrow.want {
				t.Errorf("the file holds %s, want %s", got, arrow.want)
			}
			c.WaitSettled(time.Minute) // staged blobs of the dead session are dropped, or live
			if got := v.which(t, witness.Path(file)); got != arrow.want {
				t.Errorf("after settling the file holds %s, want %s", got, arrow.want)
			}
		})
	}
}

func TestParticipantKilledAtEachArrow_NothingAcknowledgedIsLost(t *testing.T) {
	t.Parallel()
	c := harness.StartCluster(t, 3, "--session-timeout", "3s", "--garbage-grace", "1s", "--sweep-interval", "1s")
	m := c.Mount(longFlush)
	v := newVersions(t)
	if err := v.put("old", m.Path("f")).Failure(); err != nil {
		t.Fatal(err)
	}
	next := map[string]string{"old": "new", "new": "old"}
	current := "old"
	for _, step := range []string{
		"stage.before", "batch.before", "batch.synced",
		"keeper.settle.commit.before", "keeper.settle.commit.after",
	} {
		t.Run(step, func(t *testing.T) {
			c.In(t)
			victim := c.Follower()
			victim.Kill()
			victim.Restart("DFS_FAILPOINTS=" + step + "=kill")
			c.WaitFormed(3)
			harness.Eventually(t, 30*time.Second, func() error { // the mount tries a node again that has just failed
				if !victim.Alive() {
					return nil
				}
				if err := v.put(next[current], m.Path("f")).Failure(); err != nil {
					t.Fatalf("fsync with one node killed: %v", err)
				}
				current = next[current]
				return errorf("%s still runs: %s was never reached", victim.Name, step)
			})
			if got := v.which(t, m.Path("f")); got != current {
				t.Errorf("the file holds %s, want %s", got, current)
			}
			victim.Restart()
			c.WaitFormed(3)
			c.WaitSettled(90 * time.Second)
		})
	}
	if got := v.which(t, c.Mount().Path("f")); got != current {
		t.Errorf("another mount sees %s, want %s", got, current)
	}
}

func TestLeaderKilledAtEachArrow_WorkGoesOn(t *testing.T) {
	t.Parallel()
	c := harness.StartCluster(t, 3, "--session-timeout", "5s", "--garbage-grace", "1s", "--sweep-interval", "1s")
	m := c.Mount()
	for _, step := range []string{"propose.before", "propose.after", "apply.before", "apply.after"} {
		t.Run(step, func(t *testing.T) {
			c.In(t)
			for _, n := range c.Nodes { // whoever leads will meet it; for apply all of them do
				n.Kill()
				n.Restart("DFS_FAILPOINTS=" + step + "=kill@40")
			}
			c.WaitFormed(3)
			restarted := c.Supervise()
			dir := strings.ReplaceAll(step, ".", "-")
			m.Sh(4*time.Minute, fmt.Sprintf(`mkdir -p %[1]s; cd %[1]s
				for i in $(seq 40); do echo $i > f$i.tmp; sync f$i.tmp; mv f$i.tmp f$i; ln f$i g$i; done`, dir))
			if n := restarted(); n == 0 {
				t.Errorf("nobody was killed: %s was never reached 40 times", step)
			}
			c.WaitFormed(3)
			got := m.Sh(time.Minute, fmt.Sprintf("cd %s; ls | wc -l; for i in $(seq 40); do test $(cat f$i) = $i; test f$i -ef g$i; done", dir))
			if strings.TrimSpace(got) != "80" {
				t.Errorf("%s names, want 80: each operation exactly once", strings.TrimSpace(got))
			}
		})
	}
	c.WaitSettled(time.Minute)
}
