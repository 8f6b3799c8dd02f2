package harness

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"
)

// MountPoint makes a directory on which a test may mount by itself; what is mounted there at the end is detached.
func MountPoint(t testing.TB) string {
	t.Helper()
	dir := testDir(t)
	t.Cleanup(func() { detach(t, dir) })
	return dir
}

// Address is the address of a host, which is made at first use.
func (f *Fabric) Address(host string) string {
	f.t.Helper()
	return f.host(host)
}

// Shell runs a script on a host to its end, with env added.
func (f *Fabric) Shell(host, script string, env ...string) Result {
	f.t.Helper()
	f.host(host)
	return Command{Argv: f.within(host, []string{"sh", "-ec", script}), Env: env, Timeout: time.Minute}.Exec()
}

// StartShell starts a program by a line of shell on a host, with env added.
func (f *Fabric) StartShell(host, line string, env ...string) *Process {
	f.t.Helper()
	f.host(host)
	dir := testDir(f.t)
	f.t.Cleanup(func() { showLogs(f.t, dir) })
	return start(f.t, host, filepath.Join(dir, host+".log"), env, f.within(host, []string{"sh", "-c", fmt.Sprintf("exec %s", line)})...)
}
