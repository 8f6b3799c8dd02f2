package fusefs

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"dfs/blob/memstore"
	"dfs/fs"
	"dfs/fs/vfs"
	"dfs/raftmeta/localmeta"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// rig is a front without a kernel: tests send it what a kernel would.
type rig struct {
	*front
	t    *testing.T
	logs *strings.Builder
}

func newRig(t *testing.T, change func(*Config)) *rig {
	t.Helper()
	cluster, err := localmeta.New(localmeta.Config{})
	if err != nil {
		t.Fatal(err)
	}
	engine, err := vfs.New(context.Background(), vfs.Config{}, cluster.Mount(nil), memstore.New(memstore.Config{Node: "n"}))
	if err != nil {
		t.Fatal(err)
	}
	for valid := time.Duration(0); valid == 0; { // until leases are to be had
		if _, valid, err = engine.GetattrFor(t.Context(), fs.RootIno); err != nil {
			t.Fatal(err)
		}
	}
	logs := &strings.Builder{}
	cfg := Config{FS: engine, Logger: slog.New(slog.NewTextHandler(logs, nil))}
	if change != nil {
		change(&cfg)
	}
	r := &rig{newFront(&cfg, &device{fd: -1}), t, logs}
	t.Cleanup(func() {
		r.close()
		if err := engine.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if err := cluster.Check(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *rig) ok(what string, st fuse.Status) {
	r.t.Helper()
	if st != fuse.OK {
		r.t.Fatalf("%s: %v", what, st)
	}
}

func header(ino uint64) fuse.InHeader { return fuse.InHeader{NodeId: ino} }

// create makes and opens a file in the root.
func (r *rig) create(name string, flags uint32) (ino, fh uint64, open uint32) {
	r.t.Helper()
	var out fuse.CreateOut
	r.ok("create", r.Create(nil, &fuse.CreateIn{InHeader: header(1), Flags: flags | unix.O_RDWR, Mode: 0o644}, name, &out))
	return out.NodeId, out.Fh, out.OpenFlags
}

func (r *rig) write(ino, fh, off uint64, data string, flags uint32) {
	r.t.Helper()
	n, st := r.Write(nil, &fuse.WriteIn{InHeader: header(ino), Fh: fh, Offset: off, Flags: flags}, []byte(data))
	if r.ok("write", st); int(n) != len(data) {
		r.t.Fatalf("wrote %d of %d", n, len(data))
	}
}

func (r *rig) read(ino, fh uint64) string {
	r.t.Helper()
	res, st := r.Read(nil, &fuse.ReadIn{InHeader: header(ino), Fh: fh, Size: 1 << 16}, make([]byte, 1<<16))
	r.ok("read", st)
	data, st := res.Bytes(nil)
	r.ok("read", st)
	return string(data)
}

func (r *rig) mkdir(name string) uint64 {
	r.t.Helper()
	var out fuse.EntryOut
	r.ok("mkdir", r.Mkdir(nil, &fuse.MkdirIn{InHeader: header(1), Mode: 0o755}, name, &out))
	return out.NodeId
}

func TestPageWriteback_ThroughAnAppendHandleGoesToItsOffset(t *testing.T) {
	// The kernel writes a page of a shared mapping back through any handle that is open for writing, without O_APPEND.
	r := newRig(t, nil)
	ino, fh, open := r.create("f", unix.O_APPEND)
	if open&fuse.FOPEN_DIRECT_IO == 0 {
		t.Error("an append handle goes through the page cache")
	}
	r.write(ino, fh, 999, "0123456789", unix.O_APPEND|unix.O_RDWR)
	n, st := r.Write(nil, &fuse.WriteIn{InHeader: header(ino), Fh: fh, Offset: 2, WriteFlags: fuse.WRITE_CACHE}, []byte("ab"))
	if r.ok("write back", st); n != 2 {
		t.Errorf("wrote %d", n)
	}
	r.write(ino, fh, 0, "!", unix.O_APPEND|unix.O_RDWR)
	if got := r.read(ino, fh); got != "01ab456789!" {
		t.Errorf("content %q", got)
	}
}

func TestAppendFlag_SetLaterAppends(t *testing.T) {
	r := newRig(t, nil)
	ino, fh, _ := r.create("f", 0)
	r.write(ino, fh, 0, "0123", unix.O_RDWR)
	r.write(ino, fh, 1, "ab", unix.O_RDWR|unix.O_APPEND)
	r.write(ino, fh, 1, "X", unix.O_RDWR)
	if got := r.read(ino, fh); got != "0X23ab" {
		t.Errorf("content %q", got)
	}
}

func TestTwin_MakesTheNextOpenDropItsPages(t *testing.T) {
	r := newRig(t, nil)
	ino, fh, _ := r.create("f", 0)
	open := func() bool {
		var out fuse.OpenOut
		r.ok("open", r.Open(nil, &fuse.OpenIn{InHeader: header(ino)}, &out))
		return out.OpenFlags&fuse.FOPEN_KEEP_CACHE != 0
	}
	r.write(ino, fh, 0, "data", unix.O_RDWR)
	r.ok("fsync", r.Fsync(nil, &fuse.FsyncIn{InHeader: header(ino), Fh: fh}))
	if open() {
		t.Error("the first open after a change keeps pages")
	}
	if !open() {
		t.Error("the second one drops them")
	}
	r.write(ino, fh, 0, "more", unix.O_RDWR)
	r.write(ino, fh, 0, "!", unix.O_RDWR|unix.O_APPEND) // opens the twin, and vfs takes it for an open
	r.ok("fsync", r.Fsync(nil, &fuse.FsyncIn{InHeader: header(ino), Fh: fh}))
	if open() {
		t.Error("the open after the twin's keeps pages")
	}
}

func TestCreate_OfWhatAnotherMountMadeIsStale(t *testing.T) {
	r := newRig(t, nil)
	r.create("f", 0)
	for flags, want := range map[uint32]fuse.Status{
		unix.O_CREAT:               fuse.Status(unix.ESTALE),
		unix.O_CREAT | unix.O_EXCL: fuse.Status(unix.EEXIST),
	} {
		var out fuse.CreateOut
		if st := r.Create(nil, &fuse.CreateIn{InHeader: header(1), Flags: flags, Mode: 0o600}, "f", &out); st != want {
			t.Errorf("flags %#x: %v, want %v", flags, st, want)
		}
	}
}

func TestGoneInode_IsStaleAndGoneNameIsNot(t *testing.T) {
	r := newRig(t, nil)
	var attr fuse.AttrOut
	if st := r.GetAttr(nil, &fuse.GetAttrIn{InHeader: header(12345)}, &attr); st != fuse.Status(unix.ESTALE) {
		t.Errorf("getattr: %v", st)
	}
	var open fuse.OpenOut
	if st := r.Open(nil, &fuse.OpenIn{InHeader: header(12345)}, &open); st != fuse.Status(unix.ESTALE) {
		t.Errorf("open: %v", st)
	}
	var entry fuse.EntryOut
	h := header(1)
	if st := r.Lookup(nil, &h, "nothing", &entry); st != fuse.OK || entry.NodeId != 0 || entry.EntryTimeout() == 0 {
		t.Errorf("lookup: %v, %+v", st, entry)
	}
}

func TestCacheTimeout_CoversEntriesAttributesAndAbsence(t *testing.T) {
	r := newRig(t, func(c *Config) { c.CacheTimeout = time.Hour })
	r.mkdir("d")
	h := header(1)
	var entry fuse.EntryOut
	r.ok("lookup", r.Lookup(nil, &h, "d", &entry))
	if entry.EntryTimeout() != time.Hour || entry.AttrTimeout() != time.Hour || entry.Generation != 1 {
		t.Errorf("%+v", entry)
	}
	entry = fuse.EntryOut{}
	r.ok("lookup of nothing", r.Lookup(nil, &h, "nothing", &entry))
	if entry.NodeId != 0 || entry.EntryTimeout() != time.Hour {
		t.Errorf("%+v", entry)
	}
}

func TestListing_GoesOnWhereTheBufferWasFull(t *testing.T) {
	r := newRig(t, nil)
	dir := r.mkdir("d")
	for i := range 100 {
		var out fuse.EntryOut
		name := fmt.Sprintf("%03d%s", i, strings.Repeat("n", i*2))
		r.ok("mknod", r.Mknod(nil, &fuse.MknodIn{InHeader: header(dir), Mode: unix.S_IFREG}, name, &out))
	}
	var opened fuse.OpenOut
	r.ok("opendir", r.OpenDir(nil, &fuse.OpenIn{InHeader: header(dir)}, &opened))
	var got []string
	for in := (fuse.ReadIn{InHeader: header(dir), Fh: opened.Fh}); ; {
		entries := r.list600(&in)
		if len(entries) == 0 {
			break
		}
		for _, e := range entries {
			got = append(got, e.Name)
			in.Offset = e.Off
		}
	}
	if len(got) != 102 || got[0] != "." || got[1] != ".." || got[2] != "000" || !strings.HasPrefix(got[101], "099") {
		t.Errorf("%d names: %.60q", len(got), got)
	}
	r.ReleaseDir(&fuse.ReleaseIn{InHeader: header(dir), Fh: opened.Fh})
	if r.dirs.count() != 0 {
		t.Error("the handle is still there")
	}
}

func TestDots_HaveTheirPlaces(t *testing.T) {
	r := newRig(t, nil)
	r.mkdir("d")
	var opened fuse.OpenOut
	r.ok("opendir", r.OpenDir(nil, &fuse.OpenIn{InHeader: header(1)}, &opened))
	for place, want := range []string{".", "..", "d"} {
		in := fuse.ReadIn{InHeader: header(1), Fh: opened.Fh, Offset: uint64(place)}
		if got := r.list600(&in); got[0].Name != want {
			t.Errorf("behind place %d comes %q, want %q", place, got[0].Name, want)
		}
	}
}

// list600 reads entries into a buffer of 600 bytes.
func (r *rig) list600(in *fuse.ReadIn) []fuse.DirEntry {
	r.t.Helper()
	list := fuse.NewDirEntryList(make([]byte, 600), in.Offset)
	r.ok("readdir", r.ReadDir(nil, in, list))
	entries, err := fuse.ParseDirEntries(list.Bytes())
	if err != nil {
		r.t.Fatal(err)
	}
	return entries
}

func TestXattrBuffers_FollowTheManual(t *testing.T) {
	for _, c := range []struct {
		dest int
		n    uint32
		err  error
	}{{0, 5, nil}, {4, 5, errRange}, {5, 5, nil}, {9, 5, nil}} {
		dest := make([]byte, c.dest)
		n, err := answer(dest, []byte("value"))
		if n != c.n || err != c.err || c.err == nil && c.dest > 0 && string(dest[:5]) != "value" {
			t.Errorf("into %d bytes: %d, %v, %q", c.dest, n, err, dest)
		}
	}
	names := []string{"trusted.x", "user.a", "user.b"}
	if got := string(joinNames(names, false)); got != "user.a\x00user.b\x00" {
		t.Errorf("a user is told %q", got)
	}
	if got := string(joinNames(names, true)); got != "trusted.x\x00user.a\x00user.b\x00" {
		t.Errorf("root is told %q", got)
	}
}

func TestUnprivilegedWrite_TakesSetIDBitsEachTime(t *testing.T) {
	r := newRig(t, nil)
	ino, fh, _ := r.create("f", 0)
	mode := func() uint32 {
		a, err := r.fs.Getattr(t.Context(), fs.Ino(ino))
		if err != nil {
			t.Fatal(err)
		}
		return a.Mode
	}
	chmod := func(mode uint32) {
		var out fuse.AttrOut
		in := fuse.SetAttrIn{}
		in.InHeader, in.Valid, in.Mode = header(ino), fuse.FATTR_MODE, mode
		r.ok("chmod", r.SetAttr(nil, &in, &out))
	}
	write := func() {
		t.Helper()
		_, st := r.Write(nil, &fuse.WriteIn{InHeader: header(ino), Fh: fh, WriteFlags: fuse.WRITE_KILL_SUIDGID}, []byte("x"))
		r.ok("write", st)
	}
	for _, m := range []uint32{0o4755, 0o2755, 0o6755} {
		chmod(m)
		write()
		if got := mode(); got != 0o755 {
			t.Errorf("mode %o became %o by an unprivileged write", m, got)
		}
	}
}

func TestUnknownHandle_IsBad(t *testing.T) {
	r := newRig(t, nil)
	if _, st := r.Write(nil, &fuse.WriteIn{InHeader: header(1), Fh: 77}, nil); st != fuse.EBADF {
		t.Error(st)
	}
	if st := r.ReadDir(nil, &fuse.ReadIn{InHeader: header(1), Fh: 77}, fuse.NewDirEntryList(nil, 0)); st != fuse.EBADF {
		t.Error(st)
	}
	r.Release(nil, &fuse.ReleaseIn{InHeader: header(1), Fh: 77})
}

func TestPanic_IsCountedAndLogged(t *testing.T) {
	r := newRig(t, nil)
	func() {
		defer func() {
			if st := r.panicked(recover()); st != fuse.EIO {
				t.Error(st)
			}
		}()
		r.do(OpRead, nil, &fuse.InHeader{}, func(*request) error { panic("a bug") })
	}()
	s := r.stats.snapshot()
	if s.Panics != 1 || s.Ops[OpRead].Errors != 1 || s.Ops[OpRead].InFlight != 0 {
		t.Errorf("%+v", s)
	}
	if log := r.logs.String(); !strings.Contains(log, "a bug") || !strings.Contains(log, "TestPanic_IsCountedAndLogged") {
		t.Errorf("the log lacks the cause or the stack: %s", log)
	}
}

func TestStats_CountCallsErrorsAndTime(t *testing.T) {
	r := newRig(t, nil)
	r.mkdir("d")
	var out fuse.EntryOut
	if st := r.Mkdir(nil, &fuse.MkdirIn{InHeader: header(1)}, "d", &out); st != fuse.Status(unix.EEXIST) {
		t.Error(st)
	}
	s := r.stats.snapshot().Ops[OpMkdir]
	if s.Op.String() != "mkdir" || s.Count != 2 || s.Errors != 1 || s.Busy <= 0 || s.InFlight != 0 {
		t.Errorf("%+v", s)
	}
	for op := range opCount {
		if op.String() == "" || op.String() == "unknown" {
			t.Errorf("request %d has no name", op)
		}
	}
}

func TestClose_ReleasesWhatTheKernelDidNot(t *testing.T) {
	r := newRig(t, nil)
	r.create("f", 0)
	var opened fuse.OpenOut
	r.ok("opendir", r.OpenDir(nil, &fuse.OpenIn{InHeader: header(1)}, &opened))
	r.close()
	if r.files.count() != 0 || r.dirs.count() != 0 {
		t.Errorf("%d files and %d directories are open", r.files.count(), r.dirs.count())
	}
}
