package fusefs

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"dfs/fs"
)

func TestPlan_EchoesWhatIsWatchedAndNothingElse(t *testing.T) {
	node := func(ino fs.Ino) uint64 { return uint64(ino) }
	watched := map[fs.Ino]bool{2: true, 3: true, 10: true}
	const file, dir = fs.TypeRegular, fs.TypeDir
	for what, x := range map[string]struct {
		c    fs.Change
		want []echo
	}{
		"create":           {fs.Change{Kind: fs.ChangeCreate, Dir: 2, Path: "/d/f", Ino: 20, Type: file}, []echo{{Kind: echoMake, Dir: 2, Name: "f", Type: file}}},
		"mkdir":            {fs.Change{Kind: fs.ChangeMkdir, Dir: 2, Path: "/d/s", Ino: 20, Type: dir}, []echo{{Kind: echoMake, Dir: 2, Name: "s", Type: dir}}},
		"elsewhere":        {fs.Change{Kind: fs.ChangeCreate, Dir: 4, Path: "/e/f", Ino: 20, Type: file}, nil},
		"unlink":           {fs.Change{Kind: fs.ChangeUnlink, Dir: 2, Path: "/d/f", Ino: 20, Type: file}, []echo{{Kind: echoRemove, Dir: 2, Name: "f", Type: file}}},
		"unlink, watched":  {fs.Change{Kind: fs.ChangeUnlink, Dir: 2, Path: "/d/f", Ino: 10, Type: file}, []echo{{Kind: echoRemove, Dir: 2, Name: "f", Node: 10, Type: file}}},
		"unlink, one left": {fs.Change{Kind: fs.ChangeUnlink, Dir: 2, Path: "/d/f", Ino: 10, Nlink: 1, Type: file}, []echo{{Kind: echoRemove, Dir: 2, Name: "f", Type: file}}},
		"unlink, far":      {fs.Change{Kind: fs.ChangeUnlink, Dir: 4, Path: "/e/f", Ino: 10, Type: file}, []echo{{Kind: echoRemove, Name: asideName, Node: 10, Type: file}}},
		"move within":      {fs.Change{Kind: fs.ChangeRename, Dir: 2, Path: "/d/f", ToDir: 3, To: "/g/h", Ino: 20, Type: file}, []echo{{Kind: echoMove, Dir: 2, Name: "f", ToDir: 3, ToName: "h", Type: file}}},
		"move out":         {fs.Change{Kind: fs.ChangeRename, Dir: 2, Path: "/d/f", ToDir: 4, To: "/e/h", Ino: 20, Type: file}, []echo{{Kind: echoMove, Dir: 2, Name: "f", ToName: asideName, Type: file}}},
		"move in, over a watched one": {fs.Change{Kind: fs.ChangeRename, Dir: 4, Path: "/e/f", ToDir: 3, To: "/g/h", Ino: 20, Type: file, Replaced: 10, ReplacedType: file},
			[]echo{{Kind: echoMove, Name: asideName, ToDir: 3, ToName: "h", Type: file}, {Kind: echoRemove, Name: asideName, Node: 10, Type: file}}},
		"moves, nobody watches": {fs.Change{Kind: fs.ChangeRename, Dir: 4, Path: "/e/f", ToDir: 4, To: "/e/h", Ino: 20, Type: file}, nil},
		"write":                 {fs.Change{Kind: fs.ChangeWrite, Dir: 2, Path: "/d/f", Ino: 20, Type: file}, []echo{{Kind: echoModify, Dir: 2, Name: "f", Node: 20, Type: file}}},
		"write, far":            {fs.Change{Kind: fs.ChangeWrite, Dir: 4, Path: "/e/f", Ino: 10, Type: file}, []echo{{Kind: echoModify, Name: "f", Node: 10, Type: file, ByNode: true}}},
		"write, no name":        {fs.Change{Kind: fs.ChangeWrite, Dir: 2, Path: "/d/?", Ino: 20, Type: file}, nil},
		"chmod of a directory":  {fs.Change{Kind: fs.ChangeAttr, Path: "/d", Ino: 2, Type: dir}, []echo{{Kind: echoAttrib, Name: "d", Node: 2, Type: dir, ByNode: true}}},
	} {
		if got := plan(&x.c, watched, node); !reflect.DeepEqual(got, x.want) {
			t.Errorf("%s: %+v, want %+v", what, got, x.want)
		}
	}
}

func TestWatches_AreReadFromProc(t *testing.T) {
	dir := t.TempDir()
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	if _, err := unix.InotifyAddWatch(fd, dir, unix.IN_CREATE); err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join("/proc/self/fdinfo")); err != nil {
		t.Skip(err)
	}
	if got := watchedInodes("/proc", kernelDev(st.Dev)); !got[fs.Ino(st.Ino)] {
		t.Errorf("inode %d is not among %v", st.Ino, got)
	}
	if got := watchedInodes("/proc", kernelDev(st.Dev)+1); got[fs.Ino(st.Ino)] {
		t.Error("another filesystem's inode is taken for ours")
	}
}

// forbidden is a filesystem that no change may reach.
type forbidden struct {
	fuse.RawFileSystem
	reached []string
}

func (f *forbidden) Unlink(<-chan struct{}, *fuse.InHeader, string) fuse.Status {
	f.reached = append(f.reached, "unlink")
	return fuse.OK
}

func (f *forbidden) Mknod(<-chan struct{}, *fuse.MknodIn, string, *fuse.EntryOut) fuse.Status {
	f.reached = append(f.reached, "mknod")
	return fuse.OK
}

func (f *forbidden) Rename(<-chan struct{}, *fuse.RenameIn, string, string) fuse.Status {
	f.reached = append(f.reached, "rename")
	return fuse.OK
}

func (f *forbidden) RemoveXAttr(<-chan struct{}, *fuse.InHeader, string) fuse.Status {
	f.reached = append(f.reached, "removexattr")
	return fuse.OK
}

func (f *forbidden) Fallocate(<-chan struct{}, *fuse.FallocateIn) fuse.Status {
	f.reached = append(f.reached, "fallocate")
	return fuse.OK
}

func headerOf(pid uint32, node uint64) fuse.InHeader {
	return fuse.InHeader{NodeId: node, Caller: fuse.Caller{Pid: pid}}
}

// Whatever the helper asks for, nothing is changed: it is the echo at hand, or refused. Others' calls pass.
func TestHelper_ChangesNothing(t *testing.T) {
	below := &forbidden{RawFileSystem: fuse.NewDefaultRawFileSystem()}
	f := newEchoFront(&front{}, below)
	helper, other := headerOf(7, 2), headerOf(8, 2)
	if st := f.Unlink(nil, &header0, "f"); st != fuse.OK || len(below.reached) != 1 {
		t.Error("without a helper, a request of the kernel's own is taken for the helper's")
	}
	f.helper.Store(7)
	calls := map[string]func(h fuse.InHeader) fuse.Status{
		"unlink": func(h fuse.InHeader) fuse.Status { return f.Unlink(nil, &h, "f") },
		"mknod": func(h fuse.InHeader) fuse.Status {
			return f.Mknod(nil, &fuse.MknodIn{InHeader: h}, "f", &fuse.EntryOut{})
		},
		"rename": func(h fuse.InHeader) fuse.Status {
			return f.Rename(nil, &fuse.RenameIn{InHeader: h, Newdir: 3}, "f", "g")
		},
		"removexattr": func(h fuse.InHeader) fuse.Status { return f.RemoveXAttr(nil, &h, echoXattr) },
	}
	echoes := map[string]echo{"unlink": {Kind: echoRemove, Dir: 2, Name: "f"}, "mknod": {Kind: echoMake, Dir: 2, Name: "f"},
		"rename": {Kind: echoMove, Dir: 2, Name: "f", ToDir: 3, ToName: "g"}, "removexattr": {Kind: echoAttrib, Node: 2}}
	below.reached = nil
	for call, do := range calls {
		if st := do(helper); st != fuse.EPERM {
			t.Errorf("%s without an echo: %v", call, st)
		}
		for name, e := range echoes {
			f.begin(&e)
			st, want := do(helper), fuse.EPERM
			if name == call {
				want = statusStale // the kernel goes by a name that it remembers
			}
			if name == call && call == "removexattr" {
				want = fuse.OK
			}
			if st != want {
				t.Errorf("%s for the echo of %s: %v, want %v", call, name, st, want)
			}
			for _, in := range []struct {
				dir  uint64
				name string
			}{{2, "f"}, {3, "g"}} {
				h := headerOf(7, in.dir)
				f.Lookup(nil, &h, in.name, &fuse.EntryOut{})
			}
			if st := do(helper); name == call && st != fuse.OK {
				t.Errorf("%s, asked for: %v", call, st)
			}
			if st := do(helper); call != "removexattr" && st != fuse.EPERM {
				t.Errorf("%s a second time: %v", call, st)
			}
			f.end()
		}
	}
	f.begin(&echo{Kind: echoRemove, Dir: 2, Name: "another"})
	f.Lookup(nil, &helper, "another", &fuse.EntryOut{})
	if st := f.Unlink(nil, &helper, "f"); st != fuse.EPERM {
		t.Errorf("another name than the echo's is removed: %v", st)
	}
	f.end()
	if st := f.Fallocate(nil, &fuse.FallocateIn{InHeader: helper, Fh: echoHandle}); st != fuse.OK {
		t.Error(st)
	}
	if st := f.Fallocate(nil, &fuse.FallocateIn{InHeader: other, Fh: echoHandle}); st == fuse.OK {
		t.Error("another process writes by the helper's handle")
	}
	if len(below.reached) > 0 {
		t.Errorf("%v have been done", below.reached)
	}
	for call, do := range calls {
		if st := do(other); st != fuse.OK {
			t.Errorf("%s of another process: %v", call, st)
		}
	}
	if len(below.reached) != len(calls) {
		t.Errorf("only %v of another process have been done", below.reached)
	}
}

var header0 = headerOf(0, 2)
