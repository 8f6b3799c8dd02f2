package fusefs

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"dfs/fs"

	"github.com/hanwen/go-fuse/v2/fuse"
)

const (
	// firstGhost is the first inode number that is made up for an echo; see firstVirtual.
	firstGhost uint64 = 1 << 62
	// asideIno is the aside's.
	asideIno = firstGhost
	// asideDir is the aside's name in the mount's root. Nobody but the helper finds it.
	asideDir = ".dfs-echo"
	// echoXattr is what the helper removes. Nobody has it.
	echoXattr = "trusted.dfs.echo"
	// echoHandle is the handle of a file that the helper has opened.
	echoHandle uint64 = math.MaxUint64
)

// lostPatience bounds the only question that an echo may ask: the kernel holds a directory's lock meanwhile.
const lostPatience = time.Second

const statusStale = fuse.Status(syscall.ESTALE)

// echoFront answers the helper's calls before anybody else sees them: what has been done on another mount is "done" once more, so
// that this kernel tells those who watch. Nothing is changed by it, and nobody is asked. All other requests pass.
//
// A request is the helper's if the kernel says that the helper's thread makes it, and a change only if it is the echo at hand.
type echoFront struct {
	fuse.RawFileSystem
	front  *front
	helper atomic.Uint32 // the helper's thread; 0: there is none
	ghosts atomic.Uint64

	mu   sync.Mutex
	now  *echo // nil: none is at hand
	node uint64
	gave [2]bool // the helper has been told what stands at Name, at ToName
	done bool
}

func newEchoFront(f *front, inner fuse.RawFileSystem) *echoFront {
	e := &echoFront{RawFileSystem: inner, front: f}
	e.ghosts.Store(asideIno)
	return e
}

func ghost(node uint64) bool { return node >= firstGhost && node < firstVirtual }

func (f *echoFront) ours(in *fuse.InHeader) bool {
	helper := f.helper.Load()
	return helper != 0 && in.Pid == helper
}

// begin puts an echo at hand; end takes it away, and says whether the kernel has asked what stands at its name, if it had to.
func (f *echoFront) begin(e *echo) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now, f.gave, f.done = e, [2]bool{}, false
	f.node = f.ghosts.Add(1)
	if e.Kind == echoRemove && e.Node != 0 {
		f.node = e.Node
	}
}

func (f *echoFront) end() (asked bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	asked = f.gave[0] || f.now.Kind != echoRemove && f.now.Kind != echoMove
	f.now = nil
	return asked
}

// dirIs says whether a node is the directory that an echo speaks of.
func dirIs(node, dir uint64) bool { return node == dir || dir == 0 && node == asideIno }

// settle answers a change: OK if it is the echo at hand, and the kernel does not go by a name that it remembers; then it asks
// again.
func (f *echoFront) settle(kind echoKind, match func(*echo) bool, names int) fuse.Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.now == nil || f.done || f.now.Kind != kind || !match(f.now) {
		return fuse.EPERM
	}
	for _, gave := range f.gave[:names] {
		if !gave {
			return statusStale
		}
	}
	f.done = true
	return fuse.OK
}

// ghostAttr is what is told of what is made up.
func ghostAttr(node uint64, t fs.FileType) *fs.Attr {
	a := &fs.Attr{Ino: fs.Ino(node), Type: t, Mode: 0o600, Nlink: 1}
	if t == fs.TypeDir {
		a.Mode, a.Nlink = 0o700, 2
	}
	return a
}

// fill answers a name. The kernel may believe nothing of it.
func (f *echoFront) fill(out *fuse.EntryOut, node uint64, a *fs.Attr) {
	*out = fuse.EntryOut{NodeId: node, Generation: generation}
	fillAttr(&out.Attr, a)
}

// Lookup implements fuse.RawFileSystem, like the methods below. The helper is told what stood there before the change.
func (f *echoFront) Lookup(cancel <-chan struct{}, in *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	if !f.ours(in) {
		return f.RawFileSystem.Lookup(cancel, in, name, out)
	}
	if in.NodeId == fuse.FUSE_ROOT_ID && name == asideDir {
		f.fill(out, asideIno, ghostAttr(asideIno, fs.TypeDir))
		return fuse.OK
	}
	node, t, ok := f.before(in.NodeId, name)
	switch {
	case !ok && ghost(in.NodeId):
		return fuse.ENOENT
	case !ok:
		return f.RawFileSystem.Lookup(cancel, in, name, out)
	case node == 0:
		return fuse.ENOENT
	}
	a, err := f.lost(node, t)
	if err != nil {
		return fuse.EIO
	}
	f.fill(out, node, a)
	return fuse.OK
}

// before is what the echo at hand wants to stand under a name, 0 for nothing; false if it is not about that name.
func (f *echoFront) before(dir uint64, name string) (node uint64, t fs.FileType, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e := f.now
	if e == nil || f.done || e.Kind > echoMove {
		return 0, 0, false
	}
	if e.Kind == echoMove && dirIs(dir, e.ToDir) && name == e.ToName {
		f.gave[1] = true
		return 0, 0, true
	}
	if !dirIs(dir, e.Dir) || name != e.Name {
		return 0, 0, false
	}
	f.gave[0] = true
	if e.Kind == echoMake {
		return 0, 0, true
	}
	return f.node, e.Type, true
}

// lost is what is told of an inode that loses its name by an echo. One that is gone for good may be open here: what the kernel
// believes of it must stay true then.
func (f *echoFront) lost(node uint64, t fs.FileType) (*fs.Attr, error) {
	if ghost(node) {
		return ghostAttr(node, t), nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), lostPatience)
	defer cancel()
	a, err := f.front.fs.Getattr(ctx, fs.Ino(node))
	if errors.Is(err, fs.ErrNotExist) {
		return ghostAttr(node, t), nil // nobody has it open
	}
	a.Nlink = max(a.Nlink, 1)
	return &a, err
}

// GetAttr tells of what is made up.
func (f *echoFront) GetAttr(cancel <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	if !ghost(in.NodeId) {
		return f.RawFileSystem.GetAttr(cancel, in, out)
	}
	*out = fuse.AttrOut{}
	fillAttr(&out.Attr, ghostAttr(in.NodeId, f.typeOf(in.NodeId)))
	return fuse.OK
}

// Statx is GetAttr with the birth time.
func (f *echoFront) Statx(cancel <-chan struct{}, in *fuse.StatxIn, out *fuse.StatxOut) fuse.Status {
	if !ghost(in.NodeId) {
		return f.RawFileSystem.Statx(cancel, in, out)
	}
	fillStatx(&out.Statx, ghostAttr(in.NodeId, f.typeOf(in.NodeId)))
	return fuse.OK
}

func (f *echoFront) typeOf(node uint64) fs.FileType {
	f.mu.Lock()
	defer f.mu.Unlock()
	if node != asideIno && f.now != nil && node == f.node {
		return f.now.Type
	}
	return fs.TypeDir
}

// Mknod makes a ghost.
func (f *echoFront) Mknod(cancel <-chan struct{}, in *fuse.MknodIn, name string, out *fuse.EntryOut) fuse.Status {
	if !f.ours(&in.InHeader) {
		return f.RawFileSystem.Mknod(cancel, in, name, out)
	}
	return f.made(in.NodeId, name, out, fs.TypeRegular)
}

// Mkdir makes a ghost.
func (f *echoFront) Mkdir(cancel <-chan struct{}, in *fuse.MkdirIn, name string, out *fuse.EntryOut) fuse.Status {
	if !f.ours(&in.InHeader) {
		return f.RawFileSystem.Mkdir(cancel, in, name, out)
	}
	return f.made(in.NodeId, name, out, fs.TypeDir)
}

func (f *echoFront) made(dir uint64, name string, out *fuse.EntryOut, t fs.FileType) fuse.Status {
	st := f.settle(echoMake, func(e *echo) bool { return dirIs(dir, e.Dir) && name == e.Name }, 1)
	if st == fuse.OK {
		node := f.ghosts.Load()
		f.fill(out, node, ghostAttr(node, t))
	}
	return st
}

// Unlink removes nothing.
func (f *echoFront) Unlink(cancel <-chan struct{}, in *fuse.InHeader, name string) fuse.Status {
	if !f.ours(in) {
		return f.RawFileSystem.Unlink(cancel, in, name)
	}
	return f.removed(in.NodeId, name)
}

// Rmdir removes nothing.
func (f *echoFront) Rmdir(cancel <-chan struct{}, in *fuse.InHeader, name string) fuse.Status {
	if !f.ours(in) {
		return f.RawFileSystem.Rmdir(cancel, in, name)
	}
	return f.removed(in.NodeId, name)
}

func (f *echoFront) removed(dir uint64, name string) fuse.Status {
	return f.settle(echoRemove, func(e *echo) bool { return dirIs(dir, e.Dir) && name == e.Name }, 1)
}

// Rename moves nothing.
func (f *echoFront) Rename(cancel <-chan struct{}, in *fuse.RenameIn, name, newName string) fuse.Status {
	if !f.ours(&in.InHeader) {
		return f.RawFileSystem.Rename(cancel, in, name, newName)
	}
	return f.settle(echoMove, func(e *echo) bool {
		return in.Flags == 0 && dirIs(in.NodeId, e.Dir) && name == e.Name && dirIs(in.Newdir, e.ToDir) && newName == e.ToName
	}, 2)
}

// touches says whether the echo at hand is about what a node holds.
func (f *echoFront) touches(node uint64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now != nil && f.now.Kind >= echoModify && f.now.Node == node
}

// Open opens nothing. The pages that the kernel has stay.
func (f *echoFront) Open(cancel <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	if !f.ours(&in.InHeader) {
		return f.RawFileSystem.Open(cancel, in, out)
	}
	if !f.touches(in.NodeId) {
		return fuse.EPERM
	}
	*out = fuse.OpenOut{Fh: echoHandle, OpenFlags: fuse.FOPEN_DIRECT_IO | fuse.FOPEN_KEEP_CACHE | fuse.FOPEN_NOFLUSH}
	return fuse.OK
}

// Fallocate is what the kernel takes for a write. It allocates nothing.
func (f *echoFront) Fallocate(cancel <-chan struct{}, in *fuse.FallocateIn) fuse.Status {
	switch {
	case in.Fh != echoHandle:
		return f.RawFileSystem.Fallocate(cancel, in)
	case !f.ours(&in.InHeader):
		return fuse.EBADF
	}
	return fuse.OK
}

// Release closes nothing: the kernel does not say whose it is.
func (f *echoFront) Release(cancel <-chan struct{}, in *fuse.ReleaseIn) {
	if in.Fh != echoHandle {
		f.RawFileSystem.Release(cancel, in)
	}
}

// RemoveXAttr is what the kernel takes for a change of attributes.
func (f *echoFront) RemoveXAttr(cancel <-chan struct{}, in *fuse.InHeader, name string) fuse.Status {
	if !f.ours(in) {
		return f.RawFileSystem.RemoveXAttr(cancel, in, name)
	}
	if name != echoXattr || !f.touches(in.NodeId) {
		return fuse.EPERM
	}
	return fuse.OK
}
