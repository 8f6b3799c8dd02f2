package fs

import "context"

// ChangeKind says what was done to the tree.
type ChangeKind string

// The kinds. A Rename that exchanges two names is two changes, one a name.
const (
	ChangeCreate   ChangeKind = "create" // a file, a device, a FIFO or a socket
	ChangeMkdir    ChangeKind = "mkdir"
	ChangeSymlink  ChangeKind = "symlink"
	ChangeLink     ChangeKind = "link"
	ChangeUnlink   ChangeKind = "unlink"
	ChangeRmdir    ChangeKind = "rmdir"
	ChangeRename   ChangeKind = "rename"
	ChangeWrite    ChangeKind = "write" // of data, holes and clones included: one for all that a transaction writes to an inode
	ChangeTruncate ChangeKind = "truncate"
	ChangeAttr     ChangeKind = "attributes"
	ChangeXattr    ChangeKind = "xattr"
)

// Position is a place in the stream of changes: the Raft index of the entry, and the change's number among those of the entry,
// from 1 up. All nodes give a change the same one.
type Position struct {
	Index uint64
	N     uint32
}

// Less orders positions as the log does.
func (p Position) Less(q Position) bool { return p.Index < q.Index || p.Index == q.Index && p.N < q.N }

// Change is one thing that was done to the tree, and committed.
type Change struct {
	Position
	Time Time // when the mount did it, by its clock
	Kind ChangeKind
	Ino  Ino
	Type FileType
	// Path is what the inode was called, from the root of the tree. Of several names it is one within what is watched. Its
	// last part is "?" if the name was not found within reason; see raftmeta/DESIGN.md, "Watching".
	Path string
	To   string // the new path, of a Rename; empty, as is Path, if the watcher may not see it
	// Dir and ToDir are the directories that Path and To end in; 0 for the root's.
	Dir, ToDir Ino
	// Replaced is what a Rename replaced; 0 for nothing.
	Replaced     Ino
	ReplacedType FileType
	Nlink        uint32 // names that the inode has after it; a Rename's is that of Replaced
	Xattr        string // its name
	Session      SessionID
	Host         string // of the mount
	Mount        string // where it is mounted
}

// WatchRequest says what to watch.
type WatchRequest struct {
	// Path is from the root of the tree. What it names when the watch begins is watched from then on, also under another name.
	// Symlinks are not followed.
	Path string
	Ino  Ino // in the place of Path, if it is not 0
	// After asks for all changes behind a position; zero for those from now on. A node that does not remember so much says
	// in its first Changes that something is missing.
	After Position
}

// Changes are what a watcher is told at once. Without changes it tells how far the stream is.
type Changes struct {
	Watched Ino // what is watched
	// From is where the stream begins, or goes on after something was lost: everything behind it is told. Upto is how far it
	// is told now.
	From, Upto Position
	List       []Change // in the order of the log
	// Missing says that changes before List are lost: the watcher was too slow, or the node does not remember them.
	Missing bool
}

// ChangeStream is a watch under way. One goroutine may use it.
type ChangeStream interface {
	// Recv waits for what comes next.
	Recv(ctx context.Context) (Changes, error)
	// Close ends the watch.
	Close() error
}

// Watcher tells of changes.
type Watcher interface {
	// Watch begins to tell of what is committed below a path. ctx bounds the beginning only. ErrNotExist, ErrNotDir (Path);
	// ErrAccess for what the caller may not see; ErrUnavailable if there are too many watchers.
	Watch(ctx context.Context, r WatchRequest) (ChangeStream, error)
}
