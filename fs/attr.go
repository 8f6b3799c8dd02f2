package fs

import "time"

// FileType is the type of an inode; the values are those of DT_* in readdir(3).
type FileType uint8

// The file types of POSIX.
const (
	TypeFIFO    FileType = 1
	TypeChar    FileType = 2
	TypeDir     FileType = 4
	TypeBlock   FileType = 6
	TypeRegular FileType = 8
	TypeSymlink FileType = 10
	TypeSocket  FileType = 12
)

// Valid reports whether t is one of the types above.
func (t FileType) Valid() bool {
	switch t {
	case TypeFIFO, TypeChar, TypeDir, TypeBlock, TypeRegular, TypeSymlink, TypeSocket:
		return true
	}
	return false
}

// Mode bits, as in inode(7). The file type is kept apart, in [FileType].
const (
	ModeSetuid uint32 = 0o4000
	ModeSetgid uint32 = 0o2000
	ModeSticky uint32 = 0o1000
	ModePerm   uint32 = 0o777
	ModeMask   uint32 = 0o7777
)

// StatusDir is the name, in the root, of the directory in which a mount shows files about itself. It is never a real entry.
const StatusDir = ".dfs"

// Limits. Names and values beyond them get [ErrNameTooLong], [ErrFileTooBig] and so on.
const (
	NameMax      = 255     // bytes in one name
	PathMax      = 4096    // bytes in a symlink's target
	SizeMax      = 1 << 60 // bytes in one file, holes included
	LinkMax      = 1 << 31 // names of one inode
	XattrMax     = 64 << 10
	XattrsMax    = 256 << 10 // bytes of all names and values of one inode
	InlineMax    = 4 << 10   // default bound of file data kept in the metadata, bytes
	BlobMax      = 4 << 20   // bytes in one blob
	TxOpsMax     = 4096      // operations in one transaction
	TxBytesMax   = 4 << 20   // bytes of one encoded transaction
	ExtentsMax   = 16 << 10  // extents that one operation may touch; see ErrTooManyExtents
	TxExtentsMax = 256 << 10 // extents that all operations of one transaction may touch together
	ReaddirMax   = 4096      // entries of one Readdir answer
	LayoutMax    = 4096      // extents of one Layout answer
	InoRangeMax  = 1 << 16   // inode numbers allotted at once
)

// Time is nanoseconds since the Unix epoch. Whoever proposes a change decides its time.
type Time int64

// TimeOf converts from the standard library's time.
func TimeOf(t time.Time) Time { return Time(t.UnixNano()) }

// Std converts to the standard library's time.
func (t Time) Std() time.Time { return time.Unix(0, int64(t)) }

// Attr is what stat(2) tells of an inode.
type Attr struct {
	Ino   Ino
	Type  FileType
	Mode  uint32 // permission, set-id and sticky bits; see ModeMask
	Nlink uint32
	UID   uint32
	GID   uint32
	Rdev  uint32 // device number of TypeChar and TypeBlock
	Size  uint64 // bytes; for a symlink the length of its target; for a directory 4096
	Used  uint64 // bytes that extents map
	Atime Time
	Mtime Time
	Ctime Time
	Btime Time // birth

	// Version changes at every change of the inode's attributes, Atime by Access excepted, data or, for a directory, entries;
	// it only rises.
	Version uint64
	// Parent is the directory that holds a directory ("..", the root's is itself); 0 for other types.
	Parent Ino
}

// IsDir reports whether a is a directory.
func (a *Attr) IsDir() bool { return a.Type == TypeDir }

// Dirent is one entry of a directory, with the attributes of what it names.
type Dirent struct {
	Name   string
	Cookie Cookie
	Attr   Attr
}

// Listing is a piece of a directory.
type Listing struct {
	Entries []Dirent // by rising cookie
	// End is the cookie that the directory's next entry will get: all that it has now lie below, all that come later do
	// not.
	End Cookie
}

// Statfs is the space of the whole cluster as a user can use it: raw bytes divided by the number of replicas. In a tree with
// a quota it is the tree's.
type Statfs struct {
	TotalBytes  uint64
	FreeBytes   uint64
	Inodes      uint64 // that are used
	InodesLimit uint64 // of the tree; 0: there is none
}
