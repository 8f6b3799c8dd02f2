package fs

import "context"

// Meta is the replicated metadata as everybody sees it. raftmeta.Node serves it and metarpc.Client is a remote one.
//
// All calls are linearizable, may come from any goroutine, and end within a bounded time: with ErrUnavailable when no
// majority answers, with ctx's error when that is earlier. Reads return copies that the caller owns.
type Meta interface {
	Committer
	Reader
	Sessions
	Locker
	Space
}

// Committer decides transactions.
type Committer interface {
	// Commit decides tx. It may be repeated with the same ID: the first answer is returned again. The error is about
	// reaching a decision (ErrUnavailable, ErrFenced, ErrAborted, ErrTooLarge): after ErrUnavailable the outcome is
	// unknown and Commit must be repeated, or the transaction aborted. A decided refusal is in TxResult.Err. ErrFenced
	// that wraps ErrUnavailable as well leaves the outcome unknown for good: tx may have been decided before the session
	// ended.
	Commit(ctx context.Context, tx *Tx) (*TxResult, error)
	// Abort makes sure that tx never commits: afterwards it has an outcome, the one in the result if it was faster.
	Abort(ctx context.Context, epoch Epoch, tx TxID) (*TxResult, error)
}

// Reader looks things up.
type Reader interface {
	// Lookup finds name in dir. "." and ".." are for the caller to resolve. ErrNotExist, ErrNotDir.
	Lookup(ctx context.Context, dir Ino, name string) (Attr, error)
	// Getattr returns ErrNotExist for an inode that has been reaped; an orphan still answers, with Nlink 0.
	Getattr(ctx context.Context, ino Ino) (Attr, error)
	// Readdir lists entries with cookies above after, rising, at most limit (1 … ReaddirMax); fewer than limit means
	// the end. "." and ".." are not listed. What comes to the directory gets a cookie above all others: who lists
	// it in several calls goes no further than the End of the first, or may never be done.
	Readdir(ctx context.Context, dir Ino, after Cookie, limit int) (Listing, error)
	// Readlink returns a symlink's target; ErrInvalid for another type.
	Readlink(ctx context.Context, ino Ino) (string, error)
	// Layout tells where the bytes in [off, off+length) lie.
	Layout(ctx context.Context, ino Ino, off, length uint64) (*Layout, error)
	// Getxattr returns ErrNoXattr where there is none.
	Getxattr(ctx context.Context, ino Ino, name string) ([]byte, error)
	// Listxattr returns the names in order.
	Listxattr(ctx context.Context, ino Ino) ([]string, error)
	// Statfs adds up the live nodes' space or, where an inode lies in trees with quotas, tells what they leave of it.
	Statfs(ctx context.Context, ino Ino) (Statfs, error)
}

// Sessions registers mounts and says who has what open.
type Sessions interface {
	// OpenSession registers a mount. ErrAccess: its certificate does not allow the subtree; ErrNotExist, ErrNotDir: there is no
	// such directory.
	OpenSession(ctx context.Context, who Mount) (Session, error)
	// CloseSession ends a session that has nothing left to flush; its pins go. Closing twice is no error.
	CloseSession(ctx context.Context, s Session) error
	// Attach opens the session's stream to the leader, which, when it is fresh, learns here what the session holds. What the
	// mount begins to open while Attach runs is told by the stream's first Beat; until that has come a fresh leader reaps
	// nothing. Pins on neither list that are older than the stream are forgotten. Leases that are not on the list, and were
	// not granted in this leader's Term after the call was made, are not held. ErrFenced when the session has ended. ctx bounds
	// the opening; the stream lives until its Close.
	Attach(ctx context.Context, s Session, held Held) (Stream, error)
	// Pin keeps an inode from being reaped as long as the session lives and has not unpinned it (see Beat), and
	// returns its attributes. Pinning twice is pinning once. ErrNotExist when it has been reaped.
	Pin(ctx context.Context, s Session, ino Ino) (Attr, error)
	// AllocInos allots n inode numbers, 1 … InoRangeMax, to the session.
	AllocInos(ctx context.Context, s Session, n int) (InoRange, error)
}

// RestPath begins the Path of a session that is no mount, but a node's front for files over HTTP; the node's name follows.
const RestPath = "rest of "

// Mount tells operators who a session is.
type Mount struct {
	Host    string
	PID     int
	Path    string // the mount point, or RestPath and a node's name
	Version string
	Opened  Time
	// Subtree and ReadOnly are what the session is bound to: in OpenSession what the mount asks for, afterwards that together
	// with what its certificate is bound to. See Scope.
	Subtree  string
	ReadOnly bool
}

// Session is what OpenSession returns.
type Session struct {
	ID      SessionID
	Epoch   Epoch
	Cluster string // the cluster's id
	// TimeoutMillis is how long the session lives without an answered Beat, milliseconds. A mount stops using what the
	// session gives it that long after *sending* the last answered one.
	TimeoutMillis int64
	// Replicas and MinReplicas are the cluster's: how many copies a blob should have, and must have at commit. The second
	// rises as nodes come, see Notice.
	Replicas    int
	MinReplicas int

	Root     Ino  // the directory that the session is bound to: all that it may see or change lies beneath
	ReadOnly bool // it may change nothing
	// Claims says that storage nodes give the session only bytes of which it says which file they belong to; see blob.Claim.
	Claims bool
}

// InoRange is the numbers From … From+N-1.
type InoRange struct {
	From Ino
	N    int
}

// Held is what a session tells a leader that it holds.
type Held struct {
	Pins   []Ino   // all inodes that the mount has open, or is opening
	Leases []Lease // their Seq means nothing
}

// Stream is a session's line to the leader: beats go up, notices come down. Send and Recv may be called from two
// goroutines, each from one at a time. It breaks, and Recv returns an error, when the leader changes or dies: Attach
// again. ErrFenced means that the session is over.
type Stream interface {
	Send(Beat) error
	Recv() (Notice, error)
	Close() error
}

// Beat keeps the session alive and carries what may be lazy.
type Beat struct {
	Seq uint64 // counts up; the Notice that answers it has the same
	// Pins is what the mount has opened without asking, under a lease that keeps the inode from being removed behind its back;
	// in a stream's first beat also what it was opening, and did not tell to Attach. They count before Acks.
	Pins   []Ino
	Unpins []Ino // closed by the mount's last opener
	Acks   []LeaseAck
	// Activity is what the mount has done so far, for operators.
	Activity Activity
	// Locks, in a stream's first beat, is what a leader is told that does not know the session's locks.
	Locks LockClaim
}

// Notice is what the leader tells a mount.
type Notice struct {
	Ack uint64 // the Seq of the Beat answered; 0 for none
	// Term is the leader's: leases granted in another one are none.
	Term    uint64
	Recalls []Recall
	Nodes   []NodeInfo // the members by Raft, with what gossip says of them; nil for no news
	// MinReplicas comes with Nodes: how many copies a blob must have at commit, from now on.
	MinReplicas int
	Tickets     []uint64 // of LockWaits about which it is worth asking again
	// Limits comes with Nodes: there are quotas, or the cluster runs out of space. What is written needs Room before it is taken
	// into memory.
	Limits bool
}
