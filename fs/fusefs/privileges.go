package fusefs

import (
	"sync"
	"time"

	"dfs/fs"
)

// Whoever changes a program that runs under its owner's rights, without being privileged to (CAP_FSETID), takes these
// rights from it. With FUSE_HANDLE_KILLPRIV_V2 the kernel only says who is not privileged, and we clear the bits.
// The other way round, where the kernel clears them, costs a GETXATTR before every write(2).

const (
	groupExec = 0o010
	// modeTrust is how long a handle believes in the mode that it has seen. It bounds how long a set-id bit that
	// another mount sets can survive writes through a handle that was open here before.
	modeTrust = time.Second
)

// killed is mode without the set-id bits: set-uid always, set-gid where it is one (it needs group execute permission).
func killed(mode uint32) uint32 {
	mode &^= fs.ModeSetuid
	if mode&groupExec != 0 {
		mode &^= fs.ModeSetgid
	}
	return mode
}

// privileges is what a handle knows of its file's set-id bits: nothing, or that there are none.
type privileges struct {
	mu      sync.Mutex
	clearAt time.Time // none were there at this moment; zero: not known
	setid   uint64    // front.setid then
}

// modeChanged tells all handles to look again if a mode has set-id bits.
func (f *front) modeChanged(mode uint32) {
	if killed(mode) != mode {
		f.setid.Add(1)
	}
}

// addKill makes set clear the set-id bits as well, if there are any.
func (f *front) addKill(r *request, set *fs.Setattr) error {
	a, err := f.fs.Getattr(r, set.Ino)
	if err != nil || a.IsDir() || killed(a.Mode) == a.Mode {
		return err
	}
	set.Set |= fs.SetMode
	set.Mode = killed(a.Mode)
	return nil
}

// killPrivileges clears the set-id bits of an open file, before an unprivileged write to it.
func (f *front) killPrivileges(r *request, file *file) error {
	p := &file.priv
	p.mu.Lock()
	defer p.mu.Unlock()
	setid, now := f.setid.Load(), time.Now()
	if p.setid == setid && now.Sub(p.clearAt) < modeTrust {
		return nil
	}
	if err := f.kill(r, file.ino); err != nil {
		return err
	}
	p.setid, p.clearAt = setid, now
	return nil
}

// kill clears the set-id bits of an inode, if it has any.
func (f *front) kill(r *request, ino fs.Ino) error {
	set := fs.Setattr{Ino: ino}
	if err := f.addKill(r, &set); err != nil || set.Set == 0 {
		return err
	}
	_, err := f.fs.Setattr(r, ino, set)
	return err
}

// killUnlessRoot is killPrivileges for the calls in which the kernel does not say whether the caller is privileged: the
// superuser is taken to be, others not to.
func (f *front) killUnlessRoot(r *request, file *file) error {
	if r.in.Uid == 0 {
		return nil
	}
	return f.killPrivileges(r, file)
}
