package vfs

import (
	"errors"
	"testing"

	"dfs/fs"
	"dfs/raftmeta/localmeta"
)

// groupACL is u::rw- u:7:r-- g::r-- m::r-- o::---, the mode 0640.
const groupACL = "\x02\x00\x00\x00\x01\x00\x06\x00\xff\xff\xff\xff\x02\x00\x04\x00\x07\x00\x00\x00\x04\x00\x04\x00\xff\xff\xff\xff" +
	"\x10\x00\x04\x00\xff\xff\xff\xff\x20\x00\x00\x00\xff\xff\xff\xff"

func (m *mount) acl(t *testing.T, ino fs.Ino) string {
	t.Helper()
	value, err := m.Getxattr(ctxT(t), ino, fs.XattrACLAccess)
	if err != nil && !errors.Is(err, fs.ErrNoXattr) {
		t.Fatal(err)
	}
	return string(value)
}

func TestACLUnderALease_ChangesWithTheMode(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m, other := w.leased(t, Config{}), w.leased(t, Config{})
	ino := m.create("f").Ino()
	if got := m.acl(t, ino); got != "" {
		t.Fatalf("a new file has %q", got)
	}
	if err := m.Setxattr(ctxT(t), ino, fs.XattrACLAccess, []byte(groupACL), 0); err != nil {
		t.Fatal(err)
	}
	if a := m.attr(ino); a.Mode != 0o640 || m.acl(t, ino) != groupACL {
		t.Fatalf("mode %o, ACL %q", a.Mode, m.acl(t, ino))
	}
	if n := m.asked(func() { m.acl(t, ino) }, reads...); n != 0 {
		t.Errorf("an ACL that is known is asked for %d times", n)
	}
	setattr(t, m, ino, fs.Setattr{Set: fs.SetMode, Mode: 0o600})
	got := m.acl(t, ino)
	if got == groupACL || got != other.acl(t, ino) {
		t.Errorf("after chmod it is %q, to another mount %q", got, other.acl(t, ino))
	}
}

func TestACLUnderALease_IsForgottenWhenAnotherMountChangesIt(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m, other := w.leased(t, Config{}), w.leased(t, Config{})
	ino := m.create("f").Ino()
	m.acl(t, ino)
	if err := other.Setxattr(ctxT(t), ino, fs.XattrACLAccess, []byte(groupACL), 0); err != nil {
		t.Fatal(err)
	}
	if a := m.attr(ino); a.Mode != 0o640 || m.acl(t, ino) != groupACL {
		t.Errorf("mode %o, ACL %q", a.Mode, m.acl(t, ino))
	}
}

func TestXattrsUnderALease_AreRememberedUpToABound(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m := w.leased(t, Config{})
	ino := m.create("f").Ino()
	for _, c := range []struct {
		name  string
		value int
		want  int // calls, when it is asked for once more
	}{{"user.small", 100, 0}, {"user.big", xattrKept, 1}} {
		if err := m.Setxattr(ctxT(t), ino, c.name, make([]byte, c.value), 0); err != nil {
			t.Fatal(err)
		}
		get := func() {
			if got, err := m.Getxattr(ctxT(t), ino, c.name); err != nil || len(got) != c.value {
				t.Fatal(len(got), err)
			}
		}
		get()
		if n := m.asked(get, reads...); n != c.want {
			t.Errorf("%s: %d calls, want %d", c.name, n, c.want)
		}
	}
}
