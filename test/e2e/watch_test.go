package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"dfs/fs"
	"dfs/test/harness"
)

// watched reads the lines of dfs watch --json, without those of standard error.
func watched(t *testing.T, output string) (list []fs.Change) {
	t.Helper()
	for line := range strings.Lines(output) {
		if strings.HasPrefix(line, "watching ") {
			continue
		}
		var c fs.Change
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		list = append(list, c)
	}
	return list
}

func TestWatch_PrintsWhatMountsDoBelowAPath(t *testing.T) {
	t.Parallel()
	c := harness.StartCluster(t, 3)
	a, b := c.Mount(), c.Mount()
	a.Sh(time.Minute, "mkdir d other; sync d")
	w := c.StartDfs("watch", c.Addrs(), "watch", a.Path("d"))
	w.WaitPrinted(20*time.Second, "watching /d\n")
	b.Sh(time.Minute, "cd d; mkdir sub; echo x > sub/f; ln sub/f l; ln -s f s; mv sub/f sub/g; chmod 600 l; setfattr -n user.x -v 1 l || true; truncate -s 0 l; sync l; rm l; sync .")
	a.Sh(time.Minute, "echo no > other/no; sync other/no; mv d e; rm e/sub/g; rmdir e/sub; mkdir e/end; sync e")
	w.WaitPrinted(20*time.Second, "/e/end")
	w.Stop(10 * time.Second)
	for _, want := range []string{"mkdir       /d/sub  (", "create      /d/sub/f", "write       /d/", "link        /d/l", "symlink     /d/s", "rename      /d/sub/f → /d/sub/g",
		"attributes  /d/", "xattr       /d/", "  user.x  (", "truncate    /d/", "unlink      /d/l", "rename      /d → /e", "unlink      /e/sub/g", "rmdir       /e/sub", a.Dir, b.Dir} {
		if !strings.Contains(w.Output(), want) {
			t.Errorf("%q is not printed", want)
		}
	}
	if out := w.Output(); t.Failed() || strings.Contains(out, "other") || strings.Contains(out, "missing") {
		t.Errorf("printed:\n%s", out)
	}
	if err := dfs(c, c.Addrs(), 1, []string{"no such file"}, "watch", "/none"); err != nil {
		t.Error(err)
	}
}

// Nodes die while many files are made: each is printed once, in order, and nothing is missing as long as one of the two that are
// listened to lives.
func TestWatch_LosesNothingWhenNodesDie(t *testing.T) {
	t.Parallel()
	c := harness.StartCluster(t, 3)
	m := c.Mount()
	w := c.StartDfs("watch", c.Addrs(), "watch", "/", "--json")
	w.WaitPrinted(20*time.Second, "watching /\n")
	n := 0
	make := func() {
		m.Sh(time.Minute, fmt.Sprintf("for i in $(seq %d %d); do echo $i > f$i; done; sync .", n, n+49))
		n += 50
	}
	make()
	w.WaitPrinted(20*time.Second, fmt.Sprintf(`"/f%d"`, n-1))
	for _, victim := range c.Nodes {
		make()
		victim.Kill()
		make()
		victim.Start()
		c.WaitFormed(3)
		make()
		w.WaitPrinted(20*time.Second, fmt.Sprintf(`"/f%d"`, n-1))
	}
	w.Stop(10 * time.Second)
	next, last := 0, fs.Position{}
	for _, x := range watched(t, w.Output()) {
		if !last.Less(x.Position) {
			t.Errorf("%v behind %v", x.Position, last)
		}
		if last = x.Position; x.Kind != fs.ChangeCreate {
			continue
		}
		if x.Path != fmt.Sprintf("/f%d", next) {
			t.Fatalf("%s is printed, want /f%d", x.Path, next)
		}
		next++
	}
	if next != n {
		t.Errorf("%d files are printed, %d were made", next, n)
	}
}
