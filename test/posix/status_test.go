package posix

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestStatusFiles_AreThereButNotInTheWay(t *testing.T) {
	t.Parallel()
	r := start(t, 1, options{StatusFiles: true})
	dir := r.dir()
	must(t, os.Mkdir(filepath.Join(dir, "d"), 0o755))
	script(t, dir, `
[ "$(ls -A)" = d ]
[ "$(cat .dfs/hello)" = "hello, world" ]
[ "$(head -c 5 .dfs/hello)" = hello ]
[ "$(ls -A .dfs | tr '\n' ' ')" = "hello stats " ]
[ "$(stat -c '%a %F' .dfs)" = "555 directory" ]
[ "$(stat -c '%a %F' .dfs/hello)" = "444 regular empty file" ]
grep -q lookup .dfs/stats; grep -q 'bytes read' .dfs/stats
cp .dfs/hello copy; grep -qx 'hello, world' copy`)
	for _, c := range []struct {
		what string
		err  error
		want error
	}{
		{"mkdir", os.Mkdir(filepath.Join(dir, ".dfs"), 0o755), syscall.EEXIST},
		{"rmdir", syscall.Rmdir(filepath.Join(dir, ".dfs")), syscall.EPERM},
		{"rename", os.Rename(filepath.Join(dir, ".dfs"), filepath.Join(dir, "x")), syscall.EPERM},
		{"replace", syscall.Rename(filepath.Join(dir, "d"), filepath.Join(dir, ".dfs")), syscall.EPERM},
		{"create in it", os.WriteFile(filepath.Join(dir, ".dfs", "x"), nil, 0o644), syscall.EROFS},
		{"write", os.WriteFile(filepath.Join(dir, ".dfs", "hello"), nil, 0o644), syscall.EROFS},
		{"remove", os.Remove(filepath.Join(dir, ".dfs", "hello")), syscall.EROFS},
		{"in another directory", os.Mkdir(filepath.Join(dir, "d", ".dfs"), 0o755), nil},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v, want %v", c.what, c.err, c.want)
		}
	}
}
