package fusefs

import (
	"time"

	"dfs/fs"
	"dfs/fs/vfs"

	"github.com/hanwen/go-fuse/v2/fuse"
)

var _ vfs.Kernel = (*front)(nil)

// DropNames implements vfs.Kernel. The kernel looks at the epoch at which a LOOKUP, or a request that makes a name, began: an answer
// that is on its way counts as old, too.
func (f *front) DropNames() {
	if f.timeless {
		return
	}
	if err := f.dev.incEpoch(); err != nil && !f.dev.dead() {
		f.logger.Error("cannot take names back from the kernel", "err", err)
	}
}

// DropAttr implements vfs.Kernel. Answers to requests that began before count as old, but for those that change the
// inode: these are not believed for any time anyway.
func (f *front) DropAttr(ino fs.Ino) {
	f.acls.changed(ino)
	f.notify(ino, -1)
}

// pagesPatience is how long the dropping of a file's pages is waited for. It waits for READs that are under way, and for
// dirty pages of shared mappings to be written, which a truncation under way holds back.
const pagesPatience = time.Second

// DropPages implements vfs.Kernel.
func (f *front) DropPages(ino fs.Ino) {
	f.acls.changed(ino)
	dropped := make(chan struct{})
	go func() {
		defer close(dropped)
		f.notify(ino, 0)
	}()
	patience := time.NewTimer(pagesPatience)
	defer patience.Stop()
	select {
	case <-dropped:
	case <-patience.C:
		f.logger.Warn("the kernel takes long to drop a file's pages; going on without", "ino", ino)
		f.notify(ino, -1)
	}
}

// uncoveredPages is how long the kernel keeps pages that nobody would recall.
const uncoveredPages = 5 * time.Millisecond

// uncovered is told that a READ is about to bring pages of a file into the kernel, and that vfs found no lease for them, in time: read(2) asks for
// attributes before it believes them, but a mapping does not. So they are dropped soon, and asked for again where they are used.
func (f *front) uncovered(ino fs.Ino) {
	if _, is := f.unleased.LoadOrStore(ino, struct{}{}); is {
		return
	}
	f.stats.uncovered.Add(1)
	time.AfterFunc(uncoveredPages, func() {
		f.unleased.Delete(ino)
		f.DropPages(ino)
	})
}

// notify has the kernel forget an inode's attributes, and with off 0 its pages.
func (f *front) notify(ino fs.Ino, off int64) {
	switch st := f.kernel.InodeNotify(f.nodeOf(ino), off, 0); st {
	case fuse.OK, fuse.ENOENT: // done, or the kernel does not know the inode
	default:
		if !f.dev.dead() {
			f.logger.Error("cannot take an inode back from the kernel", "ino", ino, "status", st.String())
		}
	}
}
