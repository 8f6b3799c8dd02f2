package fs

import "context"

// Usage is what is charged to a quota.
type Usage struct {
	Bytes  uint64 // that extents map, see Attr.Used: holes cost nothing, bytes mapped twice count twice
	Inodes uint64 // of any type, orphans included
}

// Limits bounds a Usage; 0 is no bound. They are hard: what would raise a usage above one is refused with ErrQuota.
type Limits struct {
	Bytes  uint64
	Inodes uint64
}

// Exceeds reports whether going from one usage to another breaks a limit: only what rises can.
func (l Limits) Exceeds(from, to Usage) bool {
	return l.Bytes > 0 && to.Bytes > from.Bytes && to.Bytes > l.Bytes ||
		l.Inodes > 0 && to.Inodes > from.Inodes && to.Inodes > l.Inodes
}

// LimitChange sets those limits that it says are set; the others stay.
type LimitChange struct {
	SetBytes, SetInodes bool
	Limits              Limits
}

// Apply does it to l.
func (c LimitChange) Apply(l *Limits) {
	if c.SetBytes {
		l.Bytes = c.Limits.Bytes
	}
	if c.SetInodes {
		l.Inodes = c.Limits.Inodes
	}
}

// QuotaOf names what has a quota: a user, or the directory tree that begins at a path.
type QuotaOf struct {
	User bool
	UID  uint32
	Path string // as of Mount.Subtree; for the root of the tree it is empty
}

// QuotaID orders quotas: those of trees by inode number, then those of users. The zero QuotaID comes before all.
type QuotaID struct {
	User   bool
	Number uint64 // of the directory's inode, or the uid
}

// What is said of a quota's usage.
const (
	QuotaCounted  = "counted"  // exact
	QuotaCounting = "counting" // what was there before the quota is being counted: less than it will be
	QuotaWaiting  = "waiting"  // counting begins when that of another tree has ended
	QuotaLeaving  = "leaving"  // the quota was removed; what lies in the tree is being handed to the tree around it
)

// QuotasMax is how many quotas one answer lists.
const QuotasMax = 256

// Quota is a quota and what is used of it.
type Quota struct {
	ID     QuotaID
	Path   string // of a tree, from the root; empty while the directory has no name any more
	Limits Limits
	Used   Usage
	State  string // QuotaCounted, …
}

// Quotas are the quotas of a cluster, kept at the leader.
type Quotas interface {
	// SetQuota sets limits. A tree whose directory is not empty is counted in the background. ErrNotExist, ErrNotDir: there is
	// no such directory. ErrBusy: a quota that the tree had is still being removed.
	SetQuota(ctx context.Context, of QuotaOf, change LimitChange) error
	// RemoveQuota takes the limits away, and from a tree its usage too. ErrNotExist if there is none.
	RemoveQuota(ctx context.Context, of QuotaOf) error
	// Quotas lists those behind after, at most limit (1 … QuotasMax); of users only those with a limit, unless all is said.
	Quotas(ctx context.Context, after QuotaID, limit int, all bool) ([]Quota, error)
}

// Room is how much more may be written into a file before a quota, or the space of the cluster, may be exhausted.
type Room struct {
	// Bytes may be taken into memory until the grant's time is over: they will find room when they are flushed. 0: there is none
	// to be granted.
	Bytes uint64
	// Millis is how long the grant lasts, from the moment that it was asked for.
	Millis int64
	// Wait says, where nothing is granted, that grants are in the way, the session's own too: it returns those, and asks again,
	// later. Otherwise what is left is the session's for a while, as far as it wanted it: what it writes now is flushed at once,
	// and the answer to that is the answer to the write.
	Wait bool
	// Left is how many bytes really are left, whoever holds grants.
	Left uint64
	// Full says that a quota leaves nothing: what makes the file longer would be refused with ErrQuota.
	Full bool
}

// Return gives back, when All is said, whatever room the session was granted before; of that it has Held bytes in memory that
// are still to be flushed.
type Return struct {
	All  bool
	Held uint64
}

// Space grants room for what mounts have not flushed yet, so that write(2) itself says ErrQuota and ErrNoSpace. A grant is kept in
// the leader's memory: after a change of leaders what is flushed may still be refused.
type Space interface {
	// Room asks for want bytes that a session is about to write into a file. It need not be asked before a Notice has said so
	// (see Notice.Limits). ErrFenced, ErrNotExist.
	Room(ctx context.Context, s Session, ino Ino, want uint64, back Return) (Room, error)
}
