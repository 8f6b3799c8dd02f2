package e2e

import (
	"context"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"

	"google.golang.org/grpc"

	"dfs/cluster"
	"dfs/fs"
	"dfs/raftmeta/metarpc"
	"dfs/test/harness"
)

// hugeEntries is how large a directory TestHugeDirectory makes: go test ./test/e2e -run Huge -entries 1000000
var hugeEntries = flag.Int("entries", 50_000, "entries of the huge directory; seven digits at most")

// mountHeapMax bounds the memory of a dfsmount that lists a directory of any size, bytes.
const mountHeapMax = 128 << 20

func TestHugeDirectory_IsListedWholeWhileItShrinks(t *testing.T) {
	t.Parallel()
	n := *hugeEntries
	c := harness.StartCluster(t, 3)
	m := c.Mount()
	m.Sh(time.Minute, "mkdir huge")
	fill(t, c, "huge", n)

	wait := time.Minute + time.Duration(n)*time.Millisecond/2
	names := fmt.Sprintf("seq -f '%%07.0f' 0 %d", n-1)
	m.Sh(wait, names+" > names; ls huge | cmp - names") // each once, none twice
	if took := harness.Shell(t, wait, m.Dir, "ls -f huge | wc -l"); took != fmt.Sprintln(n+2) {
		t.Errorf("%d entries with . and .. are %s", n+2, took)
	}
	// One reader goes on where it was while another takes entries away before and behind it; what stays is shown once.
	m.Sh(wait, `ls -f huge | (read first; sleep 1; cat > rest) & sleep 0.2
		(cd huge; seq -f '%07.0f' 0 37 `+strconv.Itoa(n-1)+` | xargs rm); wait
		grep -v '^\.' rest | sort > listed; test -z "$(uniq -d listed)"
		ls huge > stay; test -z "$(comm -13 listed stay)"; test $(wc -l < stay) = `+strconv.Itoa(n-(n+36)/37))
	if peak := peakMemory(t, m.PID()); peak > mountHeapMax {
		t.Errorf("dfsmount took %d MiB of memory", peak>>20)
	}
}

// fill makes n empty files, named by number, in a directory of the root; many in each transaction, as no program could
// through the mount today.
func fill(t *testing.T, c *harness.Cluster, dir string, n int) {
	t.Helper()
	ctx := t.Context()
	dialer := cluster.NewDialer(cluster.DialerConfig{})
	defer dialer.Close() // nothing is in flight any more
	peers, err := cluster.ParseAddrs(c.Addrs(), cluster.PortRPC)
	if err != nil {
		t.Fatal(err)
	}
	meta, err := metarpc.NewClient(metarpc.Config{Peers: peers, Dial: func(addr string) (grpc.ClientConnInterface, error) {
		return dialer.DialGRPC(addr)
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer meta.Close() // nothing is in flight any more
	s, err := meta.OpenSession(ctx, fs.Mount{Host: "test", PID: os.Getpid(), Path: "fill"})
	if err != nil {
		t.Fatal(err)
	}
	stop := keepAlive(t, meta, s)
	defer stop()
	parent, err := meta.Lookup(ctx, fs.RootIno, dir)
	if err != nil {
		t.Fatal(err)
	}
	for seq, made := uint64(1), 0; made < n; seq++ {
		k := min(fs.TxOpsMax, n-made)
		inos, err := meta.AllocInos(ctx, s, k)
		if err != nil {
			t.Fatal(err)
		}
		tx := &fs.Tx{ID: fs.TxID{Session: s.ID, Seq: seq}, Epoch: s.Epoch, Done: seq}
		for i := range k {
			tx.Ops = append(tx.Ops, &fs.Create{Parent: parent.Ino, Name: fmt.Sprintf("%07d", made+i),
				Ino: inos.From + fs.Ino(i), Type: fs.TypeRegular, Mode: 0o644, Time: fs.TimeOf(time.Now())})
		}
		if r, err := meta.Commit(ctx, tx); err != nil || r.Err != fs.CodeOK {
			t.Fatal(r, err)
		}
		made += k
	}
	if err := meta.CloseSession(ctx, s); err != nil {
		t.Fatal(err)
	}
}

// keepAlive attaches a session to whoever leads and beats for it, until stop is called.
func keepAlive(t *testing.T, meta fs.Meta, s fs.Session) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			line, err := meta.Attach(ctx, s, fs.Held{})
			if err != nil {
				continue // it has a time-out of its own
			}
			for seq := uint64(1); err == nil; seq++ {
				if err = line.Send(fs.Beat{Seq: seq}); err != nil {
					break
				}
				select {
				case <-ctx.Done():
					err = ctx.Err()
				case <-time.After(time.Second):
				}
			}
			_ = line.Close() // abandoned: whatever it says changes nothing
		}
	}()
	return func() { cancel(); <-done }
}

// peakMemory is the most that a process has held in memory, bytes.
func peakMemory(t *testing.T, pid int) uint64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	if found == nil {
		t.Fatalf("no VmHWM in\n%s", status)
	}
	kib, err := strconv.ParseUint(string(found[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}
