package posix

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestUnprivilegedChange_TakesSetIDBits(t *testing.T) {
	r := start(t, 2, options{AllowOther: true, Suid: true})
	f := r.dir() + "/f"
	for _, c := range []struct {
		verb       string
		mode, want uint32
	}{
		{"write", 0o6777, 0o777},
		{"write", 0o2767, 0o2767}, // without group execute it is no set-gid bit
		{"truncate", 0o6777, 0o777},
		{"open-truncate", 0o6777, 0o777},
		{"fallocate", 0o6777, 0o777},
	} {
		must(t, os.WriteFile(f, []byte("program"), 0o777))
		must(t, unix.Chmod(f, c.mode))
		must(t, asNobody(t, c.verb, f))
		if st := lstat(t, f); st.Mode&0o7777 != c.want {
			t.Errorf("%s: mode %o became %o, want %o", c.verb, c.mode, st.Mode&0o7777, c.want)
		}
		must(t, os.Remove(f))
	}
}

func TestPrivilegedChange_KeepsSetIDBits(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root is privileged")
	}
	f := start(t, 1, options{Suid: true}).dir() + "/f"
	must(t, os.WriteFile(f, []byte("program"), 0o755))
	must(t, unix.Chmod(f, 0o6755))
	for _, verb := range []string{"write", "truncate", "fallocate", "open-truncate"} {
		must(t, childDo(verb, f))
		if st := lstat(t, f); st.Mode&0o7777 != 0o6755 {
			t.Errorf("mode %o after root's %s", st.Mode&0o7777, verb)
		}
	}
}

func TestSetIDBitsSetWhileOpen_AreTakenByTheNextWrite(t *testing.T) {
	r := start(t, 1, options{AllowOther: true, Suid: true})
	f := r.dir() + "/f"
	must(t, os.WriteFile(f, []byte("program"), 0o777))
	must(t, unix.Chmod(f, 0o777))
	if os.Geteuid() != 0 {
		t.Skip("only root can become somebody else")
	}
	// The child writes, waits for a line, and writes again.
	cmd := child("write-twice", f, nobody)
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	_, err = out.Read(make([]byte, 1))
	must(t, err)
	must(t, unix.Chmod(f, 0o4777))
	_, err = in.Write([]byte("\n"))
	must(t, err)
	must(t, cmd.Wait())
	if st := lstat(t, f); st.Mode&0o7777 != 0o777 {
		t.Errorf("mode %o after the second write", st.Mode&0o7777)
	}
}

func TestPermissions_AreCheckedForOthers(t *testing.T) {
	d := start(t, 1, options{AllowOther: true}).dir()
	must(t, os.Mkdir(d+"/private", 0o700))
	must(t, os.WriteFile(d+"/private/f", []byte("x"), 0o644))
	must(t, os.WriteFile(d+"/f", []byte("x"), 0o644))
	must(t, os.Mkdir(d+"/sticky", 0o777))
	must(t, unix.Chmod(d+"/sticky", 0o1777))
	must(t, os.WriteFile(d+"/sticky/f", []byte("x"), 0o666))
	for _, c := range []struct {
		verb, path string
		allowed    bool
	}{
		{"stat", "/f", true}, {"stat", "/private/f", false}, {"write", "/f", false}, {"chmod", "/f", false},
		{"unlink", "/f", false}, {"create", "/g", false}, {"create", "/sticky/g", true}, {"unlink", "/sticky/f", false},
		{"unlink", "/sticky/g", true},
	} {
		if err := asNobody(t, c.verb, d+c.path); (err == nil) != c.allowed {
			t.Errorf("%s %s as nobody: %v", c.verb, c.path, err)
		}
	}
}

func TestNewFiles_BelongToTheirMaker(t *testing.T) {
	d := start(t, 1, options{AllowOther: true}).dir()
	must(t, unix.Chmod(d, 0o777))
	must(t, asNobody(t, "create", d+"/f"))
	if st := lstat(t, d+"/f"); st.Uid != nobody || st.Gid != nobody {
		t.Errorf("%d:%d", st.Uid, st.Gid)
	}
	must(t, os.Mkdir(d+"/team", 0o777))
	must(t, unix.Chown(d+"/team", 0, 77))
	must(t, unix.Chmod(d+"/team", 0o2777))
	must(t, asNobody(t, "create", d+"/team/f"))
	if st := lstat(t, d+"/team/f"); st.Uid != nobody || st.Gid != 77 {
		t.Errorf("%d:%d in a set-gid directory of group 77", st.Uid, st.Gid)
	}
}

func TestOtherUsers_AreLockedOutWithoutAllowOther(t *testing.T) {
	d := start(t, 1, options{}).dir()
	if err := asNobody(t, "stat", d); err == nil {
		t.Error("another user may look into the mount")
	}
}
