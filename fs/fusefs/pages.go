package fusefs

import (
	"sync"

	"dfs/fs"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// The kernel drops a file's pages when it is told another size or mtime. Another mount may change the bytes, though, and
// leave the size and set the mtime back (rsync --inplace --times). So for each open file it is remembered what the kernel
// has been told, and when only the version has changed the kernel is told to drop the pages, before it gets the answer.

// pages remembers that for open files.
type pages struct {
	mu   sync.Mutex
	open map[fs.Ino]*told
}

type told struct {
	opens   int
	version uint64 // the kernel has no older pages
	mtime   fs.Time
	size    uint64
}

// opened counts an OPEN, after which pages are no older than a.
func (p *pages) opened(a *fs.Attr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open == nil {
		p.open = make(map[fs.Ino]*told)
	}
	t := p.open[a.Ino]
	if t == nil {
		t = &told{version: a.Version, mtime: a.Mtime, size: a.Size}
		p.open[a.Ino] = t
	}
	t.opens++
}

// released takes an OPEN back.
func (p *pages) released(ino fs.Ino) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t := p.open[ino]; t != nil {
		if t.opens--; t.opens == 0 {
			delete(p.open, ino)
		}
	}
}

// look reports whether the kernel must be told to drop pages when it is told a. If it need not be, a counts as told.
func (p *pages) look(a *fs.Attr) (drop bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.open[a.Ino]
	if t == nil || a.Version <= t.version {
		return false
	}
	if a.Mtime == t.mtime && a.Size == t.size {
		return true
	}
	*t = told{t.opens, a.Version, a.Mtime, a.Size}
	return false
}

// dropped notes that the pages older than version are gone.
func (p *pages) dropped(ino fs.Ino, version uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t := p.open[ino]; t != nil {
		t.version = max(t.version, version)
	}
}

// changed notes attributes that answer a change made here. The kernel takes them over without a look at its pages, and
// must not be told to drop them while it makes a change, so the version is left for the next look.
func (p *pages) changed(a *fs.Attr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t := p.open[a.Ino]; t != nil {
		t.mtime, t.size = a.Mtime, a.Size
	}
}

// notifier is what front uses of a fuse.Server.
type notifier interface {
	InodeNotify(node uint64, off, length int64) fuse.Status
}

// Init implements fuse.RawFileSystem. It comes before the first request.
func (f *front) Init(s *fuse.Server) { f.kernel = s }

// tell is called with the attributes that answer a GETATTR, STATX or LOOKUP, before the answer. In these requests the
// kernel holds no lock that the dropping of pages waits for; it may wait for READs and WRITEs of the same file, which
// are answered independently.
func (f *front) tell(a *fs.Attr) {
	f.acls.told(a)
	if a.Type != fs.TypeRegular || !f.pages.look(a) {
		return
	}
	switch st := f.kernel.InodeNotify(uint64(a.Ino), 0, 0); st {
	case fuse.OK, fuse.ENOENT: // dropped, or the kernel has forgotten the inode
		f.pages.dropped(a.Ino, a.Version)
	default:
		f.logger.Warn("cannot make the kernel drop pages", "ino", a.Ino, "status", st.String())
	}
}
