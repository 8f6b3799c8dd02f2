package fs

import "context"

// LockKind tells the two families of file locks apart; they do not see each other, as on Linux.
type LockKind uint8

// The kinds.
const (
	LockRange LockKind = iota + 1 // fcntl(2): byte ranges, of a process or (OFD) of an open file description
	LockFlock                     // flock(2): the whole file, of an open file description
)

func (k LockKind) String() string {
	switch k {
	case LockRange:
		return "fcntl"
	case LockFlock:
		return "flock"
	}
	return "unknown"
}

// MarshalText implements encoding.TextMarshaler, for programs.
func (k LockKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// LockType is how strong a lock is. Any number of owners may read; one who writes is alone.
type LockType uint8

// The types.
const (
	LockRead LockType = iota + 1
	LockWrite
)

func (t LockType) String() string {
	switch t {
	case LockRead:
		return "read"
	case LockWrite:
		return "write"
	}
	return "unknown"
}

// MarshalText implements encoding.TextMarshaler, for programs.
func (t LockType) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// LockEnd is the last byte of a range that ends nowhere.
const LockEnd = 1<<63 - 1

// Lock is a lock that somebody has, or wants.
type Lock struct {
	Ino        Ino
	Kind       LockKind
	Owner      uint64 // whose it is, within the session: the number that the mount's kernel gives him
	PID        uint32 // the process that asked, in the mount's machine; 0 unknown
	Type       LockType
	Start, End uint64 // the first and the last byte; 0 and LockEnd for a flock
}

// LockAction is what a LockCall is to do.
type LockAction uint8

// The actions.
const (
	LockTry    LockAction = iota + 1 // take the lock, if nobody is in the way
	LockWait                         // the same; otherwise wait in line, under the ticket
	LockUnlock                       // give the range up, whatever is held in it
	LockCancel                       // wait no longer under the ticket
	LockTest                         // tell who would be in the way
)

// LockCall asks the leader about one lock.
//
// Seq numbers a session's calls; it rises with each, and an attempt that is repeated keeps it: the first answer is given again.
// Open are the lower numbers whose answers the mount still waits for. What is neither higher than all that the leader has seen
// nor open has been given up: it is never carried out any more.
type LockCall struct {
	Seq    uint64
	Open   []uint64 // rising, at most LockOpenMax
	Action LockAction
	Ticket uint64 // of LockWait and LockCancel: the wait's name, within the session; never 0 there
	Lock   Lock   // Type counts for LockTry, LockWait, LockCancel and LockTest
}

// Bounds of locks.
const (
	LockOpenMax    = 512   // calls that one session has under way
	LocksMax       = 16384 // ranges that one session holds
	LockWaitsMax   = 4096  // requests of one session that wait
	LocksTotalMax  = 1 << 20
	LocksListedMax = 4096 // lines of one answer of LockLister
)

// LockState is the leader's answer to a LockCall.
type LockState uint8

// The answers.
const (
	LockGranted  LockState = iota + 1 // it is held (LockTry, LockWait, LockCancel), given up (LockUnlock), or would be granted (LockTest)
	LockBusy                          // somebody is in the way; for LockCancel: it is not held, and nobody waits for it any more
	LockQueued                        // it waits; a Notice names the ticket when it is worth asking again
	LockLater                         // the leader is new and does not know all locks yet: ask again in a moment
	LockDeadlock                      // waiting would never end: those in the way wait for this owner
	LockFull                          // the session, or the cluster, has too many locks
	LockStale                         // the call has been given up by its own mount
)

// LockAnswer is what comes of a LockCall.
type LockAnswer struct {
	State    LockState
	Conflict Lock // of LockBusy to a LockTest: a lock that is in the way
	Own      bool // it is one of the session's own, so that its PID means something there
}

// LockClaim is what a session tells a leader that does not know its locks.
type LockClaim struct {
	Locks []Lock // all that are held
	Seq   uint64 // the last number used: earlier calls are given up, see LockCall
}

// Locker keeps file locks, at the leader, in its memory: see raftmeta/DESIGN.md. A session's locks end with it.
type Locker interface {
	// Lock carries out one call; LockAnswer.State is the outcome. The error is about reaching one: after ErrUnavailable it is
	// open, and the call must be repeated, or given up by a later one. ErrFenced: the session has ended, its locks are gone.
	// ErrAccess: the session has not pinned the inode.
	Lock(ctx context.Context, s Session, c *LockCall) (LockAnswer, error)
}

// LockStatus is a line of `dfs lock ls`.
type LockStatus struct {
	Lock
	Waiting bool // it is not held yet
	Since   Time // when it was asked for, or told to a new leader; by the leader's clock
	Session SessionID
	Host    string // of its mount
	Path    string
}

// LockList is what a LockLister answers.
type LockList struct {
	Locks []LockStatus // by inode, holders before those who wait, these in line
	More  int          // that are left out
	Owing int          // sessions that have not told a new leader their locks yet
	Time  Time         // the leader's clock
}

// LockLister shows the locks to operators, at the leader.
type LockLister interface {
	// Locks lists at most limit locks (1 … LocksListedMax), those on ino, or all for 0.
	Locks(ctx context.Context, ino Ino, limit int) (*LockList, error)
}
