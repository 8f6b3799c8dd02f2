package e2e

import (
	"bytes"
	"fmt"
	"os"
	"testing"
	"time"

	"dfs/test/harness"

	"golang.org/x/sys/unix"
)

// Nothing waits in a circle: what two mounts do to the same inodes at once, with all that the kernel locks meanwhile, ends by itself.
// A circle would end only with a mount's session, so that neither mount may have lost its own.

// side is one of two mounts that are at work, with the process that works there.
type side struct {
	*harness.Mount
	*agent
}

func newSide(t *testing.T, c *harness.Cluster, flags ...string) side {
	t.Helper()
	return side{c.Mount(flags...), newAgent(t)}
}

// does makes a call that succeeds.
func (s side) does(r request) string {
	s.agent.t.Helper()
	return s.do(in(s.Mount, r))
}

// again has steps made n times; n is chosen so that it takes about a second.
func (s side) again(n int, steps ...request) pending {
	s.agent.t.Helper()
	for i := range steps {
		steps[i] = in(s.Mount, steps[i])
	}
	return s.begin(request{Do: "repeat", Len: n, Steps: steps})
}

// opened opens a file for reading and writing as a handle of its name.
func (s side) opened(name string, flags int) {
	s.agent.t.Helper()
	s.does(request{Do: "open", Path: name, To: name, Flags: flags})
}

// mapped maps an opened file as a mapping of its name.
func (s side) mapped(name string, size, writable int) {
	s.agent.t.Helper()
	s.does(request{Do: "mmap", Handle: name, To: name, Len: size, Flags: writable})
}

// finish waits for all, and tells how long the longest call took.
func finish(t *testing.T, all ...pending) {
	t.Helper()
	text := "longest calls:"
	for _, p := range all {
		text += " " + p.ok()
	}
	t.Log(text)
}

// circles are pairs of things that two mounts do at the same time.
var circles = []struct {
	name string
	run  func(t *testing.T, a, b side)
}{
	{"both create in one directory that both know", bothCreate},
	{"both write one file", bothWrite},
	{"one reads and maps what the other writes", readWhileWritten},
	{"both truncate a file that both have dirty mappings of", bothTruncateMapped},
	{"one maps what the other appends to and truncates", mapWhileTruncated},
	{"both move files between two directories, and back", bothRename},
	{"one runs and maps a program that the other replaces", runWhileReplaced},
	{"one syncs what the other truncates", syncWhileTruncated},
	{"writers wait for memory while their files are asked back", writeWithoutMemory},
}

func TestTwoMountsAtOnce_NeverWaitInACircle(t *testing.T) {
	t.Parallel()
	c := harness.StartCluster(t, 1)
	a, b := newSide(t, c, "--dirty-max=8MiB"), newSide(t, c, "--dirty-max=8MiB")
	for i, circle := range circles {
		dir := fmt.Sprintf("d%d", i)
		a.does(request{Do: "mkdir", Path: dir})
		t.Run(circle.name, func(t *testing.T) {
			sub := func(s side) side {
				m := *s.Mount
				m.Dir = s.Path(dir)
				return side{&m, newAgent(t)}
			}
			circle.run(t, sub(a), sub(b))
		})
	}
	for _, s := range []side{a, b} {
		if s.Logged("fenced") {
			t.Errorf("%s has lost its session", s.Dir)
		}
	}
}

var (
	exists  = []unix.Errno{unix.EEXIST}
	missing = []unix.Errno{unix.ENOENT}
)

// CREATE and LOOKUP lock the directory in the kernel while they wait for the other mount, which is to forget names of that directory.
func bothCreate(t *testing.T, a, b side) {
	work := func(s side, own, other string) pending {
		return s.again(60,
			request{Do: "create", Path: "common%d", Allow: exists},
			request{Do: "create", Path: own + "%d"},
			request{Do: "stat", Path: other + "%d", Allow: missing},
			request{Do: "list", Path: "."},
			request{Do: "unlink", Path: own + "%d"},
		)
	}
	finish(t, work(a, "a", "b"), work(b, "b", "a"))
}

func bothWrite(t *testing.T, a, b side) {
	a.does(request{Do: "write", Path: "f", Data: make([]byte, 300_000)})
	var all []pending
	for _, s := range []side{a, b} {
		s.opened("f", unix.O_RDWR)
		for k := range 2 {
			data := bytes.Repeat([]byte{byte('a' + k)}, 100_000)
			all = append(all, s.again(50,
				request{Do: "pwrite", Handle: "f", Off: int64(k) * 50_000, Data: data},
				request{Do: "pread", Handle: "f", Len: 1000},
				request{Do: "fsync", Handle: "f"},
			))
		}
	}
	finish(t, all...)
}

// A READ locks pages, which the dropping of pages waits for.
func readWhileWritten(t *testing.T, a, b side) {
	const size = 1 << 20
	a.does(request{Do: "write", Path: "f", Data: make([]byte, size)})
	a.opened("f", unix.O_RDONLY)
	a.mapped("f", size, 0)
	b.opened("f", unix.O_WRONLY)
	finish(t,
		a.again(100, request{Do: "peek", Handle: "f", Len: size}, request{Do: "peek", Handle: "f", Off: size / 2, Len: 1}),
		a.again(100, request{Do: "pread", Handle: "f", Len: size}, request{Do: "read", Path: "f"}),
		b.again(200, request{Do: "pwrite", Handle: "f", Data: []byte("x"), Off: 70_000}, request{Do: "pwrite", Handle: "f", Data: []byte("y")}),
	)
}

// SETATTR holds back the writing of the mapping's pages, which the dropping of pages waits for.
func bothTruncateMapped(t *testing.T, a, b side) {
	a.does(request{Do: "write", Path: "f", Data: make([]byte, 64<<10)})
	var all []pending
	for _, s := range []side{a, b} {
		s.opened("f", unix.O_RDWR)
		s.mapped("f", 64<<10, 1)
		all = append(all, s.again(5,
			request{Do: "poke", Handle: "f", Data: []byte("x")},
			request{Do: "poke", Handle: "f", Data: []byte("x"), Off: 40 << 10},
			request{Do: "ftruncate", Handle: "f", Off: 4096},
			request{Do: "ftruncate", Handle: "f", Off: 64 << 10},
			request{Do: "msync", Handle: "f"},
		))
	}
	finish(t, all...)
}

func mapWhileTruncated(t *testing.T, a, b side) {
	a.does(request{Do: "write", Path: "f", Data: make([]byte, 64<<10)})
	a.opened("f", unix.O_RDONLY)
	a.mapped("f", 128<<10, 0)
	b.opened("f", unix.O_RDWR|unix.O_APPEND)
	finish(t,
		a.again(500, request{Do: "peek", Handle: "f", Len: 32 << 10}, request{Do: "peek", Handle: "f", Off: 64 << 10, Len: 4096}, request{Do: "fstat", Handle: "f"}),
		b.again(100, request{Do: "pwrite", Handle: "f", Data: make([]byte, 8<<10)}, request{Do: "ftruncate", Handle: "f", Off: 100},
			request{Do: "truncate", Path: "f", Off: 64 << 10}),
	)
}

func bothRename(t *testing.T, a, b side) {
	for _, dir := range []string{"x", "y", "x/dir"} {
		a.does(request{Do: "mkdir", Path: dir})
	}
	a.does(request{Do: "write", Path: "x/file"})
	move := func(from, to string, s side) pending {
		return s.again(30,
			request{Do: "rename", Path: from + "/file", To: to + "/file", Allow: missing},
			request{Do: "rename", Path: from + "/dir", To: to + "/dir", Allow: missing},
			request{Do: "stat", Path: to + "/file", Allow: missing},
			request{Do: "list", Path: to + "/dir", Allow: missing},
		)
	}
	finish(t, move("x", "y", a), move("y", "x", b), move("x", "y", b), move("y", "x", a))
	there := 0
	for _, dir := range []string{"x", "y"} {
		if a.does(request{Do: "list", Path: dir}) == "dir file" {
			there += 2
		} else if a.does(request{Do: "list", Path: dir}) != "" {
			there++
		}
	}
	if there != 2 {
		t.Errorf("x has %q and y has %q", a.does(request{Do: "list", Path: "x"}), a.does(request{Do: "list", Path: "y"}))
	}
}

func runWhileReplaced(t *testing.T, a, b side) {
	program, err := os.ReadFile("/bin/true")
	if err != nil {
		t.Skip(err)
	}
	b.does(request{Do: "write", Path: "program", Data: program})
	finish(t,
		a.again(30, request{Do: "exec", Path: "program"}),
		b.again(30, request{Do: "write", Path: "new", Data: program}, request{Do: "rename", Path: "new", To: "program"}),
	)
}

func syncWhileTruncated(t *testing.T, a, b side) {
	a.opened("f", unix.O_RDWR|unix.O_CREAT)
	b.opened("f", unix.O_RDWR)
	finish(t,
		a.again(60, request{Do: "pwrite", Handle: "f", Data: make([]byte, 100_000)}, request{Do: "fsync", Handle: "f"}),
		b.again(60, request{Do: "ftruncate", Handle: "f", Off: 10}, request{Do: "fstat", Handle: "f"}),
	)
}

// The mounts may have 8 MiB in memory; four writers of each want more.
func writeWithoutMemory(t *testing.T, a, b side) {
	var all []pending
	for k := range 3 {
		name := fmt.Sprint("f", k)
		a.opened(name, unix.O_RDWR|unix.O_CREAT)
		b.opened(name, unix.O_RDWR)
		for i, s := range []side{a, b} {
			all = append(all, s.again(8,
				request{Do: "pwrite", Handle: name, Off: int64(i) << 20, Data: make([]byte, 3<<20)},
				request{Do: "pread", Handle: name, Len: 1000},
			))
		}
	}
	finish(t, all...)
}

// A mount that is being unmounted writes back what others ask for.
func TestMountBeingUnmounted_GivesBackWhatOthersWaitFor(t *testing.T) {
	t.Parallel()
	c := harness.StartCluster(t, 1)
	b := newSide(t, c)
	for range 3 {
		a := newSide(t, c, longFlush)
		data := bytes.Repeat([]byte("x"), 100_000)
		a.does(request{Do: "mkdir", Path: "dir"})
		for i := range 20 {
			a.does(request{Do: "write", Path: fmt.Sprint("dir/", i), Data: data})
		}
		reads := make([]pending, 20)
		for i := range reads {
			reads[i] = b.begin(in(b.Mount, request{Do: "read", Path: fmt.Sprint("dir/", i)}))
		}
		a.Unmount()
		for i, r := range reads {
			if got := r.ok(); got != string(data) {
				t.Errorf("file %d has %d bytes", i, len(got))
			}
			b.does(request{Do: "unlink", Path: fmt.Sprint("dir/", i)})
		}
		b.does(request{Do: "rmdir", Path: "dir"})
	}
}

// A READ under way locks its page. A change by another mount waits a moment for the page to be dropped, and not for the READ.
func TestReadThatHangs_HoldsUpOtherMountsForAMoment(t *testing.T) {
	t.Parallel()
	c := harness.StartCluster(t, 1)
	b := newSide(t, c)
	b.does(request{Do: "write", Path: "f", Data: bytes.Repeat([]byte("o"), 100_000)})
	b.opened("f", unix.O_RDWR)
	b.do(request{Do: "fsync", Handle: "f"})
	const hang = 8 * time.Second
	a := side{c.MountWith([]string{fmt.Sprintf("DFS_FAILPOINTS=get.before=sleep:%s@1", hang)}), newAgent(t)}
	a.opened("f", unix.O_RDONLY)
	a.mapped("f", 100_000, 0)
	stuck := a.begin(request{Do: "peek", Handle: "f", Len: 1})
	if _, ok := stuck.within(time.Second); ok {
		t.Fatal("the READ does not hang")
	}
	wrote := b.begin(request{Do: "pwrite", Handle: "f", Data: []byte("n")}).end()
	if took := time.Duration(wrote.Ended - wrote.Began); wrote.Err != "" || took > hang/2 {
		t.Errorf("the other mount's write took %s: %s", took, wrote.Err)
	}
	stuck.ok()
	if got := a.does(request{Do: "pread", Handle: "f", Len: 1}); got != "n" {
		t.Errorf("read(2) gives %q", got)
	}
}
