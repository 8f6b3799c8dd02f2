package posix

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// mountsAt counts the mounts at dir.
func mountsAt(t *testing.T, dir string) int {
	t.Helper()
	info, err := os.ReadFile("/proc/self/mountinfo")
	must(t, err)
	return strings.Count(string(info), " "+dir+" ")
}

func TestKilledServer_LeavesAMountThatTheNextOneReplaces(t *testing.T) {
	r := start(t, 1, options{})
	must(t, os.WriteFile(r.dir()+"/f", []byte("x"), 0o644))
	r.kill()
	<-r.exited
	want(t, "stat of the dead mount", stat(r.dir()), unix.ENOTCONN)

	again := launch(t, r.opts)
	must(t, os.WriteFile(again.dir()+"/g", []byte("y"), 0o644))
	if n := mountsAt(t, r.dir()); n != 1 {
		t.Errorf("%d mounts, want the dead one to be gone", n)
	}
}

func TestMount_RefusesWhatCannotBe(t *testing.T) {
	r := start(t, 1, options{})
	base := filepath.Dir(r.dir())
	must(t, os.WriteFile(base+"/file", nil, 0o644))
	for _, c := range []struct{ dir, says string }{
		{r.dir(), "already mounted by a running dfs"},
		{base + "/nothing", "no such file or directory"},
		{base + "/no/thing", "no such file or directory"},
		{base + "/file", "not a directory"},
		{base + "/file/below", "not a directory"},
	} {
		_, err := tryLaunch(t, options{Dirs: []string{c.dir}}, nil)
		if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), c.dir) {
			t.Errorf("mount on %s: %v, want %q", c.dir, err, c.says)
		}
	}
	must(t, stat(r.dir()))
}

func TestMount_FollowsASymlinkAndCoversWhatIsThere(t *testing.T) {
	base := tempDir(t)
	must(t, os.Mkdir(base+"/a dir", 0o755)) // mountinfo writes the blank as \040
	must(t, os.WriteFile(base+"/a dir/hidden", nil, 0o644))
	must(t, os.Symlink("a dir", base+"/link"))
	r := launch(t, options{Dirs: []string{base + "/link"}})
	want(t, "stat of the hidden", stat(base+"/a dir/hidden"), unix.ENOENT)
	must(t, os.WriteFile(base+"/link/f", nil, 0o644))
	if _, err := tryLaunch(t, options{Dirs: []string{base + "/a dir"}}, nil); err == nil {
		t.Error("mounted twice")
	}
	r.must(command{Do: "unmount", Wait: 5000})
	must(t, stat(base+"/a dir/hidden"))
}

func TestUmountByOthers_EndsTheServer(t *testing.T) {
	r := start(t, 1, options{})
	must(t, os.WriteFile(r.dir()+"/f", []byte("x"), 0o644))
	must(t, unix.Unmount(r.dir(), 0))
	// Unmounting what is unmounted is no error.
	r.must(command{Do: "unmount", Wait: 5000})
}

func TestUnmount_WaitsForUsersAndThenDetaches(t *testing.T) {
	r := start(t, 1, options{})
	must(t, os.WriteFile(r.dir()+"/f", []byte("x"), 0o644))
	f, err := os.OpenFile(r.dir()+"/f", os.O_RDWR, 0)
	must(t, err)
	begin := time.Now()
	_, err = r.tell(command{Do: "unmount", Wait: 500})
	if err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("unmount: %v", err)
	}
	if took := time.Since(begin); took < 400*time.Millisecond {
		t.Errorf("it gave up after %v", took)
	}
	if n := mountsAt(t, r.dir()); n != 0 {
		t.Errorf("still %d mounts", n)
	}
	// Who has it open goes on.
	_, err = f.WriteAt([]byte("y"), 0)
	must(t, err)
	must(t, f.Close())
}

func TestUnmount_SucceedsWhenTheLastUserLeaves(t *testing.T) {
	r := start(t, 1, options{})
	must(t, os.WriteFile(r.dir()+"/f", []byte("x"), 0o644))
	cmd := child("hold", r.dir()+"/f", 0)
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	_, err = out.Read(make([]byte, 1))
	must(t, err)
	time.AfterFunc(300*time.Millisecond, func() { in.Write([]byte("\n")) })
	r.must(command{Do: "unmount", Wait: 10_000})
	must(t, cmd.Wait())
}

func TestAbortedConnection_IsUnmounted(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root aborts a connection")
	}
	r := start(t, 1, options{})
	var st unix.Stat_t
	must(t, unix.Stat(r.dir(), &st))
	control := tempDir(t)
	if err := unix.Mount("fusectl", control, "fusectl", 0, ""); err != nil {
		t.Skip("no fusectl: ", err)
	}
	t.Cleanup(func() { must(t, unix.Unmount(control, 0)) })
	abort := filepath.Join(control, itoa(unix.Minor(st.Dev)), "abort")
	must(t, os.WriteFile(abort, []byte("1"), 0))
	eventually(t, "the mount disappears", func() bool { return mountsAt(t, r.dir()) == 0 })
}

func TestReadOnlyMount_RefusesEveryChange(t *testing.T) {
	r := start(t, 1, options{ReadOnly: true})
	d := r.dir()
	for name, err := range map[string]error{
		"create":   os.WriteFile(d+"/f", nil, 0o644),
		"mkdir":    unix.Mkdir(d+"/d", 0o755),
		"symlink":  unix.Symlink("x", d+"/l"),
		"mkfifo":   unix.Mkfifo(d+"/p", 0o644),
		"chmod":    unix.Chmod(d, 0o700),
		"chown":    unix.Chown(d, 1, 1),
		"setxattr": unix.Setxattr(d, "user.a", nil, 0),
		"utimes":   unix.UtimesNano(d, []unix.Timespec{{}, {}}),
	} {
		want(t, name, err, unix.EROFS)
	}
	if _, err := os.ReadDir(d); err != nil {
		t.Error(err)
	}
}

func TestMountAsUser_WorksThroughFusermount(t *testing.T) {
	bin, err := exec.LookPath("fusermount3")
	if err != nil || os.Geteuid() != 0 {
		t.Skip("needs fusermount3, and root to become somebody else")
	}
	info, err := os.Stat("/dev/fuse")
	must(t, err)
	if info.Mode()&0o006 != 0o006 {
		t.Skip("users may not open /dev/fuse here, and ", bin, " opens it as they")
	}
	base := tempDir(t)
	must(t, os.Mkdir(base+"/m", 0o755))
	must(t, unix.Chown(base+"/m", nobody, nobody))
	asUser := func(cmd *exec.Cmd) {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	opts := options{Dirs: []string{base + "/m"}}
	r, err := tryLaunch(t, opts, asUser)
	if err != nil {
		t.Fatalf("%v\n%s", err, r.log)
	}
	// The root of the tree belongs to root; even so it can be looked at.
	must(t, asNobody(t, "stat", base+"/m"))
	if _, err := tryLaunch(t, opts, asUser); err == nil || !strings.Contains(err.Error(), "already mounted") {
		t.Errorf("mounted twice: %v", err)
	}
	_, err = tryLaunch(t, options{Dirs: opts.Dirs, AllowOther: true}, asUser)
	if err == nil {
		t.Error("allow_other without user_allow_other in /etc/fuse.conf")
	}
	r.must(command{Do: "unmount", Wait: 5000})
	if n := mountsAt(t, base+"/m"); n != 0 {
		t.Errorf("%d mounts left", n)
	}
}
