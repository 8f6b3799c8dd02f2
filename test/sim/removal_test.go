package sim

import (
	"errors"
	"testing"
	"time"

	"dfs/fs"
	"dfs/test/harness"
)

// A removal is recorded, and the leader dies before Raft has let the node go. Both of the two votes are needed to do that:
// the node that goes must stay until it is done.
func TestLeaderLostInTheMiddleOfARemoval_TheOneThatGoesStaysUntilItIsOut(t *testing.T) {
	t.Parallel()
	l := harness.StartLocal(t, 2)
	c := l.Client("c")
	mustPut(t, c, "f", content(1, fileSize))
	leader := l.Leader()
	goes := l.Nodes[0]
	if goes == leader {
		goes = l.Nodes[1]
	}
	for _, x := range l.Nodes {
		x.Faults.On("remove.server.before", func() error { return errors.New("not yet") })
	}
	if err := leader.Remove(goes, true); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if goes.Ended() {
			t.Fatal("the node has ended although its vote counts")
		}
	}
	leader.Crash()
	goes.Faults.Clear()
	leader.Restart()
	harness.Eventually(t, time.Minute, func() error {
		s, err := leader.Status()
		switch {
		case err != nil:
			return err
		case !s.Quorum || s.Leader != fs.NodeID(leader.Name):
			return errors.New("the one that stays does not lead")
		case !goes.Ended():
			return errors.New("the one that goes still runs")
		}
		return nil
	})
	mustPut(t, c, "f", content(2, fileSize))
}
