package fusefs

import (
	"context"
	"sync/atomic"
	"testing"

	"dfs/fs"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// acl is u::rw- u:7:r-- g::r-- m::r-- o::---, which sets the mode 0640.
const acl = "\x02\x00\x00\x00\x01\x00\x06\x00\xff\xff\xff\xff\x02\x00\x04\x00\x07\x00\x00\x00\x04\x00\x04\x00\xff\xff\xff\xff" +
	"\x10\x00\x04\x00\xff\xff\xff\xff\x20\x00\x00\x00\xff\xff\xff\xff"

func (r *rig) getACL(ino uint64) (string, fuse.Status) {
	in, buf := header(ino), make([]byte, 100)
	n, st := r.GetXAttr(nil, &in, fs.XattrACLAccess, buf)
	return string(buf[:n]), st
}

func TestRootACL_IsNoneOnceTheClusterIsGone(t *testing.T) {
	r := newRig(t, nil)
	var gone atomic.Bool
	r.root.gone = gone.Load
	ino, _, _ := r.create("f", 0)
	var out fuse.AttrOut
	r.ok("getattr", r.GetAttr(nil, &fuse.GetAttrIn{InHeader: header(1)}, &out))
	if err := r.fs.Close(context.Background()); err != nil { // from here on nothing is answered
		t.Fatal(err)
	}
	if _, st := r.getACL(1); st == fuse.OK || st == fuse.ENODATA {
		t.Errorf("the root has an ACL or none although the cluster may still say: %v", st)
	}
	gone.Store(true)
	if _, st := r.getACL(1); st != fuse.ENODATA {
		t.Errorf("%v", st)
	}
	if _, _, ok := r.acls.get(fs.RootIno, fs.XattrACLAccess); ok {
		t.Error("that is remembered for when the cluster is back")
	}
	if _, st := r.getACL(ino); st == fuse.OK || st == fuse.ENODATA {
		t.Errorf("a file's ACL comes from memory: %v", st)
	}
}

func TestACL_IsRememberedForTheVersionThatTheKernelWasTold(t *testing.T) {
	r := newRig(t, nil)
	ino := r.mkdir("f")
	look := func() {
		t.Helper()
		in := header(1)
		r.ok("lookup", r.Lookup(nil, &in, "f", &fuse.EntryOut{}))
	}
	set := func(value string) {
		t.Helper()
		// As another mount does: past this front.
		err := r.fs.Setxattr(context.Background(), fs.Ino(ino), fs.XattrACLAccess, []byte(value), 0)
		if err != nil {
			t.Fatal(err)
		}
	}
	look()
	if got, st := r.getACL(ino); st != fuse.ENODATA {
		t.Errorf("%q, %v", got, st)
	}
	set(acl)
	if got, st := r.getACL(ino); st != fuse.ENODATA { // the kernel goes by the old mode, too
		t.Errorf("before the next lookup: %q, %v", got, st)
	}
	for range 2 {
		look()
		if got, st := r.getACL(ino); got != acl || st != fuse.OK {
			t.Errorf("%q, %v", got, st)
		}
	}
	// An answer that was asked for before the kernel was told of a change is not kept.
	_, o, _ := r.acls.get(fs.Ino(ino), fs.XattrACLDefault)
	set(acl[:len(acl)-8] + "\x20\x00\x04\x00\xff\xff\xff\xff")
	look()
	r.acls.put(o, fs.XattrACLDefault, []byte("old"))
	if value, _, ok := r.acls.get(fs.Ino(ino), fs.XattrACLDefault); ok {
		t.Errorf("kept: %q", value)
	}
}

func TestACL_IsForgottenBeforeALeaseGoesBack(t *testing.T) {
	r := newRig(t, nil)
	r.kernel = &kernel{dropped: make(map[uint64]int)}
	for name, drop := range map[string]func(fs.Ino){"attr": r.DropAttr, "pages": r.DropPages} {
		ino, _, _ := r.create(name, 0)
		in := header(1)
		r.ok("lookup", r.Lookup(nil, &in, name, &fuse.EntryOut{}))
		if _, st := r.getACL(ino); st != fuse.ENODATA {
			t.Fatal(st)
		}
		if _, _, ok := r.acls.get(fs.Ino(ino), fs.XattrACLAccess); !ok {
			t.Fatal("nothing is remembered")
		}
		drop(fs.Ino(ino))
		if _, _, ok := r.acls.get(fs.Ino(ino), fs.XattrACLAccess); ok {
			t.Errorf("%s: it is remembered without the lease", name)
		}
	}
}

func TestACLs_AreRememberedUpToABound(t *testing.T) {
	m := &acls{}
	for n := range fs.Ino(aclsMax + 10) {
		m.told(&fs.Attr{Ino: n + 1, Version: 1})
	}
	if len(m.known) > aclsMax {
		t.Errorf("%d are remembered", len(m.known))
	}
}

func TestUmask_ComesAlongWithWhatIsMade(t *testing.T) {
	r := newRig(t, nil)
	var out fuse.EntryOut
	r.ok("mkdir", r.Mkdir(nil, &fuse.MkdirIn{InHeader: header(1), Mode: 0o777, Umask: 0o27}, "d", &out))
	if out.Mode != unix.S_IFDIR|0o750 {
		t.Errorf("mkdir made %o", out.Mode)
	}
	r.ok("mknod", r.Mknod(nil, &fuse.MknodIn{InHeader: header(1), Mode: unix.S_IFIFO | 0o666, Umask: 0o77}, "p", &out))
	if out.Mode != unix.S_IFIFO|0o600 {
		t.Errorf("mknod made %o", out.Mode)
	}
	var made fuse.CreateOut
	in := fuse.CreateIn{InHeader: header(1), Flags: unix.O_RDWR, Mode: 0o666, Umask: 0o2}
	r.ok("create", r.Create(nil, &in, "f", &made))
	if made.Mode != unix.S_IFREG|0o664 {
		t.Errorf("create made %o", made.Mode)
	}
	r.ok("tmpfile", r.Tmpfile(nil, &in, &made))
	if made.Mode != unix.S_IFREG|0o664 {
		t.Errorf("tmpfile made %o", made.Mode)
	}
}
