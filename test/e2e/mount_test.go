package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"dfs/test/harness"
)

// background mounts as users do, by a command that returns.
func background(t *testing.T, c *harness.Cluster, argv ...string) harness.Result {
	t.Helper()
	harness.NeedFUSE(t)
	argv[0] = harness.Program(t, argv[0])
	return harness.Command{Argv: argv, Dir: c.Dir, Timeout: time.Minute}.Exec()
}

func TestMountInTheBackground_WorksWhenTheCommandReturns(t *testing.T) {
	t.Parallel()
	c := harness.StartCluster(t, 1)
	dir, pid := c.MountPoint("bg"), filepath.Join(c.Dir, "bg.pid")
	mount := func() {
		t.Helper()
		r := background(t, c, "dfsmount", "--pid-file", pid, "--log-file", filepath.Join(c.Dir, "bg.log"), c.Addrs(), dir)
		if err := r.Failure(); err != nil {
			t.Fatal(err)
		}
		if r.Out+r.Err != "" {
			t.Errorf("a mount that works has something to say: %q", r.Out+r.Err)
		}
	}
	mount()
	harness.Run(t, "sh", "-c", "echo kept > "+dir+"/f && sync "+dir+"/f")
	if got := harness.Run(t, "findmnt", "-no", "FSTYPE,SOURCE", dir); !strings.Contains(got, "fuse.dfs") || !strings.Contains(got, c.Nodes[0].RPC) {
		t.Errorf("findmnt says %q", got)
	}
	again := background(t, c, "dfsmount", "--log-file", filepath.Join(c.Dir, "again.log"), c.Addrs(), dir)
	if again.Code != 1 || !strings.Contains(again.Err, "already") {
		t.Errorf("mounting twice: exit code %d, %q", again.Code, again.Err)
	}

	harness.KillDetached(t, pid, syscall.SIGKILL)
	mount() // over the dead one
	if got := harness.Run(t, "cat", dir+"/f"); got != "kept\n" {
		t.Errorf("got %q", got)
	}

	harness.Run(t, "sh", "-c", "exec 3> "+dir+"/late; echo written >&3; umount -l "+dir) // open while it is unmounted
	harness.Eventually(t, 20*time.Second, func() error { return gone(pid) })
	mount()
	if got := harness.Run(t, "cat", dir+"/late"); got != "written\n" {
		t.Errorf("after umount: got %q", got)
	}
	harness.KillDetached(t, pid, syscall.SIGTERM)
	if r := (harness.Command{Argv: []string{"mountpoint", "-q", dir}}).Exec(); r.Code == 0 {
		t.Error("still mounted after SIGTERM")
	}
}

// gone is nil when a process has removed its pid file: the last thing that it does.
func gone(pidFile string) error {
	if _, err := os.Stat(pidFile); err == nil {
		return errorf("%s is still there", pidFile)
	}
	return nil
}

func TestMountOptions_ReachTheKernel(t *testing.T) {
	t.Parallel()
	c := harness.StartCluster(t, 1)
	c.Mount().Sh(time.Minute, "echo x > f; chmod 600 f")
	ro := c.Mount("-o", "ro,allow_other")
	r := harness.Command{Dir: ro.Dir, Argv: []string{"sh", "-c", "echo y > f"}}.Exec()
	if r.Code == 0 || !strings.Contains(r.Err, "Read-only file system") {
		t.Errorf("writing to a read-only mount: %d %q", r.Code, r.Err)
	}
	options := harness.Run(t, "findmnt", "-no", "OPTIONS", ro.Dir)
	for _, want := range []string{"ro", "allow_other", "default_permissions", "nosuid", "nodev"} {
		if !strings.Contains(options, want) {
			t.Errorf("%s is not among %s", want, options)
		}
	}
	if os.Geteuid() != 0 {
		return
	}
	as := harness.Command{Dir: "/", Argv: []string{"setpriv", "--reuid=65534", "--clear-groups", "cat", ro.Path("f")}}.Exec()
	if as.Code == 0 || !strings.Contains(as.Err, "Permission denied") {
		t.Errorf("another user reads a private file: %d %q", as.Code, as.Err)
	}
}

func TestProgramNamedLikeTheSubtype_Mounts(t *testing.T) {
	t.Parallel()
	c := harness.StartCluster(t, 1)
	dir, pid := c.MountPoint("sub"), filepath.Join(c.Dir, "sub.pid")
	r := background(t, c, "dfs", c.Addrs(), dir, "-o", "rw,noauto,pid-file="+pid+",log-file="+filepath.Join(c.Dir, "sub.log"))
	if err := r.Failure(); err != nil {
		t.Fatal(err)
	}
	harness.Run(t, "touch", dir+"/f")
	harness.Run(t, "umount", dir)
	harness.Eventually(t, 20*time.Second, func() error { return gone(pid) })
}

func TestSignalledMount_WritesBackFirst(t *testing.T) {
	t.Parallel()
	c := harness.StartCluster(t, 1)
	m := c.Mount(longFlush)
	m.Sh(time.Minute, "exec 3> f; head -c 3M /dev/zero >&3; cp /dev/null g")
	m.Stop(30 * time.Second)
	if got := strings.TrimSpace(c.Mount().Sh(time.Minute, "stat -c %s f")); got != fmt.Sprint(3<<20) {
		t.Errorf("size %s after SIGTERM", got)
	}
}
