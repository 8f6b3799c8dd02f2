package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"dfs/test/harness"
)

// inotify collects what the kernel tells of some paths; a path is named by what it is called in paths.
type inotify struct {
	t     *testing.T
	fd    int
	names map[int32]string
	got   []string
}

func watchPaths(t *testing.T, paths map[string]string) *inotify {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	n := &inotify{t: t, fd: fd, names: map[int32]string{}}
	t.Cleanup(n.close)
	for name, path := range paths {
		wd, err := unix.InotifyAddWatch(fd, path, unix.IN_CREATE|unix.IN_DELETE|unix.IN_MOVE|unix.IN_MODIFY|unix.IN_ATTRIB|unix.IN_CLOSE_WRITE|unix.IN_DELETE_SELF)
		if err != nil {
			t.Fatal(err)
		}
		n.names[int32(wd)] = name
	}
	return n
}

func (n *inotify) close() {
	if n.fd >= 0 {
		_ = unix.Close(n.fd) // nothing can be lost
		n.fd = -1
	}
}

// eventNames are in the order in which they are written.
var eventNames = []struct {
	bit  uint32
	name string
}{{unix.IN_CREATE, "create"}, {unix.IN_DELETE, "delete"}, {unix.IN_MOVED_FROM, "from"}, {unix.IN_MOVED_TO, "to"}, {unix.IN_MODIFY, "modify"},
	{unix.IN_ATTRIB, "attrib"}, {unix.IN_CLOSE_WRITE, "written"}, {unix.IN_DELETE_SELF, "gone"}, {unix.IN_ISDIR, "dir"}}

// read takes what is there.
func (n *inotify) read() {
	buf := make([]byte, 64<<10)
	for {
		size, err := unix.Read(n.fd, buf)
		if err != nil {
			return // nothing more
		}
		for at := 0; at < size; {
			wd := int32(le(buf[at:]))
			mask, length := le(buf[at+4:]), int(le(buf[at+12:]))
			text := n.names[wd]
			for _, e := range eventNames {
				if mask&e.bit != 0 {
					text += " " + e.name
				}
			}
			if name := strings.TrimRight(string(buf[at+16:at+16+length]), "\x00"); name != "" {
				text += " " + name
			}
			if mask&unix.IN_IGNORED == 0 {
				n.got = append(n.got, text)
			}
			at += 16 + length
		}
	}
}

func le(b []byte) uint32 { return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24 }

// expect waits for events, in any order, among others.
func (n *inotify) expect(want ...string) {
	n.t.Helper()
	harness.Eventually(n.t, 20*time.Second, func() error {
		n.read()
		have := strings.Join(n.got, "\n") + "\n"
		for _, w := range want {
			if !strings.Contains(have, w+"\n") {
				return fmt.Errorf("%q is not told; told was:\n%s", w, have)
			}
		}
		return nil
	})
}

// heard makes changes on the other mount until the first is heard: it takes a moment until a mount knows who watches.
func (n *inotify) heard(a *harness.Mount, dir string) {
	n.t.Helper()
	i := 0
	harness.Eventually(n.t, 30*time.Second, func() error {
		i++
		a.Sh(time.Minute, fmt.Sprintf("touch %s/probe%d; sync %s", dir, i, dir))
		n.read()
		if len(n.got) == 0 {
			return fmt.Errorf("nothing is heard")
		}
		return nil
	})
	n.got = nil
}

func TestInotify_HearsWhatAnotherMountDoes(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root")
	}
	c := harness.StartCluster(t, 3)
	a, b := c.Mount(), c.Mount("--inotify")
	a.Sh(time.Minute, "mkdir d e plain; echo x > d/f; echo x > d/g; echo y > d/run; chmod 755 d/run; echo z > plain/far; mkdir d/old; sync .")
	n := watchPaths(t, map[string]string{"d": b.Path("d"), "e": b.Path("e"), "f": b.Path("d/f"), "far": b.Path("plain/far"), "g": b.Path("d/g")})
	n.heard(a, "d")

	a.Sh(time.Minute, "echo 1 > d/new; mkdir d/sub; ln -s x d/link; ln d/f d/hard; sync d/new d")
	n.expect("d create new", "d create dir sub", "d create link", "d create hard", "d modify new", "d written new")
	a.Sh(time.Minute, "echo more >> d/f; sync d/f; chmod 600 d/f; echo >> d/run; sync d/run; echo >> plain/far; sync plain/far; sync d")
	n.expect("d modify f", "f modify", "f written", "d attrib f", "f attrib", "d attrib run", "far modify")
	a.Sh(time.Minute, "mv d/new d/newer; mv d/sub e/sub; mv plain/far e/near; mv e/near plain/back; mv d/new2 d/x 2>/dev/null; sync d e plain")
	n.expect("d from new", "d to newer", "d from dir sub", "e to dir sub", "e to near", "e from near")
	a.Sh(time.Minute, "rm d/hard d/link d/newer; rmdir d/old; rm plain/back; echo n > d/tmp; mv d/tmp d/g; sync d plain")
	n.expect("d delete hard", "d delete link", "d delete newer", "d delete dir old", "far gone", "d to g", "g gone")
	for _, bad := range []string{"gone", "probe"} {
		if strings.Contains(strings.Join(n.got, "\n"), "f "+bad) {
			t.Errorf("told: %q", n.got)
		}
	}

	// What is there is what a has made, and nothing else; b's own changes are told once, by the kernel.
	if x, y := a.Sh(time.Minute, "find . -path ./.dfs -prune -o -printf '%p %y %s %n %i\\n' | sort"), b.Sh(time.Minute, "find . -path ./.dfs -prune -o -printf '%p %y %s %n %i\\n' | sort"); x != y {
		t.Errorf("a has\n%sb has\n%s", x, y)
	}
	n.read()
	n.got = nil
	b.Sh(time.Minute, "echo > d/own; sync d/own d")
	a.Sh(time.Minute, "echo > d/last; sync d/last d")
	n.expect("d create last")
	if told := strings.Count(strings.Join(n.got, "\n")+"\n", "d create own\n"); told != 1 {
		t.Errorf("b's own file is told %d times: %q", told, n.got)
	}
	n.close()
	b.Unmount()
}
