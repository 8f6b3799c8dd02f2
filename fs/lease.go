package fs

import "context"

// LeaseMode is how strong a lease is; a stronger one includes the weaker.
type LeaseMode uint8

// The modes of leases.
const (
	LeaseNone      LeaseMode = iota
	LeaseShared              // its holder may answer from its caches, and so may others
	LeaseExclusive           // nobody else has anything; its holder may keep changes to itself
)

func (m LeaseMode) String() string {
	if m > LeaseExclusive {
		return "unknown"
	}
	return [...]string{"none", "shared", "exclusive"}[m]
}

// LeasesMax is how many leases one session may hold.
const LeasesMax = 1 << 17

// Lease is a session's right on one inode, as the leader grants it. Package lease has the protocol.
type Lease struct {
	Ino  Ino
	Mode LeaseMode // LeaseNone: the call was served, and nothing may be kept
	// Seq tells the lease from earlier and later ones on the same inode. It counts from 1 under each leader; 0 is a lease
	// that was told to a new leader.
	Seq uint64
}

// Recall asks a session to keep no more than To of the lease Seq. It may be repeated, with a lower To.
type Recall struct {
	Session SessionID // whose lease it is; 0 in what a session itself receives
	Ino     Ino
	Seq     uint64
	To      LeaseMode
}

// LeaseAck tells the leader that a session keeps no more than Mode of the lease Seq: what it knew more than that is flushed,
// and dropped from its caches and its kernel's. It may come unasked.
type LeaseAck struct {
	Ino  Ino
	Seq  uint64
	Mode LeaseMode
}

// LeaseCall travels in the context of a call to a Meta. It says under which session the call is made and what may come with
// the answer, and takes in what came. A call without one, or without a session, waits for the leases of others as all do,
// and gets none.
type LeaseCall struct {
	Session SessionID
	Epoch   Epoch
	// Want is what is wanted of each inode that the call reads: of Lookup the directory and what the name means; of Readdir the
	// directory, and of all that it lists exclusive leases where nobody else wants any, shared ones elsewhere; of Commit, if
	// Exclusive, all that the transaction creates.
	Want LeaseMode
	// Page says of a Getattr that what it reads is to stay in a kernel's page cache, which a mapping believes without asking: it takes its
	// turn among those who want to change the inode, for a bounded time, to get the shared lease that it wants.
	Page bool
	// Stray says of a Commit that it brings pages of a shared mapping, and waits for nobody's cache.
	Stray bool

	Term uint64  // of the leader that granted Got
	Got  []Lease // in no order; what the call wanted and is not here, or with LeaseNone, it did not get
}

type leaseCallKey struct{}

// WithLeases returns a context for one call, which fills in c before it returns without an error.
func WithLeases(ctx context.Context, c *LeaseCall) context.Context {
	return context.WithValue(ctx, leaseCallKey{}, c)
}

// LeasesOf is what WithLeases gave; nil for none.
func LeasesOf(ctx context.Context) *LeaseCall {
	c, _ := ctx.Value(leaseCallKey{}).(*LeaseCall)
	return c
}
