package harness

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Mount is a dfsmount process.
type Mount struct {
	*Process
	Dir     string
	cluster *Cluster
	host    string // in whose network namespace it runs; empty: the clients'
	program string // empty: dfsmount
}

// Mount mounts the cluster on a directory of its own, in the foreground of a child process, and waits until it answers.
func (c *Cluster) Mount(flags ...string) *Mount {
	c.t.Helper()
	return c.MountWith(nil, flags...)
}

// MountWith is Mount with env such as "DFS_FAILPOINTS=…".
func (c *Cluster) MountWith(env []string, flags ...string) *Mount {
	c.t.Helper()
	return c.start(&Mount{}, env, flags)
}

// MountAt is Mount on a host of its own, which Fabric.CutHost can cut off.
func (c *Cluster) MountAt(host string, flags ...string) *Mount {
	c.t.Helper()
	c.net.host(host)
	return c.start(&Mount{host: host}, nil, flags)
}

// MountBy is MountWith by another program than dfsmount, which understands the same arguments.
func (c *Cluster) MountBy(program string, env []string, flags ...string) *Mount {
	c.t.Helper()
	return c.start(&Mount{program: program}, env, flags)
}

func (c *Cluster) start(m *Mount, env, flags []string) *Mount {
	c.t.Helper()
	NeedFUSE(c.t)
	c.mounts++
	m.Dir, m.cluster = c.MountPoint(fmt.Sprintf("mnt%d", c.mounts)), c
	m.Start(env, flags...)
	return m
}

// MountPoint makes a directory on which a test may mount by itself; what is mounted there at the end is detached.
func (c *Cluster) MountPoint(name string) string {
	c.t.Helper()
	dir := filepath.Join(c.Dir, name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { detach(c.root, dir) })
	return dir
}

// Start mounts, or mounts again, with env such as "DFS_FAILPOINTS=…".
func (m *Mount) Start(env []string, flags ...string) {
	m.cluster.t.Helper()
	program := m.program
	if program == "" {
		program = Program(m.cluster.t, "dfsmount")
	}
	argv := append([]string{program, "--foreground", m.cluster.Addrs(), m.Dir}, flags...)
	if m.cluster.net != nil {
		argv = m.cluster.net.within(cmp.Or(m.host, clientNamespace), append(argv, "--insecure"))
	}
	name := filepath.Base(m.Dir)
	m.Process = start(m.cluster.t, name, filepath.Join(m.cluster.Dir, name+".log"), env, argv...)
	Eventually(m.cluster.t, 30*time.Second, func() error {
		if !m.Alive() {
			m.cluster.t.Fatalf("dfsmount has ended:\n%s", m.Tail(10))
		}
		return m.answers()
	})
}

// answers is nil when the mount is there and can be listed. A new mount that takes a dead one's place uncovers the directory
// below for a moment; so the one that is listed is asked what it is, by the same process.
func (m *Mount) answers() error {
	r := Command{Argv: []string{"sh", "-c", "stat -f -c %t . && ls"}, Dir: m.Dir, Timeout: 10 * time.Second}.Exec()
	if err := r.Failure(); err != nil {
		return err
	}
	if kind, _, _ := strings.Cut(r.Out, "\n"); kind != fmt.Sprintf("%x", unix.FUSE_SUPER_MAGIC) {
		return fmt.Errorf("%s is not mounted: it is of type %s", m.Dir, kind)
	}
	return nil
}

// Unmount unmounts as a user does, and waits for the process to have written everything back.
func (m *Mount) Unmount() {
	m.cluster.t.Helper()
	Run(m.cluster.t, "umount", m.Dir)
	if code := m.Wait(30 * time.Second); code != 0 {
		m.cluster.t.Errorf("dfsmount ended with exit code %d after umount:\n%s", code, m.Tail(10))
	}
}

// detach removes whatever is mounted, dead or alive; it never waits for the mount's process.
func detach(t testing.TB, dir string) {
	for isMounted(dir) {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			Run(t, "fusermount3", "-uz", dir)
		}
	}
}

// Path is a path in the mount.
func (m *Mount) Path(name string) string { return filepath.Join(m.Dir, name) }

// Sh runs a script in the mount.
func (m *Mount) Sh(timeout time.Duration, script string) string {
	m.cluster.t.Helper()
	return Shell(m.cluster.t, timeout, m.Dir, script)
}

func isMounted(dir string) bool {
	for _, m := range mountsUnder(filepath.Dir(dir)) {
		if m == dir {
			return true
		}
	}
	return false
}

// KillDetached ends a dfsmount that went to the background by itself; pidFile is its --pid-file.
func KillDetached(t testing.TB, pidFile string, s syscall.Signal) {
	t.Helper()
	data, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, s); err != nil {
		t.Fatalf("signal dfsmount %d: %v", pid, err)
	}
	Eventually(t, 30*time.Second, func() error {
		// A process that nobody waits for stays as a zombie until its parent does; it has ended all the same.
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return nil
		}
		return fmt.Errorf("dfsmount %d still runs", pid)
	})
}
