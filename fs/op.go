package fs

// Op is one operation on the metadata. Ops are plain data: ids, times and placements are decided by whoever proposes
// them, and the state machine applies them without asking anybody. The POSIX rules of each are in raftmeta/state.
type Op interface{ isOp() }

// Create makes an inode and, unless Parent is 0, its name. Ino comes from a range allotted to the session. With Parent
// 0 the inode has no name (O_TMPFILE): it is an orphan until a Link names it, and is reaped when nobody pins it.
// What it inherits, the group of a set-gid directory and access by a default ACL, comes from Parent, or else from Near.
// Errors: ErrExist, ErrNotDir, ErrNotExist (Parent, Near), ErrNameTooLong, ErrInvalid.
type Create struct {
	Parent Ino
	Near   Ino // without a Parent: the directory that O_TMPFILE was opened in; 0: nothing is inherited
	Name   string
	Ino    Ino
	Type   FileType
	Mode   uint32 // as the caller asked for it
	Umask  uint32 // permissions taken from Mode, unless a default ACL is inherited: that decides instead
	UID    uint32
	GID    uint32 // the caller's; a set-gid directory overrides it
	Rdev   uint32
	Target string // of a symlink, 1 … PathMax bytes
	Time   Time
	// Pin makes the leader pin the inode for the Tx's session before the Tx is decided, as a call of Pin would after it:
	// the inode is never there without its pin. The mount puts it on its list of what it has open (see Sessions.Attach)
	// before it commits, and unpins it whatever the outcome is.
	Pin bool
}

// Link gives Ino, which is not a directory, one more name. An orphan made without a name may be linked; an inode that
// lost its last name may not (ErrNotExist).
type Link struct {
	Ino    Ino
	Parent Ino
	Name   string
	Time   Time
}

// Unlink removes a name that is not a directory's. The last name's inode becomes an orphan.
type Unlink struct {
	Parent Ino
	Name   string
	Time   Time
}

// Rmdir removes an empty directory.
type Rmdir struct {
	Parent Ino
	Name   string
	Time   Time
}

// RenameFlags are those of renameat2(2).
type RenameFlags uint8

// RenameNoReplace fails with ErrExist where the new name exists; RenameExchange swaps the two names, of any types.
const (
	RenameNoReplace RenameFlags = 1
	RenameExchange  RenameFlags = 2
)

// Rename moves a name, replacing what the new name meant as rename(2) does. Errors besides the obvious: ErrLoop for a
// directory into its own subtree, ErrNotEmpty, ErrIsDir, ErrNotDir.
type Rename struct {
	Parent    Ino
	Name      string
	NewParent Ino
	NewName   string
	Flags     RenameFlags
	Time      Time
}

// Write maps extents into a regular file, over whatever lay there, and raises its size to their end. The blobs that the
// extents name are in the same Tx or already in the blob table; otherwise ErrStale.
type Write struct {
	Ino      Ino
	Extents  []Extent // rising, not overlapping
	Time     Time     // mtime and ctime
	KillPriv bool     // who writes may not keep the file's set-id bits (no CAP_FSETID): see Attr.KillPriv
}

// AllocateMode says what Allocate does with its range.
type AllocateMode uint8

// AllocatePlain extends the size only (space is not tied to a file here); AllocatePunch makes a hole; AllocateZero makes
// zeros.
const (
	AllocatePlain AllocateMode = iota
	AllocatePunch
	AllocateZero
)

// Allocate is fallocate(2). KeepSize leaves the size alone; Punch implies it. KillPriv is as in Write.
type Allocate struct {
	Ino      Ino
	Off      uint64
	Len      uint64
	Mode     AllocateMode
	KeepSize bool
	Time     Time
	KillPriv bool
}

// Clone makes a range of Dst share the extents of a range of Src (a reflink): no bytes move. Ranges of one file must
// not overlap. Both ends are byte-exact. The range is cut at Src's end of file; the result's N is the bytes cloned.
// KillPriv is as in Write, for Dst.
type Clone struct {
	Src    Ino
	SrcOff uint64
	Dst    Ino
	DstOff uint64
	Len    uint64
	Time   Time

	KillPriv bool
}

// XattrFlags are those of setxattr(2).
type XattrFlags uint8

// XattrCreate fails with ErrExist on an existing name, XattrReplace with ErrNoXattr on a missing one.
const (
	XattrCreate  XattrFlags = 1
	XattrReplace XattrFlags = 2
)

// Setxattr sets an extended attribute. An ACL (IsACL) must be well-formed (ErrInvalid); the permissions of the mode become
// those of an access ACL, which is not kept if it says no more than they do. A symlink has none (ErrNotSupported), and only a
// directory has a default one (ErrAccess).
type Setxattr struct {
	Ino   Ino
	Name  string // 1 … NameMax bytes, with its namespace ("user.", …)
	Value []byte // at most XattrMax bytes
	Flags XattrFlags
	Time  Time
	// KillSetgid takes the set-gid bit with an access ACL: who sets it is not of the inode's group, and not privileged.
	KillSetgid bool
}

// Removexattr removes an extended attribute; ErrNoXattr if there is none, unless it is an ACL: then nothing happens.
type Removexattr struct {
	Ino  Ino
	Name string
	Time Time
}

// Access records that the content was read: Atime becomes Time, if it is still what the reader knew. Nothing else changes, the
// Version included. It is lazy, so it is never refused: what is gone, or not the session's to touch, is passed over.
type Access struct {
	Ino  Ino
	Seen Time // the Atime that the reader knew
	Time Time
}

// Check is a precondition: it fails with ErrConflict unless the inode is at Version, and so fails the whole Tx.
type Check struct {
	Ino     Ino
	Version uint64
}

func (*Create) isOp()      {}
func (*Link) isOp()        {}
func (*Unlink) isOp()      {}
func (*Rmdir) isOp()       {}
func (*Rename) isOp()      {}
func (*Setattr) isOp()     {}
func (*Write) isOp()       {}
func (*Allocate) isOp()    {}
func (*Clone) isOp()       {}
func (*Setxattr) isOp()    {}
func (*Removexattr) isOp() {}
func (*Check) isOp()       {}
func (*Access) isOp()      {}

// Tx is a flush transaction as it is decided: one atomic unit of the replicated log. Its commit is the commit point of
// the two-phase commit; every blob in Blobs has at least min-replicas yes votes by then.
type Tx struct {
	ID    TxID
	Epoch Epoch
	// Done promises that the session asks about no Seq below it any more, so that their answers may be forgotten.
	Done  uint64
	Ops   []Op
	Blobs []BlobInfo
	// Replicas is how many replicas each of Blobs should have; fewer in BlobInfo.Replicas is repair debt.
	Replicas int
}

// TxResult is the answer to a Tx, the same however often the Tx is sent. On success it has one Result an Op. A failed
// Tx changes nothing: Err says why and Failed which operation it was (len(Ops) when it was none of them).
type TxResult struct {
	Err     Code
	Failed  int
	Results []Result
	Index   uint64 // Raft index of the decision
}

// Result is the answer to one Op.
type Result struct {
	// Attr is the inode the Op was about, after it: made, linked, unlinked, moved, set, written, cloned into. An
	// inode that is gone for good has Nlink 0.
	Attr Attr
	// Parent is the (new) parent directory after the Op, where there is one.
	Parent Attr
	// Replaced is what a Rename replaced or exchanged; zero Ino if nothing.
	Replaced Attr
	// N is the number of bytes cloned.
	N uint64
}
