package bench

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"dfs/test/harness"
)

const (
	stormDirs  = 100
	stormFiles = 50 // in each
	stormRuns  = 5
)

// storms are commands that look at everything in a tree.
var storms = []struct{ name, script string }{
	{"git status", "git status --porcelain"},
	{"find", "find . -path ./.git -prune -o -type f -size +1000k -print"},
	{"ls -lR", "ls -lR d* > /dev/null"},
	{"stat", "stat -c %s d*/* > /dev/null"},
}

// serveLoopback shows the directory env/below at env/mnt until it is unmounted.
func serveLoopback(env string) error {
	root, err := fs.NewLoopbackRoot(filepath.Join(env, "below"))
	if err != nil {
		return err
	}
	hour := time.Hour
	server, err := fs.Mount(filepath.Join(env, "mnt"), root, &fs.Options{
		MountOptions: fuse.MountOptions{DirectMount: true}, EntryTimeout: &hour, AttrTimeout: &hour, NegativeTimeout: &hour,
	})
	if err != nil {
		return err
	}
	server.Wait()
	return nil
}

// loopback mounts one, and returns where.
func loopback(b *testing.B) string {
	b.Helper()
	dir := harness.MountPoint(b) // whatever is mounted there at the end is detached
	below, mnt := b.TempDir(), dir
	base := b.TempDir()
	for name, target := range map[string]string{"below": below, "mnt": mnt} {
		if err := os.Symlink(target, filepath.Join(base, name)); err != nil {
			b.Fatal(err)
		}
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), loopbackEnv+"="+base)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = exec.Command("umount", mnt).Run() // MountPoint's own clean-up detaches it if that fails
		_ = cmd.Process.Kill()                // it has ended if that worked
		_ = cmd.Wait()
	})
	harness.Eventually(b, 10*time.Second, func() error {
		r := harness.Command{Argv: []string{"mountpoint", "-q", mnt}}.Exec()
		return r.Failure()
	})
	return mnt
}

func BenchmarkMetadataStorm(b *testing.B) {
	harness.NeedProgram(b, "git", "find", "mountpoint")
	c := harness.StartCluster(b, 3)
	ours, theirs := c.Mount().Dir, loopback(b)
	local := b.TempDir()
	harness.Shell(b, time.Minute, local, fmt.Sprintf(`git init -q . && for d in $(seq %d); do mkdir d$d; for f in $(seq %d); do echo $d $f > d$d/f$f; done; done
		git add . && git -c user.name=a -c user.email=a@b commit -qm x && git gc -q`, stormDirs, stormFiles))
	for _, dir := range []string{ours, theirs} {
		harness.Shell(b, 10*time.Minute, local, "cp -r . "+dir)
	}
	for _, s := range storms {
		b.Run(s.name, func(b *testing.B) {
			var took [2]time.Duration
			for b.Loop() {
				took = medians(b, s.script, ours, theirs)
			}
			b.ReportMetric(0, "ns/op") // leaves it out
			b.ReportMetric(took[0].Seconds()*1e3, "ms")
			b.ReportMetric(took[1].Seconds()*1e3, "loopback-ms")
			b.ReportMetric(took[0].Seconds()/took[1].Seconds(), "ratio")
		})
	}
}

// medians is how long a script takes in two directories, warm, in turn.
func medians(b *testing.B, script string, dirs ...string) (middle [2]time.Duration) {
	b.Helper()
	var took [2][]time.Duration
	for run := range stormRuns + 1 {
		for i, dir := range dirs {
			began := time.Now()
			harness.Shell(b, 5*time.Minute, dir, script)
			if run > 0 { // the first one warms it
				took[i] = append(took[i], time.Since(began))
			}
		}
	}
	for i := range took {
		slices.Sort(took[i])
		middle[i] = took[i][stormRuns/2]
	}
	return middle
}
