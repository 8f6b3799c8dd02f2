package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dfs/test/harness"
)

// One cluster and one mount serve all the tools: what one leaves behind must not disturb the next.
func TestOrdinaryTools_WorkOnAMount(t *testing.T) {
	t.Parallel()
	c := harness.StartCluster(t, 3)
	m := c.Mount()
	local := t.TempDir()

	t.Run("tar", func(t *testing.T) {
		c.In(t)
		makeTree(t, filepath.Join(local, "tree"), 300)
		harness.Shell(t, time.Minute, local, "tar cf tree.tar tree")
		m.Sh(3*time.Minute, fmt.Sprintf("tar xf %[1]s/tree.tar && diff -r --no-dereference -x fifo tree %[1]s/tree && test -p tree/fifo", local))
		m.Sh(time.Minute, fmt.Sprintf("tar df %s/tree.tar", local)) // modes, owners and times too
	})
	t.Run("git", func(t *testing.T) {
		c.In(t)
		harness.NeedProgram(t, "git")
		makeRepository(t, filepath.Join(local, "repo"))
		out := m.Sh(3*time.Minute, fmt.Sprintf("git clone -q %s/repo clone && git -C clone fsck --full && git -C clone status --porcelain", local))
		if strings.TrimSpace(out) != "" {
			t.Errorf("git status is not clean:\n%s", out)
		}
		m.Sh(time.Minute, `cd clone && git checkout -q -b work && echo more >> f1 &&
			git -c user.name=n -c user.email=e commit -qam more && git gc -q && git fsck --full`)
	})
	for _, mode := range []string{"delete", "truncate", "persist", "memory", "wal"} {
		t.Run("sqlite "+mode, func(t *testing.T) {
			c.In(t)
			harness.NeedProgram(t, "sqlite3")
			const commits = 60
			sql := &strings.Builder{}
			fmt.Fprintf(sql, "pragma journal_mode=%s; create table t(n integer primary key, s text);\n", mode)
			for i := range commits {
				fmt.Fprintf(sql, "begin; insert into t(s) values('%s'); commit;\n", strings.Repeat("x", 10*i))
			}
			db := mode + ".db"
			r := harness.Command{Dir: m.Dir, Argv: []string{"sqlite3", "-bail", db}, Stdin: sql.String(), Timeout: 3 * time.Minute}.Exec()
			if err := r.Failure(); err != nil {
				t.Fatal(err)
			}
			got := m.Sh(time.Minute, fmt.Sprintf("sqlite3 %s 'pragma integrity_check; select count(*) from t'", db))
			if want := fmt.Sprintf("ok\n%d\n", commits); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
	t.Run("large file", func(t *testing.T) {
		c.In(t)
		harness.Shell(t, time.Minute, local, "head -c 200M /dev/urandom > large")
		m.Sh(5*time.Minute, fmt.Sprintf("cp %[1]s/large large && cmp %[1]s/large large && cp large %[1]s/back && cmp %[1]s/large %[1]s/back", local))
	})
	t.Run("rm", func(t *testing.T) {
		c.In(t)
		m.Sh(3*time.Minute, "rm -rf ./* && test -z \"$(ls -A)\"")
	})
	m.Unmount()
	for _, n := range c.Nodes {
		n.Stop(15 * time.Second)
	}
}

// makeTree makes a tree of about n files of all sorts and sizes.
func makeTree(t *testing.T, dir string, n int) {
	t.Helper()
	content := strings.Repeat("the quick brown fox jumps over the lazy dog\n", 6000)
	for i := range n {
		sub := filepath.Join(dir, fmt.Sprintf("d%d", i%7), fmt.Sprintf("e%d", i%31))
		if err := os.MkdirAll(sub, 0o755); err != nil {
			t.Fatal(err)
		}
		size := (i * i * 37) % 20000
		if i%50 == 0 {
			size = len(content) - i
		}
		if err := os.WriteFile(filepath.Join(sub, fmt.Sprintf("f%d", i)), []byte(content[i%40:][:min(size, len(content)-40)]), 0o600|os.FileMode(i%2*0o155)); err != nil {
			t.Fatal(err)
		}
	}
	harness.Shell(t, time.Minute, dir, `ln -s d0 link; ln -s nowhere dangling; mkfifo fifo; ln d1/e1/f1 hard
		mkdir empty; touch -d 2001-02-03T04:05:06.789 d0/e0/f0; chmod 4755 hard; printf x > 'a name with spaces and ünïcödé'`)
}

func makeRepository(t *testing.T, dir string) {
	t.Helper()
	harness.Shell(t, time.Minute, filepath.Dir(dir), fmt.Sprintf(`git init -q %[1]s && cd %[1]s
		i=0; while [ $i -lt 60 ]; do
			seq $((i * 10)) > f$i; mkdir -p d$((i %% 5)); seq $i > d$((i %% 5))/g$i
			if [ $((i %% 6)) = 0 ]; then git add -A; git -c user.name=n -c user.email=e commit -qm "change $i"; fi
			i=$((i + 1))
		done
		git add -A; git -c user.name=n -c user.email=e commit -qm last`, dir))
}
