package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"dfs/blob/memstore"
	"dfs/cmd/internal/cli"
	"dfs/fs"
	"dfs/fs/rest"
	"dfs/fs/vfs"
	"dfs/raftmeta/localmeta"
)

// node is the REST front of a cluster in memory.
type node struct {
	t      *testing.T
	addr   string
	files  *vfs.FS
	front  http.Handler
	answer func(http.ResponseWriter, *http.Request) bool
}

func startNode(t *testing.T, cfg rest.Config) *node {
	t.Helper()
	meta, err := localmeta.New(localmeta.Config{})
	if err != nil {
		t.Fatal(err)
	}
	n := &node{t: t}
	n.files, err = vfs.New(t.Context(), vfs.Config{OpTimeout: 10 * time.Second}, meta.Mount(nil), memstore.New(memstore.Config{Node: "n1"}))
	if err != nil {
		t.Fatal(err)
	}
	cfg.FS = func(context.Context) (*vfs.FS, error) { return n.files, nil }
	n.front = rest.New(cfg).Before(http.NotFoundHandler())
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.answer == nil || !n.answer(w, r) {
			n.front.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(func() {
		srv.Close()
		if err := n.files.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	n.addr = strings.TrimPrefix(srv.URL, "http://")
	return n
}

// dfs runs the command and returns its exit code and output.
func (n *node) dfs(stdin string, args ...string) (code int, out, errs string) {
	n.t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := command([]string{"DFS_HTTP=" + n.addr})
	cmd.SetIn(strings.NewReader(stdin))
	code = cli.Main(cmd, args, &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

// mustDfs is dfs that must succeed and say nothing but its output.
func (n *node) mustDfs(args ...string) string {
	n.t.Helper()
	code, out, errs := n.dfs("", args...)
	if code != 0 || errs != "" {
		n.t.Fatalf("dfs %q: exit code %d, %s", args, code, errs)
	}
	return out
}

func writeFile(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestCp_CopiesBothWays(t *testing.T) {
	n, dir := startNode(t, rest.Config{}), t.TempDir()
	src := filepath.Join(dir, "a b%")
	writeFile(t, src, "content")
	n.mustDfs("cp", src, "dfs:/x")
	n.mustDfs("cp", src, "dfs:") // into the root, by its own name
	if got := n.mustDfs("cat", "/x", "dfs:/a b%"); got != "contentcontent" {
		t.Errorf("cat: %q", got)
	}
	if got := n.mustDfs("ls"); got != "x\na b%\n" {
		t.Errorf("ls: %q", got)
	}
	if got := n.mustDfs("ls", "-l", "/x"); !strings.Contains(got, "file") || !strings.Contains(got, " 7 ") {
		t.Errorf("ls -l: %q", got)
	}
	n.mustDfs("cp", "dfs:/a b%", filepath.Join(dir, "back"))
	n.mustDfs("cp", "dfs:/x", dir)
	for _, name := range []string{"back", "x"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != "content" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if code, _, errs := n.dfs("piped", "cp", "-", "dfs:/piped"); code != 0 || n.mustDfs("cp", "dfs:/piped", "-") != "piped" {
		t.Errorf("standard input: %d %s", code, errs)
	}
	writeFile(t, filepath.Join(dir, "empty"), "")
	n.mustDfs("cp", filepath.Join(dir, "empty"), "dfs:/x")
	if got := n.mustDfs("cat", "/x"); got != "" {
		t.Errorf("replaced by nothing: %q", got)
	}
}

func TestCpOfATree_CopiesAllOfIt(t *testing.T) {
	n, dir := startNode(t, rest.Config{}), t.TempDir()
	tree := map[string]string{"f": "1", "d/g": "2", "d/e/h": "3", "d/\xff": "4"}
	for name, content := range tree {
		writeFile(t, filepath.Join(dir, "src", name), content)
	}
	if err := os.Symlink("f", filepath.Join(dir, "src", "link")); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := n.dfs("", "cp", "-r", filepath.Join(dir, "src"), "dfs:/dst"); code != 0 || !strings.Contains(errs, "link is left out") {
		t.Fatalf("up: %d %s", code, errs)
	}
	if _, err := n.files.Symlink(t.Context(), vfs.Caller{}, fs.RootIno, "out", "/etc"); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := n.dfs("", "cp", "-r", "dfs:/", filepath.Join(dir, "back")); code != 0 || !strings.Contains(errs, "/out is left out") {
		t.Fatalf("down: %d %s", code, errs)
	}
	for name, content := range tree {
		if got, err := os.ReadFile(filepath.Join(dir, "back", "dst", name)); err != nil || string(got) != content {
			t.Errorf("%q: %q, %v", name, got, err)
		}
	}
	if code, _, errs := n.dfs("", "cp", "dfs:/dst", dir); code != cli.ExitUsage || !strings.Contains(errs, "use -r") {
		t.Errorf("a directory without -r: %d %s", code, errs)
	}
}

func TestCp_WritesToWhatIsThereAsCpDoes(t *testing.T) {
	n, dir := startNode(t, rest.Config{}), t.TempDir()
	n.mustDfs("cp", "/proc/self/status", "dfs:/proc") // has no size before it is read
	if got := n.mustDfs("cat", "/proc"); !strings.Contains(got, "Pid:") {
		t.Errorf("a file of /proc has become %q", got)
	}
	tree, link := filepath.Join(dir, "tree"), filepath.Join(dir, "link")
	writeFile(t, filepath.Join(tree, "f"), "in the tree")
	if err := os.Symlink("tree", link); err != nil {
		t.Fatal(err)
	}
	n.mustDfs("cp", "-r", link, "dfs:/copy")
	if got := n.mustDfs("cat", "/copy/f"); got != "in the tree" {
		t.Errorf("a link to a directory has become %q", got)
	}
	defer syscall.Umask(syscall.Umask(0o077))
	long := filepath.Join(dir, strings.Repeat("n", fs.NameMax))
	n.mustDfs("cp", "dfs:/copy/f", long)
	if info, err := os.Stat(long); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the umask is not obeyed: %v, %v", info.Mode(), err)
	}
	old, oldLink, pipe := filepath.Join(dir, "old"), filepath.Join(dir, "old-link"), filepath.Join(dir, "pipe")
	writeFile(t, old, "old")
	if err := errors.Join(os.Chmod(old, 0o640), os.Symlink("old", oldLink), syscall.Mkfifo(pipe, 0o600)); err != nil {
		t.Fatal(err)
	}
	n.mustDfs("cp", "dfs:/copy/f", oldLink)
	info, err := os.Stat(old)
	if got, readErr := os.ReadFile(old); err != nil || readErr != nil || string(got) != "in the tree" || info.Mode().Perm() != 0o640 {
		t.Errorf("what a link leads to: %q, %v, %v, %v", got, info.Mode(), err, readErr)
	}
	reader, err := os.OpenFile(pipe, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	n.mustDfs("cp", "dfs:/copy/f", pipe)
	if info, err := os.Lstat(pipe); err != nil || info.Mode().Type() != os.ModeNamedPipe {
		t.Fatalf("the pipe was replaced: %v, %v", info.Mode(), err)
	}
	got := make([]byte, len("in the tree"))
	if _, err := io.ReadFull(reader, got); err != nil || string(got) != "in the tree" {
		t.Errorf("through the pipe: %q, %v", got, err)
	}
}

func TestCp_ThatFailsLeavesTheOldFile(t *testing.T) {
	n, dir := startNode(t, rest.Config{}), t.TempDir()
	dst := filepath.Join(dir, "f")
	writeFile(t, dst, "old")
	n.answer = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.RawQuery != "" {
			return false
		}
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write([]byte("half"))
		return true
	}
	if code, _, errs := n.dfs("", "cp", "dfs:/f", dst); code != cli.ExitFailed || !strings.Contains(errs, "EOF") {
		t.Errorf("%d %s", code, errs)
	}
	entries, err := os.ReadDir(dir)
	if got, readErr := os.ReadFile(dst); readErr != nil || string(got) != "old" || err != nil || len(entries) != 1 {
		t.Errorf("%q, %v, %v", got, entries, err)
	}
}

func TestFileErrors_SayWhatTheNodeSaid(t *testing.T) {
	tokens := filepath.Join(t.TempDir(), "tokens")
	writeFile(t, tokens, "# one\n0123456789abcdef\n")
	known, err := rest.ReadTokens(tokens)
	if err != nil {
		t.Fatal(err)
	}
	n := startNode(t, rest.Config{Tokens: known})
	n.mustDfs("ls", "--token-file", tokens)
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"ls"}, cli.ExitFailed, "unauthorized"},
		{[]string{"cat", "/none", "--token-file", tokens}, cli.ExitFailed, "dfs:/none: no such file or directory (not_found)"},
		{[]string{"cat", "/../x", "--token-file", tokens}, cli.ExitFailed, "invalid_path"},
		{[]string{"cp", "/a", "/b"}, cli.ExitUsage, "starts with"},
		{[]string{"cp", "dfs:/a", "dfs:/b"}, cli.ExitUsage, "starts with"},
		{[]string{"ls", "--http", "a:b:c"}, cli.ExitUsage, "--http"},
		{[]string{"ls", "--token-file", "/none"}, cli.ExitUsage, "--token-file"},
	} {
		if code, _, errs := n.dfs("", c.args...); code != c.code || !strings.Contains(errs, c.says) {
			t.Errorf("dfs %q: exit code %d, %s", c.args, code, errs)
		}
	}
}

func TestNamesFromANode_StayInTheDirectory(t *testing.T) {
	for href, want := range map[string]string{
		"/v1/fs/d/a%20b": "a b", "/v1/fs/d/...": "...", "/v1/fs/..": "", "/v1/fs/%2e%2e": "", "/v1/fs/%2fetc": "", "/v1/fs/": "", "/etc/x": "", "/v1/fs/%zz": "",
	} {
		if got, err := localName(href); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", href, got, err)
		}
	}
}

func TestProgress_IsShownOnATerminalOnly(t *testing.T) {
	var out bytes.Buffer
	p := newProgress(&out, "f", 100)
	if _, err := p.reader(strings.NewReader("x")).Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	p.end()
	if out.Len() > 0 {
		t.Errorf("shown: %q", out.String())
	}
	p.done = 50
	if got := p.line(time.Second); !strings.Contains(got, " 50% ") || !strings.Contains(got, "50 B of 100 B") || strings.Count(got, "#") != progressWidth/2 {
		t.Errorf("line %q", got)
	}
	p.total = -1
	if got := p.line(time.Second); strings.Contains(got, "%") {
		t.Errorf("line %q", got)
	}
}
