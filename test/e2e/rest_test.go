package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dfs/fs"
	"dfs/test/harness"
)

// status runs curl and returns the HTTP status.
func status(t *testing.T, args ...string) string {
	t.Helper()
	return harness.Run(t, append([]string{"curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}"}, args...)...)
}

func TestREST_AndAMountAreOneFilesystem(t *testing.T) {
	t.Parallel()
	harness.NeedProgram(t, "curl")
	c := harness.StartCluster(t, 3)
	m := c.Mount()
	local := filepath.Join(c.Dir, "local")
	harness.Run(t, "sh", "-c", "head -c 20M /dev/urandom > "+local)

	// What one node takes, the mount has at once, and another node serves.
	if got := status(t, "-T", local, c.Nodes[0].URL("/v1/fs/f")); got != "201" {
		t.Fatalf("PUT: %s", got)
	}
	m.Sh(time.Minute, "cmp f "+local)
	harness.Run(t, "sh", "-c", fmt.Sprintf("curl -sSf %s | cmp - %s", c.Nodes[1].URL("/v1/fs/f"), local))
	harness.Run(t, "sh", "-c", fmt.Sprintf("tail -c +5000001 %s | head -c 100 > %[1]s.part; curl -sSf -r 5000000-5000099 %s | cmp - %[1]s.part", local, c.Nodes[2].URL("/v1/fs/f")))

	// The other way round, and over the same inode.
	m.Sh(time.Minute, "chmod 600 f; mkdir d; echo one > d/x; ln f d/hard")
	if got := harness.Run(t, "curl", "-sSf", c.Nodes[1].URL("/v1/fs/d/x")); got != "one\n" {
		t.Errorf("got %q", got)
	}
	if got := status(t, "-X", "PUT", "-d", "two", c.Nodes[2].URL("/v1/fs/f")); got != "204" {
		t.Errorf("PUT over a file: %s", got)
	}
	if got := m.Sh(time.Minute, "cat d/hard; stat -c ' %a %h' f"); got != "two 600 2\n" {
		t.Errorf("got %q", got)
	}

	// An upload that is cut leaves nothing.
	harness.Run(t, "sh", "-c", fmt.Sprintf("head -c 5M %s | timeout 1 curl -sS -T - --limit-rate 1M %s; :", local, c.Nodes[0].URL("/v1/fs/cut")))
	if got := status(t, c.Nodes[0].URL("/v1/fs/cut")); got != "404" {
		t.Errorf("after a cut: %s", got)
	}

	// dfs without a mount.
	dfs := func(args ...string) string {
		t.Helper()
		argv := append([]string{harness.Program(t, "dfs")}, args...)
		return harness.Run(t, append(argv, "--http", strings.TrimPrefix(c.Nodes[1].URL(""), "http://"))...)
	}
	dfs("cp", local, "dfs:/d/")
	m.Sh(time.Minute, "cmp d/local "+local)
	if got := dfs("ls", "/d"); got != "x\nhard\nlocal\n" {
		t.Errorf("ls: %q", got)
	}
	if got := dfs("cat", "/d/x"); got != "one\n" {
		t.Errorf("cat: %q", got)
	}
	s, err := c.Status()
	if err != nil {
		t.Fatal(err)
	}
	rest := 0
	for _, session := range s.Sessions {
		if strings.HasPrefix(session.Mount.Path, fs.RestPath) {
			rest++
		}
	}
	if rest != 3 {
		t.Errorf("%d sessions of REST", rest)
	}
	c.Nodes[0].Stop(30 * time.Second) // which has a session and closes it
}
