package fusefs

import (
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"dfs/fs"
	"dfs/fs/spans"
	"dfs/fs/vfs"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// front answers kernel requests. go-fuse calls each method in a goroutine of its own, many at a time; the in and out
// structs and all buffers are go-fuse's again when the method returns. What the embedded default answers is ENOSYS.
type front struct {
	fuse.RawFileSystem

	fs    *vfs.FS
	cache time.Duration // how long the kernel may believe entries and attributes at least
	// timeless: the kernel knows no epoch of names, and so is not to remember any.
	timeless bool
	suid     bool // the mount honours set-id bits and file capabilities
	acl      bool // and ACLs
	logger   *slog.Logger
	errors   *errorLog
	tracer   spans.Tracer // nil: no traces

	requests string // begins the ids of this mount's requests

	stats    counters
	files    handles[*file]
	dirs     handles[*vfs.DirHandle]
	unleased sync.Map // inodes whose pages are about to be dropped; see front.uncovered
	stale    sync.Map // inodes whose pages the kernel must drop at the next OPEN; see front.handle
	pages    pages
	acls     acls
	kernel   notifier
	root     root
	dev      *device
}

func newFront(cfg *Config, dev *device) *front {
	return &front{
		RawFileSystem: fuse.NewDefaultRawFileSystem(),
		fs:            cfg.FS,
		cache:         cfg.CacheTimeout,
		suid:          cfg.Suid,
		acl:           !cfg.NoPermissionChecks,
		logger:        cfg.Logger,
		errors:        newErrorLog(cfg.Logger),
		tracer:        cfg.Tracer,
		dev:           dev,
		requests:      "m" + strconv.FormatUint(uint64(rand.Uint32()), 36) + "-",
		root: root{gone: func() bool {
			_, gone := cfg.FS.Silence()
			return gone
		}},
	}
}

// String implements fuse.RawFileSystem.
func (f *front) String() string { return "dfs" }

// close releases what the kernel did not: after an abort it sends no RELEASE.
func (f *front) close() {
	for _, file := range f.files.drain() {
		file.release()
	}
	for _, dir := range f.dirs.drain() {
		dir.Release()
	}
}

// panicked turns a panic of a handler, a bug of ours, into EIO for that one call: the other users of the mount go on.
func (f *front) panicked(cause any) fuse.Status {
	f.stats.panics.Add(1)
	f.logger.Error("panic in a filesystem call", "panic", cause, "stack", string(debug.Stack()))
	return fuse.EIO
}

// inoOf is the inode of a node id. They are the same but for the mount's root, which the kernel calls 1, whichever directory
// it is; nodeOf is the inverse.
func (f *front) inoOf(node uint64) fs.Ino {
	if node == fuse.FUSE_ROOT_ID {
		return f.fs.Root()
	}
	return fs.Ino(node)
}

func (f *front) nodeOf(ino fs.Ino) uint64 {
	if ino == f.fs.Root() {
		return fuse.FUSE_ROOT_ID
	}
	return uint64(ino)
}

// fillEntry answers a name with its inode.
func (f *front) fillEntry(out *fuse.EntryOut, a *fs.Attr, v vfs.Validity) {
	out.NodeId = f.nodeOf(a.Ino)
	out.Generation = generation
	out.SetEntryTimeout(f.entryTimeout(v))
	out.SetAttrTimeout(max(v.Attr, f.cache))
	fillAttr(&out.Attr, a)
}

// fillMade answers a name that this request has made. The kernel takes over attributes that answer a change whatever it has
// been told to forget meanwhile, so that it must ask for them again.
func (f *front) fillMade(r *request, name string, out *fuse.EntryOut, a *fs.Attr) {
	f.fillEntry(out, a, vfs.Validity{Entry: f.fs.NameValid(r.ino(), name, a.Ino)})
}

// entryTimeout is how long the kernel may believe a name. Without the epoch there is no way to take names back that never waits for
// a request.
func (f *front) entryTimeout(v vfs.Validity) time.Duration {
	if f.timeless {
		return f.cache
	}
	return max(v.Entry, f.cache)
}

func (f *front) fillAttrOut(out *fuse.AttrOut, a *fs.Attr, valid time.Duration) {
	out.SetTimeout(max(valid, f.cache))
	fillAttr(&out.Attr, a)
}
