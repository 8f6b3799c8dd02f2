package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dfs/cluster/pki"
	"dfs/fs"
	"dfs/test/harness"
)

// tlsWorld is the machines of the README's section on TLS, each with a network and a /etc/dfs/tls of its own.
type tlsWorld struct {
	t      *testing.T
	fabric *harness.Fabric
	root   string // ROOT/MACHINE/etc/dfs/tls
	path   string // of programs: ours, and an scp that knows no network
	nodes  map[string]*harness.Process
}

var tlsNodes = []string{"a", "b", "c"}

func newTLSWorld(t *testing.T) *tlsWorld {
	t.Helper()
	harness.NeedFUSE(t)
	harness.NeedProgram(t, "curl")
	w := &tlsWorld{t: t, fabric: harness.NewFabric(t), root: t.TempDir(), nodes: map[string]*harness.Process{}}
	bin := filepath.Join(w.root, "bin")
	// scp -rp DIRECTORY MACHINE:PATH
	w.must(os.Mkdir(bin, 0o755), os.WriteFile(filepath.Join(bin, "scp"),
		[]byte(fmt.Sprintf("#!/bin/sh -e\nto=%s/${3%%%%:*}${3#*:}\nmkdir -p ${to%%/*}\nexec cp -rp $2 $to\n", w.root)), 0o755))
	w.path = bin + ":" + filepath.Dir(harness.Program(t, "dfs")) + ":" + os.Getenv("PATH")
	var curlrc strings.Builder
	for _, n := range tlsNodes {
		fmt.Fprintf(&curlrc, "resolve = %s:7480:%s\n", n, w.fabric.Address(n))
	}
	w.must(os.WriteFile(filepath.Join(w.root, ".curlrc"), []byte(curlrc.String()), 0o644))
	return w
}

func (w *tlsWorld) must(errs ...error) {
	w.t.Helper()
	for _, err := range errs {
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

// readmeBlocks are the sh blocks of a section of the README.
func readmeBlocks(t *testing.T, section string) []string {
	t.Helper()
	data, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(data), "\n## "+section+"\n")
	text, _, _ = strings.Cut(text, "\n## ")
	var blocks []string
	for {
		_, after, found := strings.Cut(text, "```sh\n")
		if !found {
			return blocks
		}
		block, rest, _ := strings.Cut(after, "```")
		blocks, text = append(blocks, block), rest
	}
}

// here is a line of the README as it is typed on a machine of this test's.
func (w *tlsWorld) here(machine, line string) string {
	var addrs []string
	for _, n := range tlsNodes {
		addrs = append(addrs, w.fabric.Address(n))
	}
	return strings.NewReplacer(" a,b,c", " "+strings.Join(addrs, ","), "/etc/dfs/tls", w.tls(machine)).Replace(line)
}

func (w *tlsWorld) tls(machine string) string { return filepath.Join(w.root, machine, "etc/dfs/tls") }

func (w *tlsWorld) env(more ...string) []string {
	return append([]string{"PATH=" + w.path, "CURL_HOME=" + w.root}, more...)
}

// logged waits until a node's log tells something.
func (w *tlsWorld) logged(node, text string) {
	w.t.Helper()
	harness.Eventually(w.t, 15*time.Second, func() error {
		if w.nodes[node].Logged(text) {
			return nil
		}
		return fmt.Errorf("the log of %s does not say %q:\n%s", node, text, w.nodes[node].Tail(20))
	})
}

func TestTLS_FromTheAuthorityToAMountAsInTheREADME(t *testing.T) {
	t.Parallel()
	w := newTLSWorld(t)
	blocks := readmeBlocks(t, "With TLS")
	if len(blocks) != 6 {
		t.Fatalf("the README's section on TLS has %d blocks: %q", len(blocks), blocks)
	}
	r := w.fabric.Shell("home", "cd "+w.root+"\n"+blocks[0], w.env()...)
	w.must(r.Failure())
	for _, n := range tlsNodes {
		w.nodes[n] = w.fabric.StartShell(n, w.here(n, blocks[1]), w.env("DFS_DIR="+filepath.Join(w.root, n, "data"), "DFS_NAME="+n)...)
	}
	harness.Eventually(t, time.Minute, func() error {
		r := w.fabric.Shell("ops", w.here("ops", blocks[3]), w.env()...)
		if err := r.Failure(); err != nil {
			return err
		}
		return want(r.Out, "quorum ok", "a ", "b ", "c ", "\nok\n")
	})
	dir := harness.MountPoint(t)
	mount := w.fabric.StartShell("laptop", strings.Replace(w.here("laptop", blocks[2]), "/mnt/x", dir, 1), w.env("DFS_FOREGROUND=true")...)
	harness.Eventually(t, 30*time.Second, func() error {
		if !mount.Alive() {
			t.Fatalf("dfsmount has ended:\n%s", mount.Tail(10))
		}
		return harness.Command{Argv: []string{"sh", "-c", "mountpoint -q . && ls"}, Dir: dir, Timeout: 10 * time.Second}.Exec().Failure()
	})
	harness.Shell(t, time.Minute, dir, "seq 300000 > f; sync f; seq 300000 | cmp - f; mkdir d; mv f d/; ls d")

	t.Run("tokens", func(t *testing.T) { w.tokens(t, blocks[4], blocks[5]) })
	// Files without a mount are for the same certificate, and the bundle for an operator's.
	local := filepath.Join(t.TempDir(), "x")
	r = w.fabric.Shell("laptop", w.here("laptop", "export DFS_TLS_DIR=/etc/dfs/tls DFS_HTTP="+w.fabric.Address("a")+
		"; dfs cat /d/f | cmp - "+filepath.Join(dir, "d/f")+" && echo x > "+local+" && dfs cp "+local+" dfs:/x && dfs ls"), w.env()...)
	w.must(r.Failure(), want(r.Out, "d", "x"))
	r = w.fabric.Shell("ops", w.here("ops", "dfs cat /x --tls-dir /etc/dfs/tls --http "+w.fabric.Address("a")), w.env()...)
	if r.Code == 0 || !strings.Contains(r.Err, `no certificate for the role "mount"`) {
		t.Errorf("an operator reads files: %q, %q", r.Out, r.Err)
	}
	t.Run("bound", func(t *testing.T) { w.bound(t, dir) })
	t.Run("strangers", func(t *testing.T) { w.strangers(t) })
	t.Run("gossip", func(t *testing.T) { w.wrongGossipKey(t) })
	mount.Stop(30 * time.Second)
}

// bound mounts a directory of the tree with certificates that allow no more; whole is a mount of all of it.
func (w *tlsWorld) bound(t *testing.T, whole string) {
	outer := w.t
	w.t = t
	defer func() { w.t = outer }()
	harness.Shell(t, time.Minute, whole, "seq 9 > secret; mkdir d/sub; ln d/f hard; sync d/f")
	for machine, scope := range map[string]fs.Scope{"web": {Subtree: "/d"}, "reader": {Subtree: "/d", ReadOnly: true}} {
		w.must(pki.Issue(filepath.Join(w.root, "dfs-ca"), w.tls(machine), pki.Request{Role: pki.RoleMount, Name: machine, Scope: scope}))
	}
	mount := func(machine, flags string) string {
		dir := harness.MountPoint(t)
		p := w.fabric.StartShell(machine, w.here(machine, "dfsmount --tls-dir /etc/dfs/tls "+flags+" a,b,c "+dir), w.env("DFS_FOREGROUND=true")...)
		harness.Eventually(t, 30*time.Second, func() error {
			if !p.Alive() {
				t.Fatalf("dfsmount has ended:\n%s", p.Tail(10))
			}
			return harness.Command{Argv: []string{"sh", "-c", "mountpoint -q . && ls"}, Dir: dir, Timeout: 10 * time.Second}.Exec().Failure()
		})
		t.Cleanup(func() { p.Stop(30 * time.Second) })
		return dir
	}
	web := mount("web", "")
	harness.Shell(t, time.Minute, web, `test "$(ls)" = "f
sub"; seq 300000 | cmp - f
mkdir new; seq 100000 > new/g; sync new/g; echo x >> f; mv new/g sub/g; rm -r new; df . > /dev/null`)
	harness.Shell(t, time.Minute, whole, "seq 100000 | cmp - d/sub/g; tail -n 1 hard | grep -q x; test ! -e d/new")
	sub := mount("web", "--subtree /d/sub --read-only")
	harness.Shell(t, time.Minute, sub, `test "$(ls)" = g; seq 100000 | cmp - g; if touch t 2> /dev/null; then exit 1; fi`)
	reader := mount("reader", "")
	harness.Shell(t, time.Minute, reader, `seq 100000 | cmp - sub/g; touch t 2>&1 | grep -q "Read-only file system"`)
	for _, c := range []struct{ machine, script, says string }{
		{"web", "dfsmount -f --tls-dir /etc/dfs/tls --subtree /other a,b,c " + t.TempDir(), "/other does not lie within /d"},
		{"web", "dfsmount -f --tls-dir /etc/dfs/tls --subtree /d/none a,b,c " + t.TempDir(), "open session in /d/none: no such file or directory"},
		{"laptop", "dfsmount -f --tls-dir /etc/dfs/tls --subtree /d/f a,b,c " + t.TempDir(), "open session in /d/f: not a directory"},
		{"web", "curl -sS -m 10 --cacert /etc/dfs/tls/ca.crt --cert /etc/dfs/tls/web.crt --key /etc/dfs/tls/web.key https://a:7480/v1/fs/secret; exit 1", "use a mount"},
	} {
		if r := w.fabric.Shell(c.machine, w.here(c.machine, c.script), w.env()...); r.Code == 0 || !strings.Contains(r.Err+r.Out, c.says) {
			t.Errorf("%s: %s: exit code %d, %q, %q", c.machine, c.script, r.Code, r.Out, r.Err)
		}
	}
}

// strangers tries every port with certificates that are none.
func (w *tlsWorld) strangers(t *testing.T) {
	outer := w.t
	w.t = t
	defer func() { w.t = outer }()
	ca, other := filepath.Join(w.root, "dfs-ca"), filepath.Join(w.root, "other-ca")
	w.must(pki.InitCA(other))
	issue := func(authority, machine string, r pki.Request) {
		r.Name = "x"
		w.must(pki.Issue(authority, w.tls(machine), r))
	}
	day := 24 * time.Hour
	issue(other, "foreign", pki.Request{Role: pki.RoleAdmin})
	issue(ca, "late", pki.Request{Role: pki.RoleAdmin, From: time.Now().Add(-9 * day), Days: 1})
	issue(ca, "early", pki.Request{Role: pki.RoleAdmin, From: time.Now().Add(day), Days: 1})
	issue(ca, "mounter", pki.Request{Role: pki.RoleMount})
	w.must(os.MkdirAll(w.tls("nobody"), 0o755))

	cacert := "curl -sS -m 10 --cacert " + filepath.Join(ca, pki.CACertFile) + " https://a:7480/v1/status "
	withCert := "--cert /etc/dfs/tls/x.crt --key /etc/dfs/tls/x.key"
	for _, c := range []struct{ machine, script, says, logs string }{
		{"nobody", cacert, "certificate required", "didn't provide a certificate"},
		{"foreign", cacert + withCert, "curl", "unknown authority"},
		{"late", cacert + withCert, "curl", "has expired"},
		{"early", cacert + withCert, "curl", "is not yet valid"},
		{"nobody", "dfs status --insecure --addr a,b,c", "speaks TLS only, say --tls-dir", "it does not speak TLS, and this node demands it"},
		{"nobody", "dfs status --addr a,b,c", "no TLS is set up: say --tls-dir", ""},
		{"foreign", "dfs status --tls-dir /etc/dfs/tls --addr a,b,c --timeout 5s", "unknown authority", "bad certificate"},
		{"mounter", "dfs status --tls-dir /etc/dfs/tls --addr a,b,c", `no certificate for the role "admin"`, ""},
		{"mounter", "dfs status --tls-dir /etc/dfs/tls --tls-cert /etc/dfs/tls/x.crt --tls-key /etc/dfs/tls/x.key --addr a,b,c", `is for the role "mount"`, ""},
	} {
		r := w.fabric.Shell(c.machine, w.here(c.machine, c.script), w.env()...)
		if r.Code == 0 || r.Out != "" || !strings.Contains(r.Err, c.says) {
			t.Errorf("%s: %s: exit code %d, %q, %q", c.machine, c.script, r.Code, r.Out, r.Err)
		}
		if c.logs != "" {
			w.logged("a", c.logs)
		}
	}
}

// wrongGossipKey starts a node that has a certificate but another gossip key.
func (w *tlsWorld) wrongGossipKey(t *testing.T) {
	outer := w.t
	w.t = t
	defer func() { w.t = outer }()
	w.must(pki.Issue(filepath.Join(w.root, "dfs-ca"), w.tls("stray"), pki.Request{Role: pki.RoleNode, Name: "stray"}))
	key := filepath.Join(w.root, "other-ca", pki.GossipKeyFile)
	d := w.fabric.StartShell("stray", w.here("stray", "dfsnode --tls-dir /etc/dfs/tls --join a,b,c"),
		w.env("DFS_DIR="+filepath.Join(w.root, "stray", "data"), "DFS_GOSSIP_KEY="+key)...)
	harness.Eventually(t, 20*time.Second, func() error {
		for _, n := range tlsNodes {
			if w.nodes[n].Logged("gossip refused: the other side has another gossip key") {
				return nil
			}
		}
		return fmt.Errorf("no node has said that it refused gossip")
	})
	harness.Eventually(t, 30*time.Second, func() error { return want(d.Tail(50), "no other node is heard of") })
}
