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

// heard makes changes on a mount until one is told at a path: it takes a moment until another mount knows who watches.
func (n *inotify) heard(a *harness.Mount, dir, at string) {
	n.t.Helper()
	i := 0
	harness.Eventually(n.t, 30*time.Second, func() error {
		i++
		a.Sh(time.Minute, fmt.Sprintf("touch %s/probe$$-%d; sync %s", dir, i, dir))
		n.read()
		if !strings.Contains(strings.Join(n.got, "\n"), at+" create probe") {
			return fmt.Errorf("nothing is heard at %s", at)
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
	n.heard(a, "d", "d")

	a.Sh(time.Minute, "echo 1 > d/new; mkdir d/sub; ln -s x d/link; ln d/g d/hard; sync d/new d")
	n.expect("d create new", "d create dir sub", "d create link", "d create hard", "d modify new", "d written new")
	a.Sh(time.Minute, "echo more >> d/f; sync d/f; chmod 600 d/f; echo >> d/run; sync d/run; echo >> plain/far; sync plain/far; sync d")
	n.expect("d modify f", "f modify", "f written", "d attrib f", "f attrib", "d attrib run", "far modify")
	a.Sh(time.Minute, "mv d/new d/newer; mv d/sub e/sub; mv plain/far e/near; mv e/near plain/back; sync d e plain")
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

// Echoes go on all the time while both mounts work in the watched directory, under the same names too: nobody may see anything but what
// was done, and nothing may hang.
func TestInotify_ConfusesNobody(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root")
	}
	c := harness.StartCluster(t, 3)
	a, b := c.Mount("--inotify", "--log-level", "debug"), c.Mount("--inotify", "--log-level", "debug")
	a.Sh(time.Minute, "mkdir d; echo 0 > d/shared; sync d")
	n := watchPaths(t, map[string]string{"a": a.Path("d"), "b": b.Path("d"), "shared": b.Path("d/shared")})
	n.heard(a, "d", "b")
	n.heard(b, "d", "a")
	defer func() {
		if !t.Failed() {
			return
		}
		for line := range strings.Lines(a.Output() + b.Output()) {
			if strings.Contains(line, "echoed") || strings.Contains(line, "programs that watch") {
				t.Log(strings.TrimSpace(line))
			}
		}
	}()
	churn := func(m *harness.Mount, who string) chan harness.Result {
		done := make(chan harness.Result, 1)
		script := strings.ReplaceAll(`set -e; cd d
for i in $(seq 60); do
	echo $i > @$i; [ "$(cat @$i)" = $i ]; [ $(stat -c %h @$i) = 1 ]; mv @$i @v$i; [ ! -e @$i ]; ln @v$i @l$i; [ $(stat -c %h @v$i) = 2 ]; rm @v$i; [ "$(cat @l$i)" = $i ]
	mkdir @d; (cd @d; [ "$(/bin/pwd)" = "$PWD" ]; echo x > in; [ -e in ]; rm in); mv @d @d2; [ ! -e @d ]; rmdir @d2; [ ! -e @d2 ]
	echo @ >> shared
	exec 5> @open; rm @open; echo hello >&5; [ $(stat -L -c %s /proc/self/fd/5) = 6 ]; exec 5>&-
	rm @l$i
done`, "@", who)
		go func() {
			done <- harness.Command{Dir: m.Dir, Timeout: 3 * time.Minute, Argv: []string{"bash", "-xc", script}}.Exec()
		}()
		return done
	}
	ours, theirs := churn(a, "p"), churn(b, "q")
	for i := range 20 {
		a.Sh(time.Minute, "mkdir d/n")
		b.Sh(time.Minute, `cd d/n && [ "$(/bin/pwd)" = "$PWD" ] && touch z && [ -e z ] && rm z`)
		a.Sh(time.Minute, fmt.Sprintf("rmdir d/n; echo %d > d/n", i))
		b.Sh(time.Minute, fmt.Sprintf(`[ "$(cat d/n)" = %d ] && [ $(stat -c %%h d/n) = 1 ] && ln d/n d/m`, i))
		a.Sh(time.Minute, `rm d/n; [ $(stat -c %h d/m) = 1 ]`)
		b.Sh(time.Minute, `[ ! -e d/n ] && mv d/m d/n && echo more >> d/n`)
		a.Sh(time.Minute, `[ ! -e d/m ] && [ $(wc -l < d/n) = 2 ] && rm d/n`)
		b.Sh(time.Minute, `[ ! -e d/n ]`)
		n.read()
	}
	for _, done := range []chan harness.Result{ours, theirs} {
		r := <-done
		if err := r.Failure(); err != nil {
			t.Error(err)
		}
	}
	if lines := strings.TrimSpace(b.Sh(time.Minute, "wc -l < d/shared")); lines != "121" {
		t.Errorf("%s lines, want 121", lines)
	}
	const list = "find . -path ./.dfs -prune -o -printf '%p %y %s %n %i\\n' | sort"
	if x, y := a.Sh(time.Minute, list), b.Sh(time.Minute, list); x != y {
		t.Errorf("a has\n%sb has\n%s", x, y)
	}
	// Echoes come a moment after what they tell of.
	n.expect("b create p1", "a create q1", "b create p60", "a create q60", "b from dir pd", "a to dir qd2", "b delete dir pd2")
	n.close()
	b.Kill() // a helper that is waiting for it must not stay behind
	detachDead(t, b.Dir)
	a.Unmount()
}

// detachDead takes the mount of a process that is gone away.
func detachDead(t *testing.T, dir string) {
	t.Helper()
	if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
		t.Error(err)
	}
	harness.Eventually(t, 20*time.Second, func() error {
		for _, line := range strings.Split(harness.Run(t, "ps", "-eo", "pid,ppid,args"), "\n") {
			if strings.Contains(line, "dfsmount-echo") && strings.Fields(line)[1] == "1" {
				return fmt.Errorf("a helper is left behind: %s", line)
			}
		}
		return nil
	})
}
