package fs

// SetMask says which fields of a Setattr count.
type SetMask uint16

// The fields of Setattr.
const (
	SetMode SetMask = 1 << iota
	SetUID
	SetGID
	SetSize
	SetAtime
	SetMtime
)

// Setattr changes attributes. SetSize truncates or extends a regular file. Ctime becomes Time; so does Mtime with
// SetSize alone. KillPriv is as in Write; a Mode set by the same Setattr is kept as it is. ErrTooManyExtents when truncation
// would cut more than ExtentsMax extents: cut in steps.
type Setattr struct {
	Ino   Ino
	Set   SetMask
	Mode  uint32
	UID   uint32
	GID   uint32
	Size  uint64
	Atime Time
	Mtime Time
	Time  Time

	KillPriv bool
}

// Apply does to a what s asks for, SetSize excepted. The state machine and a mount that shows a change before it is
// decided share it, so that they cannot differ.
func (s *Setattr) Apply(a *Attr) {
	if s.Set&SetUID != 0 {
		a.UID = s.UID
	}
	if s.Set&SetGID != 0 {
		a.GID = s.GID
	}
	if s.KillPriv || s.Set&(SetUID|SetGID) != 0 {
		a.KillPriv()
	}
	if s.Set&SetMode != 0 {
		a.Mode = s.Mode & ModeMask
	}
	if s.Set&SetAtime != 0 {
		a.Atime = s.Atime
	}
	if s.Set&SetMtime != 0 {
		a.Mtime = s.Mtime
	}
	a.Ctime = s.Time
}

// groupExec is the permission that makes the set-gid bit of a file mean set-gid.
const groupExec = 0o010

// KillPriv takes from a program that runs under its owner's rights these rights: the set-uid bit always, the set-gid bit
// unless it only means mandatory locking (chown(2), write(2)).
func (a *Attr) KillPriv() {
	if a.IsDir() {
		return
	}
	a.Mode &^= ModeSetuid
	if a.Mode&groupExec != 0 {
		a.Mode &^= ModeSetgid
	}
}
