package replica

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"dfs/blob"
	"dfs/blob/memstore"
	"dfs/fs"
)

// cluster is a Set over disks that can be slow, hung, dead or lying.
type cluster struct {
	t     *testing.T
	set   *Set
	nodes []fs.NodeInfo
	disks map[fs.NodeID]*disk
	bad   []string
}

type disk struct {
	*memstore.Store
	delay  time.Duration // before each call
	err    error
	reach  fs.NodeID // whom the address really reaches; "" the right one
	calls  atomic.Int64
	inside atomic.Int64 // Stages and Gets that have not returned
}

func (d *disk) call(ctx context.Context) error {
	d.calls.Add(1)
	if d.delay > 0 {
		select {
		case <-time.After(d.delay):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return d.err
}

func (d *disk) Stage(ctx context.Context, tx blob.Tx, b *blob.Blob) ([]fs.NodeID, error) {
	d.inside.Add(1)
	defer d.inside.Add(-1)
	if err := d.call(ctx); err != nil {
		return nil, err
	}
	voters, err := d.Store.Stage(ctx, tx, b)
	if d.reach != "" {
		voters = []fs.NodeID{d.reach}
	}
	return voters, err
}

func (d *disk) Get(ctx context.Context, info *fs.BlobInfo, off, n uint32) (*blob.Range, error) {
	d.inside.Add(1)
	defer d.inside.Add(-1)
	if err := d.call(ctx); err != nil {
		return nil, err
	}
	return d.Store.Get(ctx, info, off, n)
}

func (d *disk) Usage(ctx context.Context) (blob.Usage, error) {
	if err := d.call(ctx); err != nil {
		return blob.Usage{}, err
	}
	return d.Store.Usage(ctx)
}

const hangs = time.Hour

// simulate runs a test in fake time on nodes a, b, c, … with three replicas, at least two.
func simulate(t *testing.T, n int, test func(t *testing.T, c *cluster)) {
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{t: t, disks: map[fs.NodeID]*disk{}}
		for i := range n {
			id := fs.NodeID('a' + rune(i))
			c.nodes = append(c.nodes, fs.NodeInfo{ID: id, Addr: string(id), State: fs.NodeAlive})
			c.disks[id] = &disk{Store: memstore.New(memstore.Config{Node: id})}
		}
		same := func(nodes []fs.NodeInfo) []fs.NodeInfo { return nodes } // a, b, c, …
		var err error
		c.set, err = NewSet(Config{
			Nodes:    func() []fs.NodeInfo { return c.nodes },
			Open:     func(n fs.NodeInfo) (blob.Store, error) { return c.disks[n.ID], nil },
			Replicas: 3, MinReplicas: two, WriteOrder: same, ReadOrder: same,
			Bad: func(node fs.NodeID, id fs.BlobID, _ error) { c.bad = append(c.bad, fmt.Sprintf("%s:%s", node, id)) },
		})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := c.set.Close(); err != nil {
				t.Error(err)
			}
		}()
		test(t, c)
		for id, d := range c.disks {
			if n := d.inside.Load(); n > 0 {
				t.Errorf("%d requests to %s outlive the calls that made them", n, id)
			}
		}
	})
}

// stage stages a blob and says who voted, in order, and how long it took.
func (c *cluster) stage(counter uint64) (voters []fs.NodeID, took time.Duration, err error) {
	start := time.Now()
	b := blobOf(fs.BlobID{Session: 1, Counter: counter})
	voters, err = c.set.Stage(c.t.Context(), blob.Tx{ID: fs.TxID{Session: 1, Seq: 1}, Epoch: 1}, b)
	for id, d := range c.disks {
		if d.inside.Load() > 0 {
			c.t.Errorf("a request to %s still reads the bytes", id)
		}
	}
	slices.Sort(voters)
	return voters, time.Since(start), err
}

func (c *cluster) get(counter uint64, replicas ...fs.NodeID) (time.Duration, error) {
	start := time.Now()
	b := blobOf(fs.BlobID{Session: 1, Counter: counter})
	info := b.Info(replicas)
	r, err := c.set.Get(c.t.Context(), &info, 0, info.Length)
	if err == nil && !bytes.Equal(r.Data, b.Data) {
		c.t.Error("other bytes than were staged")
	}
	return time.Since(start), err
}

func (c *cluster) expect(voters []fs.NodeID, want string) {
	c.t.Helper()
	var got strings.Builder
	for _, v := range voters {
		got.WriteString(string(v))
	}
	if got.String() != want {
		c.t.Errorf("voters are %q, want %q", got.String(), want)
	}
}

func TestStage_ReplacesANodeThatFails(t *testing.T) {
	simulate(t, 5, func(t *testing.T, c *cluster) {
		c.disks["b"].err = errLost
		voters, took, err := c.stage(1)
		c.expect(voters, "acd")
		if err != nil || took > 0 {
			t.Errorf("%v after %v", err, took)
		}
	})
}

func TestStage_ReplacesANodeThatHangsAfterItsPatience(t *testing.T) {
	simulate(t, 5, func(t *testing.T, c *cluster) {
		for _, d := range c.disks {
			d.delay = 10 * time.Millisecond
		}
		for i := range uint64(10) { // learn how fast nodes are
			if _, _, err := c.stage(100 + i); err != nil {
				t.Fatal(err)
			}
		}
		c.disks["b"].delay = hangs
		voters, took, err := c.stage(1)
		c.expect(voters, "acd")
		if err != nil || took > stagePatienceMin+20*time.Millisecond {
			t.Errorf("%v after %v", err, took)
		}
		voters, took, err = c.stage(2)
		c.expect(voters, "acd")
		if err != nil || took > 10*time.Millisecond {
			t.Errorf("the next stage: %v after %v, want no delay", err, took)
		}
	})
}

func TestStage_CountsTheLateVoteOfASlowNode(t *testing.T) {
	simulate(t, 4, func(t *testing.T, c *cluster) {
		c.disks["a"].delay = stagePatienceMax + time.Second
		c.disks["d"].delay = 3 * time.Second
		voters, took, err := c.stage(1)
		c.expect(voters, "abc")
		if err != nil || took != stagePatienceMax+time.Second {
			t.Errorf("%v after %v", err, took)
		}
	})
}

func TestStage_WithOneOfThreeDeadCostsItsPatienceOnce(t *testing.T) {
	simulate(t, 3, func(t *testing.T, c *cluster) {
		c.disks["c"].delay = hangs
		voters, took, err := c.stage(1)
		c.expect(voters, "ab")
		if err != nil || took > stagePatienceMax {
			t.Errorf("%v after %v", err, took)
		}
		for i := range uint64(50) {
			time.Sleep(time.Second)
			voters, took, err := c.stage(2 + i)
			c.expect(voters, "ab")
			if err != nil || took > 0 {
				t.Errorf("stage %d: %v after %v", i, err, took)
			}
		}
		if n := c.disks["c"].calls.Load(); n < 3 || n > 10 {
			t.Errorf("the dead node was asked %d times in 50 s", n)
		}
		c.disks["c"].delay = 0
		time.Sleep(coolDownMax)
		for i := range uint64(2) { // the first one has it probed
			voters, _, err = c.stage(100 + i)
			synctest.Wait()
		}
		if c.expect(voters, "abc"); err != nil {
			t.Error(err)
		}
	})
}

func TestStage_TriesNodesOfIllReputeWhenItMust(t *testing.T) {
	simulate(t, 3, func(t *testing.T, c *cluster) {
		c.nodes[1].State, c.nodes[2].Load.ReadOnly = fs.NodeDead, true // as gossip has it
		voters, _, err := c.stage(1)
		if c.expect(voters, "ab"); err != nil {
			t.Error(err)
		}
	})
}

func TestStage_WithTooFewVotesSaysWhoAndWhyInTime(t *testing.T) {
	simulate(t, 3, func(t *testing.T, c *cluster) {
		c.disks["b"].err, c.disks["c"].delay = errLost, hangs
		_, took, err := c.stage(1)
		if !errors.Is(err, fs.ErrUnavailable) || took > 10*time.Second {
			t.Errorf("%v after %v", err, took)
		}
		for _, want := range []string{"blob 1-1", "1 of 2 votes", "b: lost on the network", "c: no answer within 10s"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q does not say %q", err, want)
			}
		}
	})
}

func TestStage_OnFullNodesIsNoSpace(t *testing.T) {
	simulate(t, 3, func(t *testing.T, c *cluster) {
		for _, d := range c.disks {
			d.err = fmt.Errorf("stage: %w", fs.ErrNoSpace)
		}
		if _, _, err := c.stage(1); !errors.Is(err, fs.ErrNoSpace) {
			t.Errorf("all full: %v", err)
		}
		c.disks["a"].err = errLost
		if _, _, err := c.stage(2); !errors.Is(err, fs.ErrUnavailable) || errors.Is(err, fs.ErrNoSpace) {
			t.Errorf("two full, one lost: %v", err)
		}
	})
}

func TestStage_StopsAtARefusalThatIsTheSameEverywhere(t *testing.T) {
	simulate(t, 9, func(t *testing.T, c *cluster) {
		for _, d := range c.disks {
			d.err = fs.ErrFenced
		}
		if _, _, err := c.stage(1); !errors.Is(err, fs.ErrFenced) {
			t.Errorf("%v, want %v", err, fs.ErrFenced)
		}
		if n := c.disks["i"].calls.Load(); n > 0 {
			t.Error("it went on asking")
		}
	})
}

func TestStage_CountsNoVoteOfAnotherNode(t *testing.T) {
	simulate(t, 3, func(t *testing.T, c *cluster) {
		c.disks["c"].reach = "b" // c's address is b's now
		voters, _, err := c.stage(1)
		if c.expect(voters, "ab"); err != nil {
			t.Error(err)
		}
	})
}

func TestStage_EndsWithItsCaller(t *testing.T) {
	simulate(t, 3, func(t *testing.T, c *cluster) {
		c.disks["b"].delay, c.disks["c"].delay = hangs, hangs
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := c.set.Stage(ctx, blob.Tx{ID: fs.TxID{Session: 1, Seq: 1}, Epoch: 1}, blobOf(fs.BlobID{Session: 1, Counter: 1}))
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, want the caller's deadline", err)
		}
	})
}

func TestFanOut_ReachesTheOthersWhenOneFails(t *testing.T) {
	simulate(t, 3, func(t *testing.T, c *cluster) {
		if _, _, err := c.stage(1); err != nil {
			t.Fatal(err)
		}
		id := fs.BlobID{Session: 1, Counter: 1}
		c.set.cfg.Open = func(n fs.NodeInfo) (blob.Store, error) {
			if n.ID == "b" {
				return nil, errLost
			}
			return c.disks[n.ID], nil
		}
		c.set.stores = map[fs.NodeID]opened{}
		if err := c.set.Delete(t.Context(), []fs.BlobID{id}); !errors.Is(err, fs.ErrUnavailable) || !strings.Contains(err.Error(), "b: ") {
			t.Errorf("delete: %v", err)
		}
		if _, err := c.set.List(t.Context(), fs.BlobID{}, 10); !errors.Is(err, fs.ErrUnavailable) {
			t.Errorf("a list that lacks a node: %v", err)
		}
		for node, want := range map[fs.NodeID]int{"a": 0, "b": 1, "c": 0} {
			if list, err := c.disks[node].List(t.Context(), fs.BlobID{}, 10); err != nil || len(list) != want {
				t.Errorf("node %s has %d blobs, %v; want %d", node, len(list), err, want)
			}
		}
	})
}

func TestOrder_MayNeitherLoseNorInventNodes(t *testing.T) {
	nodes := []fs.NodeInfo{{ID: "a", Zone: "z"}, {ID: "b"}, {ID: "c"}}
	got := sorted(func([]fs.NodeInfo) []fs.NodeInfo { return []fs.NodeInfo{{ID: "c"}, {ID: "x"}, {ID: "a"}, {ID: "c"}} }, nodes)
	if want := []fs.NodeInfo{{ID: "c"}, {ID: "a", Zone: "z"}, {ID: "b"}}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestStage_NeedsAsManyVotesAsAreNeededNow(t *testing.T) {
	simulate(t, 3, func(t *testing.T, c *cluster) {
		least := 1
		c.set.cfg.MinReplicas = func() int { return least }
		c.disks["b"].err, c.disks["c"].err = fs.ErrNoSpace, fs.ErrNoSpace
		if voters, _, err := c.stage(1); err != nil || len(voters) != 1 {
			t.Errorf("one vote, one needed: %v, %v", voters, err)
		}
		least = 2
		if voters, _, err := c.stage(2); err == nil {
			t.Errorf("one vote, two needed: %v", voters)
		}
		c.disks["c"].err = nil
		if voters, _, err := c.stage(2); err != nil || len(voters) != 2 {
			t.Errorf("two votes, two needed: %v, %v", voters, err)
		}
	})
}
