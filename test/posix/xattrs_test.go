package posix

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestXattr_AnswersAsTheManualSays(t *testing.T) {
	d := start(t, 1, options{}).dir()
	f := d + "/f"
	must(t, os.WriteFile(f, nil, 0o644))
	get := func(name string, size int) (int, error) { return unix.Getxattr(f, name, make([]byte, size)) }

	must(t, unix.Setxattr(f, "user.a", []byte("value"), unix.XATTR_CREATE))
	want(t, "create again", unix.Setxattr(f, "user.a", []byte("v"), unix.XATTR_CREATE), unix.EEXIST)
	want(t, "replace nothing", unix.Setxattr(f, "user.b", []byte("v"), unix.XATTR_REPLACE), unix.ENODATA)
	must(t, unix.Setxattr(f, "user.a", []byte("longer value"), unix.XATTR_REPLACE))
	if n, err := get("user.a", 0); n != 12 || err != nil {
		t.Errorf("length: %d, %v", n, err)
	}
	_, err := get("user.a", 11)
	want(t, "a small buffer", err, unix.ERANGE)
	if n, err := get("user.a", 100); n != 12 || err != nil {
		t.Errorf("value: %d, %v", n, err)
	}
	_, err = get("user.b", 0)
	want(t, "get nothing", err, unix.ENODATA)
	want(t, "remove nothing", unix.Removexattr(f, "user.b"), unix.ENODATA)
	_, err = unix.Listxattr(f, make([]byte, 3))
	want(t, "list into a small buffer", err, unix.ERANGE)
	want(t, "no namespace", unix.Setxattr(f, "a", []byte("v"), 0), unix.EOPNOTSUPP)
	want(t, "of nothing", unix.Setxattr(d+"/g", "user.a", nil, 0), unix.ENOENT)
	want(t, "a longer name", unix.Setxattr(f, "user."+tooLong, nil, 0), unix.ERANGE)
	want(t, "another of the system's", unix.Setxattr(f, "system.a", []byte("v"), 0), unix.EOPNOTSUPP)
	want(t, "an ACL that says what the mode says", unix.Setxattr(f, "system.posix_acl_access", []byte("\x02\x00\x00\x00\x01\x00\x06\x00\xff\xff\xff\xff\x04\x00\x04\x00\xff\xff\xff\xff\x20\x00\x04\x00\xff\xff\xff\xff"), 0), 0)
	must(t, unix.Removexattr(f, "user.a"))
	if n, err := unix.Listxattr(f, nil); n != 0 || err != nil { // none of the refused ones was stored, nor the ACL
		t.Errorf("list of none: %d, %v", n, err)
	}
}

func TestXattr_HoldsEmptyAndLargestValues(t *testing.T) {
	d := start(t, 1, options{}).dir()
	f := d + "/f"
	must(t, os.WriteFile(f, nil, 0o644))
	must(t, unix.Setxattr(f, "user.empty", nil, 0))
	if n, err := unix.Getxattr(f, "user.empty", make([]byte, 10)); n != 0 || err != nil {
		t.Errorf("empty: %d, %v", n, err)
	}
	large := noise(8, 64<<10)
	must(t, unix.Setxattr(f, "user.large", large, 0))
	got := make([]byte, 64<<10)
	if n, err := unix.Getxattr(f, "user.large", got); err != nil || !bytes.Equal(got[:n], large) {
		t.Errorf("large: %d, %v", n, err)
	}
	want(t, "larger", unix.Setxattr(f, "user.larger", make([]byte, 64<<10+1), 0), unix.E2BIG)
	var err error
	for i := 0; i < 10 && err == nil; i++ {
		err = unix.Setxattr(f, fmt.Sprint("user.n", i), large, 0)
	}
	want(t, "too many", err, unix.ENOSPC)
}

func TestXattr_ListsAllNames(t *testing.T) {
	d := start(t, 1, options{}).dir()
	must(t, os.Mkdir(d+"/d", 0o755))
	var names []string
	for i := range 100 {
		name := fmt.Sprintf("user.%03d", i)
		names = append(names, name)
		must(t, unix.Setxattr(d+"/d", name, []byte(name), 0))
	}
	buf := make([]byte, 64<<10)
	n, err := unix.Listxattr(d+"/d", buf)
	must(t, err)
	got := strings.Split(strings.TrimSuffix(string(buf[:n]), "\x00"), "\x00")
	slices.Sort(got)
	if !slices.Equal(got, names) {
		t.Errorf("listed %q", got)
	}
}

func TestCapabilityProbe_NeverAsksTheCluster(t *testing.T) {
	r := start(t, 1, options{})
	f := r.dir() + "/f"
	must(t, os.WriteFile(f, nil, 0o644))
	r.must(command{Do: "fault", Step: "getxattr", Err: 30}) // would fail
	_, err := unix.Getxattr(f, "security.capability", make([]byte, 100))
	want(t, "probe", err, unix.ENODATA)
	must(t, os.WriteFile(f, []byte("written"), 0o644))
}
