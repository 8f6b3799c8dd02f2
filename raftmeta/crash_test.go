package raftmeta

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"dfs/fs"
	"dfs/raftmeta/command"
	"dfs/raftmeta/state/statetest"
)

const crashDir = "RAFTMETA_CRASH_DIR" // tells the test binary that it is the victim

// TestKill9_LosesNothingAcknowledged kills a node in the middle of its work, several times over. Everything that it has
// acknowledged must be there, and the state that it kept must be the one that its log makes.
func TestKill9_LosesNothingAcknowledged(t *testing.T) {
	if dir := os.Getenv(crashDir); dir != "" {
		crashVictim(t, dir)
		return
	}
	dir := t.TempDir()
	acked := 0
	for round := range 4 {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), crashDir+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		want := acked + 150 + rand.IntN(200)
		lines := bufio.NewScanner(out)
		for acked < want && lines.Scan() {
			if _, err := fmt.Sscanf(lines.Text(), "acked %d", &acked); err != nil && strings.Contains(lines.Text(), "FAIL") {
				t.Fatalf("round %d: %s", round, lines.Text())
			}
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // it was killed: its status says nothing
	}
	if acked < 500 {
		t.Fatalf("only %d commands before the kills", acked)
	}
	kept, rebuilt := reopenVictim(t, copyDir(t, dir), ""), reopenVictim(t, copyDir(t, dir), "another boot")
	if kept.inodes < uint64(acked) {
		t.Errorf("%d files were acknowledged, there are %d inodes", acked, kept.inodes)
	}
	if kept.digest != rebuilt.digest || kept.inodes != rebuilt.inodes {
		t.Errorf("the state kept has %d inodes, the one that the log makes %d", kept.inodes, rebuilt.inodes)
	}
}

func victimConfig(dir, boot string) Config {
	_, trans := raft.NewInmemTransport(raft.ServerAddress(addrOf("n1")))
	return Config{ID: "n1", Dir: filepath.Join(dir, "n1"), Addr: addrOf("n1"), Transport: trans, Timings: fast, bootID: boot,
		segmentSize: 256 << 10, stateTableSize: 1 << 20, SnapshotInterval: 50 * time.Millisecond, SnapshotEntries: 100,
		TrailingEntries: 20}
}

// crashVictim commits until it is killed, and says what was acknowledged.
func crashVictim(t *testing.T, dir string) {
	n, err := Open(victimConfig(dir, ""))
	if err != nil {
		t.Fatal(err)
	}
	if has, err := n.HasState(); err == nil && !has {
		if err := n.Bootstrap([]fs.NodeInfo{{ID: "n1", Addr: addrOf("n1")}}, testInit()); err != nil {
			t.Fatal(err)
		}
	}
	var s fs.Session
	eventually(t, "a session is open", func() bool {
		s, err = n.OpenSession(t.Context(), fs.Mount{})
		return err == nil
	})
	tellNothing(n)
	stats, err := n.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r, err := n.AllocInos(t.Context(), s, 10000)
	if err != nil {
		t.Fatal(err)
	}
	have := int(stats.Inodes)
	for i := range 10000 {
		create := &fs.Create{Parent: fs.RootIno, Name: fmt.Sprintf("%d-%d", s.ID, i), Ino: r.From + fs.Ino(i), Type: fs.TypeRegular, Time: 1}
		res, err := n.Commit(t.Context(), &fs.Tx{ID: fs.TxID{Session: s.ID, Seq: uint64(i + 1)}, Epoch: s.Epoch, Done: uint64(i + 1),
			Ops: []fs.Op{create}, Replicas: 1})
		if err != nil || res.Err != fs.CodeOK {
			t.Fatalf("%+v %v", res, err)
		}
		fmt.Printf("acked %d\n", have+i+1-1)
	}
}

type victimState struct {
	inodes uint64
	digest [32]byte
}

// reopenVictim opens what a killed node left, without letting it go on.
func reopenVictim(t *testing.T, dir, boot string) victimState {
	t.Helper()
	cfg := victimConfig(dir, boot)
	cfg.SnapshotInterval = time.Hour
	n, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}()
	eventually(t, "it leads again", n.IsLeader)
	st, err := n.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return victimState{st.Inodes, digest(t, n)}
}

// Whatever happens to three nodes (restarts, reboots, partitions, snapshots) while random commands run, all of them end
// in the same state.
func TestRandomTroubles_EndInEqualStates(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 9))
	boot := 0
	c := newClusterOf(t, 3, *statetest.NewGenerator(rng.IntN).Next().(*command.Init), func(cfg *Config) {
		cfg.TrailingEntries, cfg.bootID = 5, fmt.Sprint("boot", boot)
	})
	gen := statetest.NewGenerator(rng.IntN)
	for i := range 400 {
		cmd := gen.Next()
		n := c.leader()
		ctx, cancel := n.bound(c.ctx())
		answer, err := n.proposer.propose(ctx, command.Encode(cmd), 0)
		cancel()
		if err == nil {
			gen.Observe(cmd, answer)
		}
		if i%40 != 39 {
			continue
		}
		victim := nodeID(rng.IntN(3))
		switch rng.IntN(4) {
		case 0:
			c.stop(victim)
			c.start(victim)
		case 1:
			boot++
			c.stop(victim)
			c.start(victim)
		case 2:
			c.setCut(victim, true)
			c.leader()
			c.setCut(victim, false)
		case 3:
			snapshotNow(t, c.leader())
		}
	}
	c.converge()
}
