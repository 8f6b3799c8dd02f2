package raftmeta

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"dfs/fs"
	"dfs/raftmeta/state"
)

// snapshotNow makes a node take a snapshot and cut its log.
func snapshotNow(t *testing.T, n *Node) {
	t.Helper()
	if err := n.raft.Load().Snapshot().Error(); err != nil {
		t.Fatal(err)
	}
}

func TestAllNodes_ComeBackFromDisk(t *testing.T) {
	c := newCluster(t, 3, nil)
	s := c.session()
	for i := range 10 {
		c.must(c.leader(), s.tx(s.create(fmt.Sprint("f", i))))
	}
	c.converge()
	want := digest(t, c.leader())
	for _, id := range c.ids() {
		c.stop(id)
	}
	for i := range 3 {
		c.start(nodeID(i))
	}
	n := c.leader()
	if _, err := n.Lookup(c.ctx(), fs.RootIno, "f9"); err != nil {
		t.Fatal(err)
	}
	c.converge()
	if digest(t, n) != want {
		t.Error("the state has changed")
	}
	c.must(n, s.tx(s.create("after")))
}

// A power cut loses what was not synced: the state is rebuilt from snapshot and log, and is the same.
func TestNewBoot_RebuildsTheStateFromSnapshotAndLog(t *testing.T) {
	boot := "boot-1"
	c := newCluster(t, 1, func(cfg *Config) { cfg.bootID, cfg.TrailingEntries = boot, 2 })
	s := c.session()
	for i := range 20 {
		c.must(c.leader(), s.tx(s.create(fmt.Sprint("f", i))))
		if i == 9 {
			snapshotNow(t, c.leader())
		}
	}
	n := c.leader()
	if first, err := n.store.FirstIndex(); err != nil || first < 5 {
		t.Fatalf("the log still begins at %d (%v): the snapshot would not be needed", first, err)
	}
	want := digest(t, n)
	crashed := crashNode(t, n)
	for _, boot = range []string{"boot-1", "boot-2"} {
		c2 := &testCluster{t: t, dir: copyDir(t, crashed), tune: c.tune, nodes: map[fs.NodeID]*Node{},
			trans: map[fs.NodeID]*raft.InmemTransport{}, cut: map[fs.NodeID]bool{}, faults: map[fs.NodeID]map[string]func() error{}}
		// The state on disk is spoiled: who trusts it, shows it.
		markState(t, filepath.Join(c2.dir, "n1", "state"))
		n := c2.start("n1")
		c2.leader()
		if got := digest(t, n) == want; got != (boot == "boot-2") {
			t.Errorf("started in %s: the state is that of the log: %v", boot, got)
		}
		c2.close()
	}
}

// crashNode copies the directory of a node as it is now into a new one, in the place that it has in a cluster's.
func crashNode(t *testing.T, n *Node) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Rename(copyDir(t, n.cfg.Dir), filepath.Join(dir, string(n.cfg.ID))); err != nil {
		t.Fatal(err)
	}
	locks, err := filepath.Glob(filepath.Join(dir, "*", "state", "*", "LOCK"))
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range locks {
		if err := os.Remove(l); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// markState changes a state on disk behind its owner's back, keeping CURRENT as it is.
func markState(t *testing.T, dir string) {
	t.Helper()
	cur, err := readCurrent(dir)
	if err != nil || cur == nil {
		t.Fatalf("%+v %v", cur, err)
	}
	s, _, err := openStateDB(dir, dbConfig(cur.Boot), func(error) {})
	if err != nil {
		t.Fatal(err)
	}
	o := state.NewOverlay(state.NewMemory())
	at := s.live.applied
	if err := errors.Join(o.Set([]byte("zzz"), []byte{1}), s.write(o, at.position), s.close(), cur.write(dir)); err != nil {
		t.Fatal(err)
	}
}

func TestLaggingAndNewNodes_GetASnapshot(t *testing.T) {
	c := newCluster(t, 3, func(cfg *Config) { cfg.TrailingEntries = 2 })
	s := c.session()
	lagging := c.follower().cfg.ID
	c.stop(lagging)
	for i := range 30 {
		c.must(c.leader(), s.tx(s.create(fmt.Sprint("f", i))))
	}
	leader := c.leader()
	snapshotNow(t, leader)
	first, err := leader.store.FirstIndex()
	if err != nil {
		t.Fatal(err)
	}
	n := c.start(lagging)
	if last, err := n.store.LastIndex(); err != nil || last >= first {
		t.Fatalf("the node that was away ends at %d (%v), the leader's log begins at %d: no snapshot is needed", last, err, first)
	}
	c.converge()
	c.eventually("the local blob store is told to compare what it has with the new state", n.MissedDecisions)
	joined := c.start("n9")
	if id, err := c.leader().Join(c.ctx(), fs.NodeInfo{ID: "n9", Addr: addrOf("n9")}, ""); err != nil || id != "test-cluster" {
		t.Fatalf("join: %q %v", id, err)
	}
	c.converge()
	if joined.ClusterID() != "test-cluster" {
		t.Errorf("the new node believes in cluster %q", joined.ClusterID())
	}
	want := digest(t, joined)
	c.stop("n9")
	if n := c.start("n9"); digest(t, n) != want {
		t.Error("the new node's state has changed over a restart")
	}
}

// A node that is killed between receiving a snapshot and having it as its state takes the snapshot at its next start.
func TestKilledInTheMiddleOfRestore_FinishesAtTheNextStart(t *testing.T) {
	for _, step := range []string{"restore.pair", "restore.filled"} {
		t.Run(step, func(t *testing.T) {
			killed := make(chan string, 1)
			c := newCluster(t, 3, func(cfg *Config) { cfg.TrailingEntries, cfg.bootID = 2, "boot" })
			s := c.session()
			victim := c.follower().cfg.ID
			c.setCut(victim, true)
			for i := range 2 * entriesAtOnce { // more than one message that is under way may hold
				c.must(c.leader(), s.tx(s.create(fmt.Sprint("f", i))))
			}
			snapshotNow(t, c.leader())
			n := c.node(victim)
			c.onStep(victim, step, func() error {
				if len(killed) == 0 {
					killed <- crashNode(t, n)
				}
				return errors.New("killed")
			})
			c.setCut(victim, false)
			dir := <-killed
			c.stop(victim)
			c.onStep(victim, step, nil)
			if err := os.RemoveAll(filepath.Join(c.dir, string(victim))); err != nil {
				t.Fatal(err)
			}
			if err := os.CopyFS(filepath.Join(c.dir, string(victim)), os.DirFS(filepath.Join(dir, string(victim)))); err != nil {
				t.Fatal(err)
			}
			for i := range 5 {
				c.must(c.leader(), s.tx(s.create(fmt.Sprint("g", i))))
			}
			old := c.leader().cfg.ID
			c.stop(old)
			c.start(old) // whoever leads now begins at the end of its log
			c.leader()
			n = c.start(victim)
			if _, err := os.Stat(filepath.Join(n.cfg.Dir, "state", "CURRENT")); err != nil {
				t.Error(err)
			}
			c.converge()
			if err := n.ctx.Err(); err != nil {
				t.Error("the node has stopped")
			}
		})
	}
}

// A node whose metadata was deleted must not vote under its name: it has forgotten what it acknowledged.
func TestNodeThatHasLostItsLog_DoesNotComeBackUnderItsName(t *testing.T) {
	c := newCluster(t, 3, nil)
	s := c.session()
	leader := c.leader()
	var others []*Node
	for _, id := range c.ids() {
		if id != leader.cfg.ID {
			others = append(others, c.node(id))
		}
	}
	behind, loses := others[0].cfg.ID, others[1].cfg
	c.converge()
	c.setCut(behind, true)
	c.must(leader, s.tx(s.create("precious"))) // acknowledged: the leader has it, and loses
	c.stop(loses.ID)
	if err := os.RemoveAll(loses.Dir); err != nil {
		t.Fatal(err)
	}
	c.stop(leader.cfg.ID)
	c.setCut(behind, false)
	_, err := c.open(loses.ID)
	if !errors.Is(err, fs.ErrCorrupt) || !strings.Contains(err.Error(), "dfs node remove "+string(loses.ID)) {
		t.Fatalf("it comes back: %v", err)
	}
	c.start(leader.cfg.ID)
	if _, err := c.leader().Lookup(c.ctx(), fs.RootIno, "precious"); err != nil {
		t.Error(err)
	}
}

func TestDamagedLog_IsRefusedWithAdvice(t *testing.T) {
	c := newCluster(t, 1, nil)
	s := c.session()
	for i := range 50 {
		c.must(c.leader(), s.tx(s.create(fmt.Sprint("f", i))))
	}
	c.stop("n1")
	dir := filepath.Join(c.dir, "n1", "wal")
	segments, err := filepath.Glob(filepath.Join(dir, "*.wal"))
	if err != nil || len(segments) == 0 {
		t.Fatal(segments, err)
	}
	flip(t, segments[0], 3000)
	_, err = c.open("n1")
	if !errors.Is(err, fs.ErrCorrupt) {
		t.Fatalf("opened a damaged log: %v", err)
	}
	for _, want := range []string{filepath.Join(c.dir, "n1"), "dfs node remove n1", "another name"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
}

func TestDamagedSnapshot_IsRefusedWhenNeeded(t *testing.T) {
	boot := "boot-1"
	c := newCluster(t, 1, func(cfg *Config) { cfg.bootID, cfg.TrailingEntries = boot, 2 })
	s := c.session()
	for i := range 20 {
		c.must(c.leader(), s.tx(s.create(fmt.Sprint("f", i))))
	}
	snapshotNow(t, c.leader())
	crashed := crashNode(t, c.leader())
	files, err := filepath.Glob(filepath.Join(crashed, "n1", "snapshots", "*", "state.bin"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	flip(t, files[0], 200)
	boot = "boot-2"
	c.dir = crashed
	if n, err := c.open("n1"); !errors.Is(err, fs.ErrCorrupt) {
		t.Errorf("opened with a damaged snapshot: %v", err)
		if n != nil {
			_ = n.Close()
		}
	}
}

// A committed entry that cannot be read back while running stops the node, and neither panics nor goes on behind it.
func TestLogThatGoesBadWhileRunning_StopsTheNode(t *testing.T) {
	c := newCluster(t, 3, nil)
	s := c.session()
	c.must(c.leader(), s.tx(s.create("a")))
	f := c.follower()
	f.store.cache.mu.Lock()
	f.store.cache.limit = -1 // keeps nothing: what is applied is read from disk
	f.store.cache.clear()
	f.store.cache.mu.Unlock()
	// The entry is stored well and spoiled before it is applied: the seal does not match.
	bad := errors.New("spoiled")
	c.onStep(f.cfg.ID, "log.read", func() error { return fmt.Errorf("%w: %w", bad, fs.ErrCorrupt) })
	c.must(c.leader(), s.tx(s.create("b")))
	select {
	case err := <-f.Failed():
		if !errors.Is(err, bad) || !strings.Contains(err.Error(), "dfs node remove") {
			t.Errorf("stopped with %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the node has not stopped")
	}
	if _, err := f.Getattr(c.ctx(), fs.RootIno); err == nil {
		t.Error("a stopped node answers")
	}
	c.must(c.leader(), s.tx(s.create("c"))) // the others go on
}

func TestHungDisk_StopsTheNode(t *testing.T) {
	c := newCluster(t, 3, func(cfg *Config) { cfg.Timings.DiskHang = 300 * time.Millisecond })
	s := c.session()
	old := c.leader()
	release := make(chan struct{})
	c.onStep(old.cfg.ID, "log.write", func() error { <-release; return nil })
	defer close(release)
	done := make(chan error, 1)
	tx := s.tx(s.create("a"))
	go func() {
		_, err := old.Commit(c.ctx(), tx)
		done <- err
	}()
	select {
	case err := <-old.Failed():
		if !strings.Contains(err.Error(), "disk") {
			t.Errorf("stopped with %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("a leader with a hung disk goes on leading")
	}
	if err := <-done; !errors.Is(err, fs.ErrUnavailable) {
		t.Errorf("the commit that hung: %v", err)
	}
	c.setCut(old.cfg.ID, true) // what the end of the process would do
	if r := c.retry(tx); r.Err != fs.CodeOK {
		t.Errorf("the commit, sent again: %v", r.Err)
	}
}

func TestSecondProcess_IsTold(t *testing.T) {
	c := newCluster(t, 1, nil)
	if _, err := c.open("n1"); !errors.Is(err, fs.ErrBusy) {
		t.Errorf("opened twice: %v", err)
	}
}

func TestBootstrap_OnlyWhereThereIsNothing(t *testing.T) {
	c := newCluster(t, 1, nil)
	n := c.node("n1")
	if err := n.Bootstrap([]fs.NodeInfo{{ID: "n1", Addr: addrOf("n1")}}, testInit()); !errors.Is(err, fs.ErrExist) {
		t.Errorf("bootstrapped twice: %v", err)
	}
	other := c.start("n2")
	if has, err := other.HasState(); has || err != nil {
		t.Errorf("a new node has a state: %v %v", has, err)
	}
	if err := other.Bootstrap([]fs.NodeInfo{{ID: "n1", Addr: addrOf("n1")}}, testInit()); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("bootstrapped others: %v", err)
	}
}
