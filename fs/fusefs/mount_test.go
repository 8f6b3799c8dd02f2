package fusefs

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dfs/fs"
	"dfs/fs/vfs"

	"golang.org/x/sys/unix"
)

const mountinfo = `22 27 0:21 / /proc rw,relatime - proc proc rw
40 27 0:40 / /mnt/a\040b rw,nosuid shared:1 master:2 - fuse.dfs dfs rw,user_id=0
41 40 0:41 / /mnt/a\040b rw - fuse.other x rw
42 27 0:42 / /mnt/back\134slash rw - ext4 /dev/x rw
broken
43 27
`

func TestMountinfo_FindsTheTopmost(t *testing.T) {
	for dir, want := range map[string]mountEntry{
		"/proc":           {"0:21", "/proc", "proc"},
		"/mnt/a b":        {"0:41", "/mnt/a b", "fuse.other"},
		`/mnt/back\slash`: {"0:42", `/mnt/back\slash`, "ext4"},
	} {
		got, found, err := topmost(strings.NewReader(mountinfo), dir)
		if got != want || !found || err != nil {
			t.Errorf("%s: %+v, %v, %v", dir, got, found, err)
		}
	}
	if _, found, _ := topmost(strings.NewReader(mountinfo), "/mnt"); found {
		t.Error("found a mount at /mnt")
	}
}

func TestUnescape_LeavesWhatIsNoEscape(t *testing.T) {
	for s, want := range map[string]string{`a\040b\011c`: "a b\tc", `a\`: `a\`, `\9`: `\9`, `\134040`: `\040`, "": ""} {
		if got := unescape(s); got != want {
			t.Errorf("%q became %q, want %q", s, got, want)
		}
	}
}

func TestResolve_GoesThroughSymlinks(t *testing.T) {
	base, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Mkdir(base+"/d", 0o755), os.Symlink("d", base+"/l"), os.Symlink(".", base+"/p")); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{base + "/d", base + "/l", base + "/p/l/", base + "/p/../p/d/."} {
		if got, err := resolve(dir); got != base+"/d" || err != nil {
			t.Errorf("%s: %s, %v", dir, got, err)
		}
	}
	if _, err := resolve(base + "/x"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func TestConfig_CompletesAndRefuses(t *testing.T) {
	good := Config{Dir: "/x", FS: &vfs.FS{}}
	c, err := good.withDefaults()
	if err != nil || c.MaxWrite != 1<<20 || c.MaxBackground < 64 || c.Subtype != "dfs" || c.FsName != "dfs" || c.CacheTimeout != 0 {
		t.Errorf("%+v, %v", c, err)
	}
	for what, change := range map[string]func(*Config){
		"no directory":   func(c *Config) { c.Dir = "" },
		"no filesystem":  func(c *Config) { c.FS = nil },
		"a negative age": func(c *Config) { c.CacheTimeout = -time.Second },
		"small writes":   func(c *Config) { c.MaxWrite = 100 },
		"background":     func(c *Config) { c.MaxBackground = 1 << 16 },
		"a list of type": func(c *Config) { c.Subtype = "a,b" },
	} {
		bad := good
		change(&bad)
		if _, err := bad.withDefaults(); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestMountOptions_SayWhatIsWanted(t *testing.T) {
	c := Config{MaxWrite: 4096}
	if got := c.mountFlags(); got != unix.MS_NOSUID|unix.MS_NODEV {
		t.Errorf("flags %#x", got)
	}
	if got := c.kernelOptions(); !slices.Equal(got, []string{"max_read=4096", "default_permissions"}) {
		t.Errorf("options %q", got)
	}
	c = Config{MaxWrite: 4096, ReadOnly: true, Suid: true, Dev: true, NoExec: true, AllowOther: true, NoPermissionChecks: true,
		FsName: `a,b\c`, Subtype: "dfs"}
	if got := c.mountFlags(); got != unix.MS_RDONLY|unix.MS_NOEXEC {
		t.Errorf("flags %#x", got)
	}
	want := []string{"max_read=4096", "allow_other", `fsname=a\,b\\c`, "subtype=dfs", "ro", "suid", "dev", "noexec"}
	if got := c.helperOptions(); !slices.Equal(got, want) {
		t.Errorf("options %q", got)
	}
}

func TestHelperError_FindsTheSentinel(t *testing.T) {
	for text, want := range map[string]error{
		"fusermount3: option allow_other only allowed if 'user_allow_other' is set in /etc/fuse.conf": fs.ErrPermission,
		"fusermount3: failed to unmount /x: Device or resource busy":                                  fs.ErrBusy,
		"fusermount3: user has no write access to mountpoint /x":                                      fs.ErrPermission,
		"fusermount3: mount failed: Operation not permitted":                                          fs.ErrPermission,
		"fusermount3: fuse device not found, try 'modprobe fuse' first":                               fs.ErrNotSupported,
	} {
		if got := helperError(errors.New(text)); !errors.Is(got, want) || !strings.Contains(got.Error(), text) {
			t.Errorf("%q: %v", text, got)
		}
	}
}
