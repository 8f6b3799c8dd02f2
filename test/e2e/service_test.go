package e2e

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dfs/test/harness"
)

// serviceManager plays systemd: it has a notify socket and keeps what it hears.
type serviceManager struct {
	t    *testing.T
	conn *net.UnixConn
	path string
}

func newServiceManager(t *testing.T) *serviceManager {
	t.Helper()
	dir, err := os.MkdirTemp("", "dfs-notify-") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // in the temporary directory
	path := filepath.Join(dir, "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // nothing is written to it
	return &serviceManager{t: t, conn: conn, path: path}
}

// node starts a node, with the watchdog's patience of three seconds and env.
func (m *serviceManager) node(env ...string) *harness.Node {
	m.t.Helper()
	n := harness.StartCluster(m.t, 1).Nodes[0]
	n.Kill()
	n.Restart(append(env, "NOTIFY_SOCKET="+m.path, "WATCHDOG_USEC=3000000")...)
	return n
}

// next are the lines of the next message, nil if none comes within patience.
func (m *serviceManager) next(patience time.Duration) []string {
	m.t.Helper()
	if err := m.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		m.t.Fatal(err)
	}
	buffer := make([]byte, 64<<10)
	n, err := m.conn.Read(buffer)
	if err != nil {
		return nil
	}
	return strings.Split(string(buffer[:n]), "\n")
}

// await returns how long it took until a line with a prefix came.
func (m *serviceManager) await(prefix string, patience time.Duration) time.Duration {
	m.t.Helper()
	began := time.Now()
	for {
		left := patience - time.Since(began)
		lines := m.next(max(left, time.Millisecond))
		if slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, prefix) }) {
			return time.Since(began)
		}
		if lines == nil && left <= 0 {
			m.t.Fatalf("no %q within %s", prefix, patience)
		}
	}
}

// beats counts them for a while.
func (m *serviceManager) beats(during time.Duration) (count int) {
	m.t.Helper()
	for end := time.Now().Add(during); ; {
		lines := m.next(max(time.Until(end), time.Millisecond))
		if slices.Contains(lines, "WATCHDOG=1") {
			count++
		}
		if !time.Now().Before(end) {
			return count
		}
	}
}

func TestNodeUnderAServiceManager_IsReadyBeatsAndStops(t *testing.T) {
	t.Parallel()
	m := newServiceManager(t)
	n := m.node()
	m.await("READY=1", 20*time.Second)
	m.await("WATCHDOG=1", 20*time.Second)
	m.await("STATUS=in cluster ", 20*time.Second)
	// Three in three seconds by rights; a machine under load may be late by half, but not early.
	if count := m.beats(6 * time.Second); count < 3 || count > 7 {
		t.Errorf("%d beats in 6 s, want about 6", count)
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		n.Stop(20 * time.Second)
	}()
	m.await("STOPPING=1", 20*time.Second)
	<-stopped
}

func TestNodeWhoseDiskHangs_BeatsNoMore(t *testing.T) {
	t.Parallel()
	m := newServiceManager(t)
	// Each probe writes to three directories: two probes come back, the third hangs.
	m.node("DFS_FAILPOINTS=probe.write=sleep:10m@7")
	m.await("READY=1", 20*time.Second)
	m.await("WATCHDOG=1", 20*time.Second)
	m.await("WATCHDOG=1", 20*time.Second)
	m.await("STATUS=hangs", 20*time.Second)
	if n := m.beats(5 * time.Second); n != 0 {
		t.Errorf("%d beats while a write to the disk hung", n)
	}
}

func TestNodeWhoseDiskFails_EndsAndSaysWhich(t *testing.T) {
	t.Parallel()
	m := newServiceManager(t)
	n := m.node("DFS_FAILPOINTS=probe.write=error@20")
	if code := n.Wait(time.Minute); code != 1 {
		t.Errorf("exit code %d", code)
	}
	if err := want(n.Tail(5), "probe of the disk", n.Data); err != nil {
		t.Error(err)
	}
	m.await("STOPPING=1", time.Second)
}

func TestUnit_IsSound(t *testing.T) {
	t.Parallel()
	harness.NeedProgram(t, "systemd-analyze")
	text, err := os.ReadFile("../../.packaging/dfsnode.service")
	if err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(t.TempDir(), "dfsnode.service")
	// What is not installed here would be complained of.
	installed := strings.NewReplacer("/usr/bin/dfsnode", harness.Program(t, "dfsnode"), "Documentation=man:dfsnode(8)\n", "").Replace(string(text))
	if err := os.WriteFile(unit, []byte(installed), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("systemd-analyze", "verify", unit).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	// 2.0 on its scale up to 10 is "OK": nothing but files of its own and the network.
	r := harness.Command{Argv: []string{"systemd-analyze", "security", "--offline=true", "--threshold=20", unit}}.Exec()
	if err := r.Failure(); err != nil {
		t.Errorf("systemd-analyze security: %v", err)
	}
}
