package vfs

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"dfs/fs"
)

// Lookup finds a name; "." and ".." are for the front to resolve.
func (f *FS) Lookup(ctx context.Context, dir fs.Ino, name string) (fs.Attr, error) {
	a, _, err := f.LookupFor(ctx, dir, name)
	return a, err
}

// LookupFor is Lookup that tells how long the answer may be believed, ErrNotExist too.
func (f *FS) LookupFor(ctx context.Context, dir fs.Ino, name string) (fs.Attr, Validity, error) {
	if len(name) > fs.NameMax {
		return fs.Attr{}, Validity{}, fmt.Errorf("a name of %d bytes: %w", len(name), fs.ErrNameTooLong)
	}
	ino, a, valid, ok := f.leases.name(dir, name)
	switch {
	case ok && ino == 0:
		return fs.Attr{}, valid, fmt.Errorf("%q: %w", name, fs.ErrNotExist)
	case !ok:
		var err error
		if a, valid, err = f.askName(ctx, dir, name); err != nil {
			return fs.Attr{}, valid, err
		}
	}
	return f.merge(a), valid, nil
}

// askName asks the leader what a name means, and for leases.
func (f *FS) askName(ctx context.Context, dir fs.Ino, name string) (a fs.Attr, valid Validity, err error) {
	l := f.leases
	at := l.before(dir)
	_, err = asking(ctx, f, fs.LeaseShared, func(ctx context.Context) (fs.Attr, error) { return f.meta.Lookup(ctx, dir, name) },
		func(answer fs.Attr, err error) {
			if a, valid.Attr = answer, 0; err == nil {
				a, valid.Attr = l.noteAttr(answer.Ino, look{}, answer, nil)
			}
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return
			}
			d := l.still(dir, at)
			if d == nil || d.attr.Ino == 0 && err != nil { // the directory itself may be what does not exist
				return
			}
			d.nameIs(name, answer.Ino)
			if l.usable(dir) != nil {
				valid.Entry = l.validity(d)
			}
		})
	return a, valid, err
}

// Readlink returns a symlink's target.
func (f *FS) Readlink(ctx context.Context, ino fs.Ino) (string, error) {
	return reading(ctx, f, func(ctx context.Context) (string, error) { return f.meta.Readlink(ctx, ino) })
}

// Mknod makes a file of any type but a directory or a symlink.
func (f *FS) Mknod(ctx context.Context, who Caller, parent fs.Ino, name string, typ fs.FileType, mode, rdev uint32) (fs.Attr, error) {
	if typ == fs.TypeDir || typ == fs.TypeSymlink {
		return fs.Attr{}, fmt.Errorf("mknod %q: %w", name, fs.ErrInvalid)
	}
	return f.create(ctx, who, fs.Create{Parent: parent, Name: name, Type: typ, Mode: mode, Rdev: rdev})
}

// Mkdir makes a directory.
func (f *FS) Mkdir(ctx context.Context, who Caller, parent fs.Ino, name string, mode uint32) (fs.Attr, error) {
	return f.create(ctx, who, fs.Create{Parent: parent, Name: name, Type: fs.TypeDir, Mode: mode})
}

// Symlink makes a symlink.
func (f *FS) Symlink(ctx context.Context, who Caller, parent fs.Ino, name, target string) (fs.Attr, error) {
	return f.create(ctx, who, fs.Create{Parent: parent, Name: name, Type: fs.TypeSymlink, Mode: fs.ModePerm, Target: target})
}

func (f *FS) create(ctx context.Context, who Caller, op fs.Create) (fs.Attr, error) {
	if err := f.complete(ctx, who, &op); err != nil {
		return fs.Attr{}, err
	}
	r, err := f.do1(ctx, &op)
	return r.Attr, err
}

// complete fills in what every Create bears.
func (f *FS) complete(ctx context.Context, who Caller, op *fs.Create) error {
	if f.ReadOnly() {
		return fs.ErrReadOnly
	}
	ino, err := f.newIno(ctx)
	if err != nil {
		return err
	}
	op.Ino, op.UID, op.GID, op.Umask, op.Time = ino, who.UID, who.GID, who.Umask, f.now()
	return nil
}

// createOpen makes a regular file and opens it: one transaction, which pins it as well.
func (f *FS) createOpen(ctx context.Context, who Caller, op fs.Create, flags uint32) (fs.Attr, *Handle, error) {
	op.Type, op.Pin = fs.TypeRegular, true
	if err := f.complete(ctx, who, &op); err != nil {
		return fs.Attr{}, nil, err
	}
	if err := f.pins.hold(ctx, op.Ino); err != nil {
		return fs.Attr{}, nil, err
	}
	under := f.sessions.get()
	r, err := f.do1(ctx, &op)
	if err != nil {
		f.pins.release(op.Ino)
		return fs.Attr{}, nil, err
	}
	n, a := f.table.get(op.Ino), r.Attr
	if under == nil || under != f.sessions.get() {
		// The next session has pinned what it found; if it came before the inode was in the table, nobody was told whether.
		if a, err = f.pin(ctx, op.Ino); err != nil {
			f.unhold(n)
			return fs.Attr{}, nil, gone(err)
		}
	}
	a = n.observe(a)
	h := &Handle{f: f, n: n, flags: flags}
	h.start()
	n.keepCache() // this is an Open, too
	return a, h, nil
}

// Create makes and opens a regular file. Without O_EXCL it opens one that is there already.
func (f *FS) Create(ctx context.Context, who Caller, parent fs.Ino, name string, mode, flags uint32) (fs.Attr, *Handle, error) {
	for range createTries {
		a, h, err := f.createOpen(ctx, who, fs.Create{Parent: parent, Name: name, Mode: mode}, flags)
		if !errors.Is(err, fs.ErrExist) || flags&syscall.O_EXCL != 0 {
			return a, h, err
		}
		a, err = f.Lookup(ctx, parent, name)
		if err == nil {
			a, h, _, err = f.Open(ctx, a.Ino, flags)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return a, h, err
		}
		// Removed in between: make it after all.
	}
	return fs.Attr{}, nil, fmt.Errorf("create %q: others keep removing it: %w", name, fs.ErrBusy)
}

// createTries bounds Create where others make and remove the name all the time.
const createTries = 8

// Tmpfile makes and opens a regular file without a name, as O_TMPFILE does in the directory near; Link may name it.
func (f *FS) Tmpfile(ctx context.Context, who Caller, near fs.Ino, mode, flags uint32) (fs.Attr, *Handle, error) {
	return f.createOpen(ctx, who, fs.Create{Near: near, Mode: mode}, flags)
}

// Link gives an inode one more name.
func (f *FS) Link(ctx context.Context, ino, parent fs.Ino, name string) (fs.Attr, error) {
	r, err := f.do1(ctx, &fs.Link{Ino: ino, Parent: parent, Name: name, Time: f.now()})
	if err != nil {
		return fs.Attr{}, err
	}
	return f.merge(r.Attr), nil
}

// Unlink removes a name that is not a directory's.
func (f *FS) Unlink(ctx context.Context, parent fs.Ino, name string) error {
	return f.UnlinkIf(ctx, Guard{}, parent, name)
}

// UnlinkIf is Unlink with a precondition.
func (f *FS) UnlinkIf(ctx context.Context, g Guard, parent fs.Ino, name string) error {
	if err := f.tellPin(ctx, parent, name); err != nil {
		return err
	}
	r, err := f.guarded(ctx, g, &fs.Unlink{Parent: parent, Name: name, Time: f.now()})
	if err != nil {
		return err
	}
	f.unnamed(r.Attr)
	return nil
}

// Rmdir removes an empty directory.
func (f *FS) Rmdir(ctx context.Context, parent fs.Ino, name string) error {
	return f.RmdirIf(ctx, Guard{}, parent, name)
}

// RmdirIf is Rmdir with a precondition.
func (f *FS) RmdirIf(ctx context.Context, g Guard, parent fs.Ino, name string) error {
	if err := f.tellPin(ctx, parent, name); err != nil {
		return err
	}
	r, err := f.guarded(ctx, g, &fs.Rmdir{Parent: parent, Name: name, Time: f.now()})
	if err != nil {
		return err
	}
	f.tellPinSoon(&r.Attr)
	if !f.pins.isHeld(r.Attr.Ino) {
		f.leaveOrphan(&r.Attr)
	}
	return nil
}

// Rename moves a name. What this mount has written to the file that moves is flushed first, so that replacing a file by
// rename leaves the old content or the new one, whatever crashes.
func (f *FS) Rename(ctx context.Context, parent fs.Ino, name string, newParent fs.Ino, newName string, flags fs.RenameFlags) error {
	return f.RenameIf(ctx, Guard{}, parent, name, newParent, newName, flags)
}

// RenameIf is Rename with a precondition.
func (f *FS) RenameIf(ctx context.Context, g Guard, parent fs.Ino, name string, newParent fs.Ino, newName string, flags fs.RenameFlags) error {
	if f.ReadOnly() {
		return fs.ErrReadOnly
	}
	if f.dirty.len() > 0 {
		a, err := f.Lookup(ctx, parent, name)
		if err != nil {
			return err
		}
		if err := f.flushIno(ctx, a.Ino); err != nil {
			return fmt.Errorf("rename %q: %w", name, err)
		}
	}
	if err := f.tellPin(ctx, newParent, newName); err != nil {
		return err
	}
	r, err := f.guarded(ctx, g, &fs.Rename{Parent: parent, Name: name, NewParent: newParent, NewName: newName, Flags: flags, Time: f.now()})
	if err != nil {
		return err
	}
	f.merge(r.Attr)
	if r.Replaced.Ino != 0 {
		f.unnamed(r.Replaced)
	}
	return nil
}

// tellPin tells the leader that what a name means is open here, if it does not know: it is about to lose the name, and no recall
// from ourselves will come before.
func (f *FS) tellPin(ctx context.Context, dir fs.Ino, name string) error {
	if !f.pins.anyUntold() {
		return nil
	}
	a, err := f.Lookup(ctx, dir, name)
	if err != nil || !f.pins.isUntold(a.Ino) {
		return nil // the operation itself has the error
	}
	_, err = f.pin(ctx, a.Ino)
	return err
}

// tellPinSoon tells the leader, with a beat that leaves now, of what was opened while it lost its last name: the orphan is left alone
// only for a moment.
func (f *FS) tellPinSoon(a *fs.Attr) {
	if a.Nlink == 0 && f.pins.isUntold(a.Ino) {
		f.pins.hurry()
	}
}

func (f *FS) flushIno(ctx context.Context, ino fs.Ino) error {
	n := f.table.peek(ino)
	if n == nil {
		return nil
	}
	defer f.table.release(n)
	return n.flushed(ctx, f)
}

// unnamed takes in the attributes of an inode that has lost a name.
func (f *FS) unnamed(a fs.Attr) {
	f.tellPinSoon(&a)
	n := f.table.peek(a.Ino)
	if n == nil {
		f.leaveOrphan(&a)
		return
	}
	defer f.table.release(n)
	n.mu.Lock()
	n.adopt(a)
	n.discardIfOrphan(f)
	open := n.handles > 0
	n.mu.Unlock()
	if !open {
		f.leaveOrphan(&a)
	}
}

// leaveOrphan gives back the lease on an inode that has no name and is not open here: nobody asks for it again.
func (f *FS) leaveOrphan(a *fs.Attr) {
	if a.Nlink > 0 {
		return
	}
	f.leases.mu.Lock()
	defer f.leases.mu.Unlock()
	f.giveLeases([]fs.Ino{a.Ino})
}

// discardIfOrphan drops what is waiting of a file that nobody can reach any more; mu is held.
func (n *inode) discardIfOrphan(f *FS) {
	if n.handles == 0 && n.attr.Nlink == 0 && n.waiting() {
		n.drop(f)
	}
}
