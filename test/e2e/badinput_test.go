package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dfs/test/harness"
)

// badCase is a command line that cannot work: it must end soon, with an exit code that is not 0, and say why.
type badCase struct {
	name string
	env  []string
	argv []string
	code int
	says []string // all of them on standard error
}

func runBad(t *testing.T, cases []badCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			argv := append([]string{harness.Program(t, c.argv[0])}, c.argv[1:]...)
			r := harness.Command{Argv: argv, Env: c.env, Timeout: 20 * time.Second}.Exec()
			if r.Hung {
				t.Fatalf("hangs; it has said:\n%s%s", r.Out, r.Err)
			}
			if r.Code != c.code {
				t.Errorf("exit code %d, want %d", r.Code, c.code)
			}
			for _, s := range c.says {
				if !strings.Contains(r.Err, s) {
					t.Errorf("standard error does not say %q:\n%s", s, r.Err)
				}
			}
			if strings.Contains(r.Err, "goroutine ") {
				t.Errorf("a stack trace is no error message:\n%s", r.Err)
			}
		})
	}
}

func TestBadUsage_IsExplained(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte("zone: r1\nvotes: 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	runBad(t, []badCase{
		{"unknown flag", nil, []string{"dfsnode", "--nosuch"}, 2, []string{"--nosuch", "--help"}},
		{"two lists of nodes", nil, []string{"dfsnode", "a,b,c", "d"}, 2, []string{"--help", "at most 1"}},
		{"expect without join", nil, []string{"dfsnode", "--bootstrap-expect", "3"}, 2, []string{"--join"}},
		{"rubbish join", nil, []string{"dfsnode", "--join", "a:b:c"}, 2, []string{"--join", "a:b:c"}},
		{"rubbish address", nil, []string{"dfsnode", "--listen", "127.0.0.1:port"}, 2, []string{"--listen", "port"}},
		{"unknown policy", nil, []string{"dfsnode", "--placement", "best"}, 2, []string{"best", "weighted"}},
		{"rubbish size", nil, []string{"dfsnode", "--reserve", "much"}, 2, []string{"much", "512MiB"}},
		{"even voters", nil, []string{"dfsnode", "--voters", "4"}, 2, []string{"--voters", "1, 3 or 5"}},
		{"unknown variable", []string{"DFS_BOOTSTRAP_EXPCT=3"}, []string{"dfsnode"}, 2, []string{"DFS_BOOTSTRAP_EXPCT", "DFS_BOOTSTRAP_EXPECT"}},
		{"rubbish in a variable", []string{"DFS_VOTERS=many"}, []string{"dfsnode"}, 2, []string{"DFS_VOTERS", "many"}},
		{"unknown key", nil, []string{"dfsnode", "--config", file}, 2, []string{file, "votes", "voters"}},
		{"no configuration file", nil, []string{"dfsnode", "--config", file + "x"}, 2, []string{file + "x"}},
		{"rubbish failpoint", []string{"DFS_FAILPOINTS=x"}, []string{"dfsnode"}, 2, []string{"DFS_FAILPOINTS"}},
		{"no mount point", nil, []string{"dfsmount"}, 2, []string{"directory"}},
		{"unknown mount option", nil, []string{"dfsmount", "/mnt", "-o", "nosuch"}, 2, []string{"nosuch"}},
		{"mount option without value", nil, []string{"dfsmount", "/mnt", "-o", "zone"}, 2, []string{"zone", "value"}},
		{"rubbish nodes", nil, []string{"dfsmount", "a b", "/mnt"}, 2, []string{"a b"}},
		{"unknown subcommand", nil, []string{"dfs", "nosuch"}, 2, []string{"nosuch"}},
		{"rubbish transaction", nil, []string{"dfs", "tx", "show", "x"}, 2, []string{"SESSION.SEQ"}},
		{"no node list", nil, []string{"dfs", "lb", "simulate", "--policy", "p2c"}, 2, []string{"--nodes"}},
		{"no such node list", nil, []string{"dfs", "lb", "simulate", "--nodes", file + "x"}, 1, []string{file + "x"}},
	})
}

func TestBadSurroundings_AreExplained(t *testing.T) {
	t.Parallel()
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close() // nothing was accepted
	dir := t.TempDir()
	foreign := filepath.Join(dir, "foreign")
	plain := filepath.Join(dir, "file")
	harness.Shell(t, time.Minute, dir, "mkdir foreign empty; echo x > foreign/precious; echo x > file")
	ports := []string{"--gossip", "127.0.0.1:0", "--http", "off", "--metrics", "off"}
	node := func(args ...string) []string { return append(append([]string{"dfsnode"}, args...), ports...) }
	closed := "127.0.0.1:9" // discard: nobody listens there

	runBad(t, []badCase{
		{"busy port", nil, node("--dir", dir+"/a", "--listen", busy.Addr().String()), 1, []string{busy.Addr().String(), "--listen"}},
		{"busy HTTP port", nil, []string{"dfsnode", "--dir", dir + "/b", "--listen", "127.0.0.1:0", "--gossip", "127.0.0.1:0",
			"--metrics", "off", "--http", busy.Addr().String()}, 1, []string{busy.Addr().String(), "--http"}},
		{"directory below a file", nil, node("--dir", plain+"/x", "--listen", "127.0.0.1:0"), 1, []string{plain, "--dir"}},
		{"unwritable directory", nil, node("--dir", "/proc/dfs", "--listen", "127.0.0.1:0"), 1, []string{"/proc/dfs", "--dir"}},
		{"foreign directory", nil, node("--dir", foreign, "--listen", "127.0.0.1:0"), 1, []string{foreign, "precious", "--dir"}},
		{"not loopback", nil, node("--dir", dir+"/c", "--listen", "0.0.0.0:0"), 1, []string{"--insecure"}},
		{"mount point missing", nil, []string{"dfsmount", closed, dir + "/none"}, 1, []string{dir + "/none"}},
		{"mount point is a file", nil, []string{"dfsmount", closed, plain}, 1, []string{plain, "directory"}},
		{"no cluster for a mount", nil, []string{"dfsmount", "--connect-timeout", "3s", "--log-file", dir + "/log", closed, dir + "/empty"}, 1, []string{closed}},
		{"no cluster for a mount that stays", nil, []string{"dfsmount", "-f", "--connect-timeout", "3s", closed, dir + "/empty"}, 1, []string{closed}},
		{"remote nodes without insecure", nil, []string{"dfsmount", "-f", "--connect-timeout", "3s", "192.0.2.1", dir + "/empty"}, 1, []string{"--insecure"}},
		{"no cluster for dfs", nil, []string{"dfs", "status", "--timeout", "3s", "--addr", closed}, 1, []string{closed}},
	})
	if got := harness.Run(t, "cat", filepath.Join(foreign, "precious")); got != "x\n" {
		t.Errorf("the foreign directory was touched: %q", got)
	}
}

func TestDirectoryInUse_IsRefused(t *testing.T) {
	t.Parallel()
	c := harness.StartCluster(t, 1)
	n := c.Nodes[0]
	args := []string{"dfsnode", "--listen", "127.0.0.1:0", "--gossip", "127.0.0.1:0", "--http", "off", "--metrics", "off", "--dir", n.Data}
	runBad(t, []badCase{{"while it runs", nil, args, 1, []string{n.Data, "in use"}}})
	n.Kill()
	runBad(t, []badCase{{"under another name", nil, append(args, "--name", "other"), 1, []string{"other", n.Name}}})
}

func TestNodeOfAnotherCluster_IsRefused(t *testing.T) {
	t.Parallel()
	ours, theirs := harness.StartCluster(t, 1), harness.StartClusterNamed(t, "stray", 1)
	stray := theirs.Nodes[0]
	stray.Stop(15 * time.Second)
	argv := []string{harness.Program(t, "dfsnode"), "--dir", stray.Data, "--listen", "127.0.0.1:0", "--gossip", "127.0.0.1:0",
		"--http", "off", "--metrics", "off", "--join", ours.Nodes[0].GossipAddr()}
	r := harness.Command{Argv: argv, Timeout: 30 * time.Second}.Exec()
	if r.Hung || r.Code != 1 || !strings.Contains(r.Err, "another cluster") {
		t.Errorf("hung %v, exit code %d, said:\n%s", r.Hung, r.Code, r.Err)
	}
	if s, err := ours.Status(); err != nil || len(s.Nodes) != 1 {
		t.Errorf("our cluster has changed: %+v, %v", s, err)
	}
}

func TestFullDisk_IsENOSPCAndHeals(t *testing.T) {
	t.Parallel()
	c := harness.StartCluster(t, 1, "--max-bytes", "120MiB", "--garbage-grace", "1s")
	m := c.Mount()
	r := harness.Command{Dir: m.Dir, Argv: []string{"dd", "if=/dev/urandom", "of=big", "bs=1M", "count=200", "conv=fsync"}, Timeout: 3 * time.Minute}.Exec()
	if r.Code == 0 || !strings.Contains(r.Err, "No space left on device") {
		t.Fatalf("writing more than there is: exit code %d\n%s", r.Code, r.Err)
	}
	m.Sh(time.Minute, "ls -l big && cat big > /dev/null && rm big")
	harness.Eventually(t, 3*time.Minute, func() error {
		script := "dd if=/dev/urandom of=again bs=1M count=30 conv=fsync"
		return harness.Command{Dir: m.Dir, Argv: []string{"sh", "-c", script}}.Exec().Failure()
	})
}

func TestStatusWithoutQuorum_SaysSo(t *testing.T) {
	t.Parallel()
	c := harness.StartCluster(t, 3)
	c.Nodes[0].Kill()
	c.Nodes[1].Kill()
	last := c.Nodes[2]
	harness.Eventually(t, 20*time.Second, func() error {
		r := c.Dfs(last.RPC, "status")
		if err := r.Failure(); err != nil {
			return err
		}
		return want(r.Out, "NO QUORUM", "n1", "dead")
	})
	m := fmt.Sprintf("%s: a mount without a quorum", last.Name)
	dir := t.TempDir()
	runBad(t, []badCase{{m, nil, []string{"dfsmount", "-f", "--connect-timeout", "4s", c.Addrs(), dir}, 1, []string{"quorum"}}})
}
