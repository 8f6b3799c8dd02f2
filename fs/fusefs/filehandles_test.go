package fusefs

import (
	"context"
	"testing"

	"dfs/blob/memstore"
	"dfs/fs"
	"dfs/fs/vfs"
	"dfs/raftmeta/localmeta"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// What the kernel asks to open a file handle ends at the mount's root, whichever directory that is.
func TestFileHandle_LeadsUpToTheMountsRoot(t *testing.T) {
	cluster, err := localmeta.New(localmeta.Config{})
	if err != nil {
		t.Fatal(err)
	}
	engine := func(subtree string) *vfs.FS {
		cfg := vfs.Config{Mount: fs.Mount{Subtree: subtree}}
		f, err := vfs.New(t.Context(), cfg, cluster.Mount(nil), memstore.New(memstore.Config{Node: "n"}))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := f.Close(context.Background()); err != nil {
				t.Error(err)
			}
		})
		return f
	}
	all := engine("")
	mkdir := func(parent fs.Ino, name string) fs.Ino {
		a, err := all.Mkdir(t.Context(), vfs.Caller{}, parent, name, 0o755)
		if err != nil {
			t.Fatal(err)
		}
		return a.Ino
	}
	top := mkdir(fs.RootIno, "top")
	inside := mkdir(top, "inside")
	below := mkdir(inside, "below")
	file, err := all.Mknod(t.Context(), vfs.Caller{}, top, "file", fs.TypeRegular, 0o644, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := newFront(&Config{FS: engine("/top")}, &device{fd: -1})
	for _, c := range []struct {
		node uint64
		name string
		want uint64 // node id
		st   fuse.Status
	}{
		{uint64(inside), ".", uint64(inside), fuse.OK},
		{uint64(below), "..", uint64(inside), fuse.OK},
		{uint64(inside), "..", fuse.FUSE_ROOT_ID, fuse.OK},
		{fuse.FUSE_ROOT_ID, "..", fuse.FUSE_ROOT_ID, fuse.OK},
		{uint64(top), ".", fuse.FUSE_ROOT_ID, fuse.OK},
		{12345, ".", 0, fuse.ENOENT}, // which the kernel makes ESTALE
		{12345, "..", 0, fuse.ENOENT},
		{uint64(file.Ino), "..", 0, fuse.ENOTDIR},
	} {
		in, out := header(c.node), fuse.EntryOut{}
		if st := f.Lookup(nil, &in, c.name, &out); st != c.st || out.NodeId != c.want {
			t.Errorf("%q of node %d: %d, %v; want %d, %v", c.name, c.node, out.NodeId, st, c.want, c.st)
		}
	}
}
