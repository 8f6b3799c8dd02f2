package fusefs

import (
	"context"
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"dfs/fs"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// statusRig is a rig with a status directory that counts how often it is asked.
func statusRig(t *testing.T) (*rig, fuse.RawFileSystem, *atomic.Int64) {
	r := newRig(t, nil)
	asked := &atomic.Int64{}
	return r, withStatus(r.front, map[string]func() string{
		"b": func() string { return fmt.Sprint("text ", asked.Add(1)) }, "a": func() string { return "" }}), asked
}

func lookup(t *testing.T, d fuse.RawFileSystem, dir uint64, name string) fuse.EntryOut {
	t.Helper()
	var out fuse.EntryOut
	in := header(dir)
	if st := d.Lookup(nil, &in, name, &out); st != fuse.OK {
		t.Fatalf("look up %s: %v", name, st)
	}
	return out
}

func TestStatusFiles_AreReadWithoutTheCluster(t *testing.T) {
	_, d, asked := statusRig(t)
	dir := lookup(t, d, 1, fs.StatusDir)
	if dir.NodeId < firstVirtual || dir.Mode != syscall.S_IFDIR|0o555 {
		t.Errorf("%+v", dir)
	}
	b := lookup(t, d, dir.NodeId, "b")
	if b.Mode != syscall.S_IFREG|0o444 || b.NodeId == dir.NodeId {
		t.Errorf("%+v", b)
	}
	for n := 1; n < 3; n++ {
		var open fuse.OpenOut
		if st := d.Open(nil, &fuse.OpenIn{InHeader: header(b.NodeId)}, &open); st != fuse.OK || open.OpenFlags&fuse.FOPEN_DIRECT_IO == 0 {
			t.Fatal(st, open)
		}
		want := fmt.Sprint("text ", n)
		for off, rest := range []string{want, want[1:], want[2:]} {
			res, st := d.Read(nil, &fuse.ReadIn{InHeader: header(b.NodeId), Fh: open.Fh, Offset: uint64(off)}, make([]byte, 100))
			if data, _ := res.Bytes(nil); st != fuse.OK || string(data) != rest {
				t.Errorf("at %d: %q, %v, want %q", off, data, st, rest)
			}
		}
		if res, st := d.Read(nil, &fuse.ReadIn{InHeader: header(b.NodeId), Fh: open.Fh, Offset: 1 << 40}, make([]byte, 9)); st != fuse.OK || res.Size() != 0 {
			t.Errorf("behind the end: %v", st)
		}
		d.Release(nil, &fuse.ReleaseIn{InHeader: header(b.NodeId), Fh: open.Fh})
		if _, st := d.Read(nil, &fuse.ReadIn{InHeader: header(b.NodeId), Fh: open.Fh}, make([]byte, 9)); st != fuse.EBADF {
			t.Errorf("after release: %v", st)
		}
	}
	if asked.Load() != 2 {
		t.Errorf("made %d times", asked.Load())
	}
	in := header(dir.NodeId)
	if st := d.Lookup(nil, &in, "c", &fuse.EntryOut{}); st != fuse.ENOENT {
		t.Error(st)
	}
	if st := d.GetAttr(nil, &fuse.GetAttrIn{InHeader: header(firstVirtual + 3)}, &fuse.AttrOut{}); st != fuse.Status(syscall.ESTALE) {
		t.Error(st)
	}
}

func TestStatusDirectory_CannotBeChangedNorReplaced(t *testing.T) {
	r, d, _ := statusRig(t)
	ino, _, _ := r.create("real", 0)
	dir := lookup(t, d, 1, fs.StatusDir).NodeId
	b := lookup(t, d, dir, "b").NodeId
	at, in, out := header(1), header(dir), fuse.EntryOut{}
	for what, got := range map[string]struct{ st, want fuse.Status }{
		"mkdir":          {d.Mkdir(nil, &fuse.MkdirIn{InHeader: at}, fs.StatusDir, &out), fuse.EPERM},
		"mknod":          {d.Mknod(nil, &fuse.MknodIn{InHeader: at}, fs.StatusDir, &out), fuse.EPERM},
		"create":         {d.Create(nil, &fuse.CreateIn{InHeader: at}, fs.StatusDir, &fuse.CreateOut{}), fuse.EPERM},
		"symlink":        {d.Symlink(nil, &at, "x", fs.StatusDir, &out), fuse.EPERM},
		"link":           {d.Link(nil, &fuse.LinkIn{InHeader: at, Oldnodeid: ino}, fs.StatusDir, &out), fuse.EPERM},
		"link out":       {d.Link(nil, &fuse.LinkIn{InHeader: at, Oldnodeid: b}, "x", &out), fuse.EPERM},
		"rmdir":          {d.Rmdir(nil, &at, fs.StatusDir), fuse.EPERM},
		"unlink":         {d.Unlink(nil, &at, fs.StatusDir), fuse.EPERM},
		"rename away":    {d.Rename(nil, &fuse.RenameIn{InHeader: at, Newdir: 1}, fs.StatusDir, "x"), fuse.EPERM},
		"rename over":    {d.Rename(nil, &fuse.RenameIn{InHeader: at, Newdir: 1}, "real", fs.StatusDir), fuse.EPERM},
		"rename into":    {d.Rename(nil, &fuse.RenameIn{InHeader: at, Newdir: dir}, "real", "x"), fuse.EROFS},
		"rename out":     {d.Rename(nil, &fuse.RenameIn{InHeader: in, Newdir: 1}, "b", "x"), fuse.EROFS},
		"create within":  {d.Create(nil, &fuse.CreateIn{InHeader: in}, "x", &fuse.CreateOut{}), fuse.EROFS},
		"tmpfile within": {d.Tmpfile(nil, &fuse.CreateIn{InHeader: in}, &fuse.CreateOut{}), fuse.EROFS},
		"unlink within":  {d.Unlink(nil, &in, "b"), fuse.EROFS},
		"chmod":          {d.SetAttr(nil, &fuse.SetAttrIn{SetAttrInCommon: fuse.SetAttrInCommon{InHeader: header(b)}}, &fuse.AttrOut{}), fuse.EROFS},
		"open to write":  {d.Open(nil, &fuse.OpenIn{InHeader: header(b), Flags: unix.O_WRONLY}, &fuse.OpenOut{}), fuse.EROFS},
	} {
		if got.st != got.want {
			t.Errorf("%s: %v, want %v", what, got.st, got.want)
		}
	}
	sub := r.mkdir("sub")
	if st := d.Mkdir(nil, &fuse.MkdirIn{InHeader: header(sub), Mode: 0o755}, fs.StatusDir, &out); st != fuse.OK || out.NodeId >= firstVirtual {
		t.Errorf("the name is reserved in the root only: %v", st)
	}
}

func TestRoot_AnswersFromMemoryOnceTheClusterIsGone(t *testing.T) {
	r := newRig(t, nil)
	var gone atomic.Bool
	r.root.gone = gone.Load
	ask := func(ino uint64) (fuse.AttrOut, fuse.Status) {
		var out fuse.AttrOut
		st := r.GetAttr(nil, &fuse.GetAttrIn{InHeader: header(ino)}, &out)
		return out, st
	}
	ino, _, _ := r.create("f", 0)
	before, st := ask(1)
	r.ok("getattr", st)
	if err := r.fs.Close(context.Background()); err != nil { // from here on nothing is answered
		t.Fatal(err)
	}
	if _, st := ask(1); st == fuse.OK {
		t.Error("the root answers although the cluster may still do so")
	}
	gone.Store(true)
	if after, st := ask(1); st != fuse.OK || after.Attr != before.Attr {
		t.Errorf("%v, %+v, was %+v", st, after.Attr, before.Attr)
	}
	if _, st := ask(ino); st == fuse.OK {
		t.Error("a file answers from memory")
	}
}

func TestQuestionAboutTheRoot_IsGivenUpWhenTheClusterGoes(t *testing.T) {
	var gone atomic.Bool
	o := &root{gone: gone.Load}
	o.last.Store(&fs.Attr{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o.look(ctx, cancel)
	if ctx.Err() != nil {
		t.Fatal("given up while the cluster is there")
	}
	gone.Store(true)
	select {
	case <-ctx.Done():
	case <-time.After(10 * time.Second):
		t.Error("not given up")
	}
}
