package vfs

import (
	"context"

	"dfs/fs"
)

// While a file has unflushed data, a change of its attributes goes behind that data in the same flush transaction. Times
// wait for the flush in inode.pending, which holds nothing but them: as they stand at the end of all that waits. Mode and
// owner join them only to leave at once, in one critical section (packer.pack).

const times = fs.SetAtime | fs.SetMtime

// onlyTimes reports whether s is what utimes(2) does: tar and rsync do it to every file that they write.
func onlyTimes(s *fs.Setattr) bool { return s.Set != 0 && s.Set&^times == 0 && !s.KillPriv }

// setLater has the times of s set with the data's flush. Not ok: nothing is unflushed.
func (n *inode) setLater(f *FS, s fs.Setattr) (a fs.Attr, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.gone || !n.unflushed() {
		return fs.Attr{}, false
	}
	if !n.waiting() {
		n.born = f.cfg.Now()
	}
	n.pending = merged(n.pending, s)
	return n.view(), true
}

// setWithData flushes what waits with s behind it, and waits for both; the operation lock is held. It returns nothing if s
// must go alone: nothing is unflushed, or what s was to follow is lost, and s with it.
func (n *inode) setWithData(ctx context.Context, f *FS, s fs.Setattr) (fs.Attr, error) {
	fl := f.launchWith(n, s)
	if fl == nil {
		return fs.Attr{}, nil
	}
	if lost, err := await(ctx, []*flight{fl}); lost != nil || err != nil {
		return fs.Attr{}, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.view(), nil
}

// merged is what two changes come to, of which the earlier one is of times only. Nobody changes the result.
func merged(earlier *fs.Setattr, s fs.Setattr) *fs.Setattr {
	if earlier == nil {
		return &s
	}
	if s.Set&fs.SetAtime == 0 {
		s.Atime = earlier.Atime
	}
	if s.Set&fs.SetMtime == 0 {
		s.Mtime = earlier.Mtime
	}
	s.Set |= earlier.Set
	s.Time = max(s.Time, earlier.Time)
	return &s
}

// changedAt notes that the content was changed: the mtime is t and no longer one that was set before; mu is held.
func (n *inode) changedAt(t fs.Time) {
	n.mtime = max(n.mtime, t)
	if n.pending == nil {
		return
	}
	if n.pending.Set&fs.SetAtime == 0 {
		n.pending = nil
		return
	}
	n.pending = &fs.Setattr{Ino: n.ino, Set: fs.SetAtime, Atime: n.pending.Atime, Time: max(n.pending.Time, n.mtime)}
}

// wrote shows in a what the flush of segs will do to it, besides the size.
func wrote(a *fs.Attr, segs segments, mtime fs.Time, kill bool) {
	if len(segs) == 0 {
		return
	}
	a.Mtime, a.Ctime = mtime, max(a.Ctime, mtime)
	if kill {
		a.KillPriv()
	}
}

// set shows in a what s will do to it.
func set(a *fs.Attr, s *fs.Setattr) {
	if s != nil {
		s.Apply(a)
	}
}
