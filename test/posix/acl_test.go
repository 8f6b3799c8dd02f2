package posix

import (
	"os"
	"strings"
	"testing"

	"dfs/fs"

	"golang.org/x/sys/unix"
)

// acls is users for tests of ACLs.
func acls(t *testing.T, text string) {
	t.Helper()
	need(t, "setfacl", "getfacl")
	users(t, `
facl() { getfacl -cnpE "$1" | grep . | paste -sd ' '; }
`+text)
}

func TestACL_LetsInAndKeepsOutOnEveryMount(t *testing.T) {
	acls(t, `
echo secret > f; chmod 600 f
no as1 cat f; no as1 cat $b/f
setfacl -m u:1001:r f
as1 cat f >/dev/null; as1 cat $b/f >/dev/null
no as2 cat $b/f; no as1 sh -c "echo x > $b/f"
setfacl -x u:1001 $b/f
no as1 cat f; no as1 cat $b/f
setfacl -m g:1005:rw f
as1 sh -c "echo x > $b/f"; no as2 cat f
setfacl -m m::r $b/f
no as1 sh -c "echo y > f"; as1 cat f >/dev/null
mkdir d; chmod 700 d; echo x > d/f
no as2 ls $b/d; no as2 cat d/f
setfacl -m u:1002:x d
as2 cat $b/d/f >/dev/null; no as2 ls d
setfacl -b $b/d
no as2 cat d/f`)
}

func TestACL_AndTheModeChangeTogether(t *testing.T) {
	acls(t, `
echo x > f; chmod 640 f
setfacl -m u:1001:rwx f
is "$(stat -c %a f) $(stat -c %a $b/f)" "670 670"
is "$(facl $b/f)" "user::rw- user:1001:rwx group::r-- mask::rwx other::---"
chmod 604 $b/f
is "$(facl f)" "user::rw- user:1001:rwx group::r-- mask::--- other::r--"
no as1 sh -c "echo y > f"
is "$(ls -l f | cut -c11)" +
setfacl -b f
is "$(facl $b/f)" "user::rw- group::--- other::r--"
is "$(stat -c %a f)" 604
is "$(ls -l f | cut -c11)" " "
no getfattr --only-values -n system.posix_acl_access f 2>/dev/null || ! command -v getfattr >/dev/null
setfacl -k f; setfacl -b f
no setfacl -d -m u:1001:r f`)
}

func TestDefaultACL_IsInheritedInsteadOfTheUmask(t *testing.T) {
	acls(t, `
umask 077
echo x > plain; is "$(stat -c %a plain)" 600
mkdir d; chmod 777 d; setfacl -d -m u:1002:rwx,g::rx,o::- d
echo x > d/f; mkdir d/s; mkfifo d/p; ln -s f d/l
is "$(facl $b/d/f)" "user::rw- user:1002:rwx group::r-x mask::rw- other::---"
is "$(stat -c %a $b/d/f)" 660
is "$(facl $b/d/p)" "user::rw- user:1002:rwx group::r-x mask::rw- other::---"
is "$(facl $b/d/s)" "user::rwx user:1002:rwx group::r-x mask::rwx other::--- default:user::rwx default:user:1002:rwx default:group::r-x default:mask::rwx default:other::---"
is "$(stat -c %a $b/d/l)" 777
as2 sh -c "echo y > d/f"; no as1 cat $b/d/f
mkdir d/s/t; touch d/s/t/f
is "$(facl $b/d/s/t/f)" "user::rw- user:1002:rwx group::r-x mask::rw- other::---"
umask 027
setfacl -k $b/d
echo x > d/g; is "$(stat -c %a d/g)" 640
mkdir d/h; is "$(stat -c %a d/h)" 750
mkfifo -m 666 d/q; is "$(stat -c %a d/q)" 666
setfacl -d -m u::rwx,g::rwx,o::rx d; umask 077
echo x > d/i; is "$(facl $b/d/i)" "user::rw- group::rw- other::r--"`)
}

func TestACL_SurvivesCopyAndArchive(t *testing.T) {
	need(t, "tar", "cp")
	acls(t, `
mkdir d; echo x > d/f; setfacl -m u:1001:rw,m::rw d/f; setfacl -m g:1005:rwx d; setfacl -d -m u:1002:r d
cp -a d e
is "$(cd $b/e && facl f && facl .)" "$(cd d && facl f && facl .)"
tar --acls -cf t.tar d; mkdir u; tar --acls -xf t.tar -C u
is "$(cd $b/u/d && facl f && facl .)" "$(cd d && facl f && facl .)"
getfacl -nR d > saved; setfacl -bR $b/d; is "$(facl d/f)" "user::rw- group::r-- other::r--"
setfacl --restore=saved
is "$(cd $b/d && facl f && facl .)" "$(cd e && facl f && facl .)"`)
}

func TestACL_SetFromOutsideTheGroupTakesSetgid(t *testing.T) {
	acls(t, `
for group in 1005 1002; do
  echo x > f; chown 1001:$group f; chmod 2770 f
  mkdir -p d; chown 1001:$group d; chmod 2770 d
  as1 setfacl -m u:1002:rwx f d
  case $group in 1005) want=2770;; *) want=770;; esac
  is "$(stat -c %a f) $(stat -c %a $b/d)" "$want $want"
  chmod 2770 $b/f; setfacl -m u:1003:r f; is "$(stat -c %a f)" 2770
  rm -rf f d
done
echo x > f; no as1 setfacl -m u:1001:rwx f`)
}

func TestTmpfile_InheritsTheDefaultACL(t *testing.T) {
	need(t, "setfacl", "getfacl")
	r := start(t, 2, options{})
	d := r.dir() + "/d"
	must(t, os.Mkdir(d, 0o755))
	script(t, d, "setfacl -d -m u:1001:rw,o::- .; chgrp 1005 .; chmod g+s .")
	fd, err := unix.Open(d, unix.O_TMPFILE|unix.O_RDWR, 0o666)
	must(t, err)
	must(t, unix.Linkat(unix.AT_FDCWD, fdPath(fd), unix.AT_FDCWD, d+"/f", unix.AT_SYMLINK_FOLLOW))
	must(t, unix.Close(fd))
	if st := lstat(t, r.opts.Dirs[1]+"/d/f"); st.Mode&0o7777 != 0o660 || st.Gid != 1005 {
		t.Errorf("mode %o of group %d", st.Mode, st.Gid)
	}
	script(t, r.opts.Dirs[1]+"/d", `getfacl -cnpE f | grep -qx user:1001:rw-`)
}

func TestACL_IsRefusedWhereNobodyChecksPermissions(t *testing.T) {
	need(t, "setfacl")
	d := start(t, 1, options{NoPermissionChecks: true}).dir()
	must(t, os.WriteFile(d+"/f", nil, 0o600))
	script(t, d, "if setfacl -m u:1001:r f 2>err; then exit 1; fi; grep -q 'not supported' err; [ $(stat -c %a f) = 600 ]")
}

// The kernel asks for an ACL whenever it is to check permissions of what it was told of anew.
func TestACL_IsAskedForOnceAVersion(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become somebody else")
	}
	r := start(t, 2, options{AllowOther: true})
	must(t, os.Mkdir(r.dir()+"/d", 0o755))
	must(t, os.WriteFile(r.dir()+"/d/f", nil, 0o644))
	must(t, asNobody(t, "stat", r.dir()+"/d/f"))
	// What is known needs no cluster.
	for _, step := range []string{"getxattr", "listxattr"} {
		r.must(command{Do: "fault", Step: step, Err: fs.CodeCorrupt})
	}
	must(t, asNobody(t, "stat", r.dir()+"/d/f"))
	must(t, unix.Chmod(r.opts.Dirs[1]+"/d", 0o751))
	if err := asNobody(t, "stat", r.dir()+"/d/f"); err == nil {
		t.Error("the ACL of a directory that was changed has not been asked for")
	}
	r.must(command{Do: "clear"})
	must(t, asNobody(t, "stat", r.dir()+"/d/f"))
}

func TestACL_ReadThroughADescriptorIsWhatWasSetThere(t *testing.T) {
	f := start(t, 1, options{}).dir() + "/f"
	must(t, os.WriteFile(f, nil, 0o640))
	fd, err := unix.Open(f, unix.O_RDWR, 0)
	must(t, err)
	defer unix.Close(fd)
	const name = "system.posix_acl_access"
	get := func() string {
		buf := make([]byte, 100)
		n, err := unix.Fgetxattr(fd, name, buf)
		if err != nil {
			return err.Error()
		}
		return string(buf[:n])
	}
	if got := get(); got != unix.ENODATA.Error() {
		t.Errorf("before: %q", got)
	}
	acl := "\x02\x00\x00\x00\x01\x00\x06\x00\xff\xff\xff\xff\x02\x00\x06\x00\x01\x00\x00\x00\x04\x00\x04\x00\xff\xff\xff\xff" +
		"\x10\x00\x06\x00\xff\xff\xff\xff\x20\x00\x00\x00\xff\xff\xff\xff"
	must(t, unix.Fsetxattr(fd, name, []byte(acl), 0))
	if got := get(); got != acl {
		t.Errorf("set: %q", got)
	}
	var st unix.Stat_t
	must(t, unix.Fstat(fd, &st)) // now the mount may remember it
	if got := get(); got != acl {
		t.Errorf("after stat: %q", got)
	}
	must(t, unix.Fchmod(fd, 0o600))
	if got, want := get(), strings.Replace(acl, "\x10\x00\x06", "\x10\x00\x00", 1); got != want {
		t.Errorf("after chmod: %q, want %q", got, want)
	}
	must(t, unix.Fremovexattr(fd, name))
	if got := get(); got != unix.ENODATA.Error() {
		t.Errorf("removed: %q", got)
	}
}
