package harness

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// workDir is where this test binary's programs and mounts lie; leftovers are told from other people's by it.
var workDir = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "dfs-test-") })

// programs builds the three commands once; the race detector's tests get programs without it, which is what users run.
var programs = sync.OnceValues(func() (string, error) {
	dir, err := workDir()
	if err != nil {
		return "", err
	}
	bin := filepath.Join(dir, "bin")
	cmd := exec.Command("go", "build", "-o", bin+"/", "./cmd/dfsnode", "./cmd/dfsmount", "./cmd/dfs")
	cmd.Dir = moduleRoot()
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the commands: %w\n%s", err, out)
	}
	return bin, nil
})

// moduleRoot is found from the test's working directory, its package's.
func moduleRoot() string {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "."
	}
	return filepath.Dir(strings.TrimSpace(string(out)))
}

// Main runs a package's tests: func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }. It fails when something is left
// behind.
func Main(m *testing.M) int {
	code := m.Run()
	dir, err := workDir()
	if err != nil {
		fmt.Fprintln(os.Stderr, "harness:", err)
		return 1
	}
	if left := leftovers(dir); len(left) > 0 {
		fmt.Fprintf(os.Stderr, "harness: left behind:\n\t%s\n", strings.Join(left, "\n\t"))
		code = max(code, 1)
	}
	sweep(dir)
	return code
}

// Program is the path of a command; it is built at the first call.
func Program(t testing.TB, name string) string {
	t.Helper()
	bin, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(bin, name)
}

// NeedFUSE skips a test where nothing can be mounted.
func NeedFUSE(t testing.TB) {
	t.Helper()
	f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("needs /dev/fuse: %v", err)
	}
	_ = f.Close() // opened to see whether it can be
}

// NeedProgram skips a test for which a program is not installed.
func NeedProgram(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("needs %s", name)
		}
	}
}
