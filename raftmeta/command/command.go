// Package command is what the Raft log holds: batches of commands, in a versioned binary form.
//
// A log entry is one [Batch]. Most commands in it are mounts' transactions (*fs.Tx); the rest are the cluster's own
// housekeeping, below. The codec is shared by the log and by the RPC that carries transactions to the leader, so that a
// transaction is encoded once, where it is made.
//
// A node that meets a version or a kind that it does not know must stop: skipping it would make the replicas differ.
package command

import "dfs/fs"

// Command is one entry of a batch: *fs.Tx (as [Tx]) or a housekeeping command.
type Command interface{ kind() kind }

// Tx is a mount's transaction, to be applied only while its session and epoch live.
type Tx struct{ fs.Tx }

// Init forms the cluster: it is the first command of its life. A second one changes nothing.
type Init struct {
	Cluster        string // id, random
	Time           fs.Time
	Replicas       int
	MinReplicas    int           // wanted: what is asked of a commit once there are as many nodes
	InlineMax      int           // bytes
	SessionTimeout int64         // milliseconds
	Founders       []fs.NodeInfo // the first nodes, which all store blobs; only ID, Addr and Zone are kept
}

// OpenSession registers a mount; the answer is an fs.Session, whose epoch is this entry's index. The leader has narrowed the
// mount's Subtree and ReadOnly by what its owner's certificate is bound to.
type OpenSession struct {
	Mount fs.Mount
	Owner fs.Owner
}

// EndSession closes or expires a session: later commits of its epoch are refused. Ending a session twice, or one that
// never was, changes nothing.
type EndSession struct {
	Session fs.SessionID
	Epoch   fs.Epoch
	Expired bool // the leader gave up on it; false: it said goodbye
}

// AllocInos allots inode numbers to a session.
type AllocInos struct {
	Session fs.SessionID
	Epoch   fs.Epoch
	N       int
}

// Abort gives a transaction the outcome "aborted" unless it has one already; the answer is its outcome.
type Abort struct {
	Tx    fs.TxID
	Epoch fs.Epoch
}

// Reap frees orphans that nobody pins: their extents, then the inodes. At most Extents extents are freed, so a large file
// takes several commands; inodes that are no orphans are left alone.
type Reap struct {
	Inos    []fs.Ino
	Extents int
}

// Forget removes garbage blobs from the blob table after their replicas are gone from every node.
type Forget struct{ Blobs []fs.BlobID }

// SetReplicas changes where a blob lies: Add are nodes that now hold a synced copy, Remove those that no longer
// count. It never removes the last replica.
type SetReplicas struct {
	Blob   fs.BlobID
	Add    []fs.NodeID
	Remove []fs.NodeID
}

// PutNode records a node, or its new address or zone. The name of a node that was removed is never recorded again.
type PutNode struct {
	Node fs.NodeInfo // only ID, Addr and Zone are kept
	// Storing says that the node has been seen to take blobs: it counts for MinReplicas from now on, whatever later
	// PutNodes say, until it is removed.
	Storing bool
}

// RemoveNode removes a node for good; blobs that lay on it become repair debt.
type RemoveNode struct{ Node fs.NodeID }

// PutToken records a join token, of which the state keeps the hash of the secret only.
type PutToken struct {
	Token  fs.JoinToken
	Secret fs.TokenHash
	Now    fs.Time // of the leader: what has expired by then goes
}

// RedeemToken takes one use of a join token, or none if this key has taken one before.
type RedeemToken struct {
	fs.Redemption
	Now fs.Time // likewise
}

// RevokeToken removes a join token.
type RevokeToken struct{ ID string }

// KeepAccounts begins to count what every user, and every quota'd tree, uses. A new cluster does so from its first entry on; a
// state that is older begins with its first quota. A second one changes nothing.
type KeepAccounts struct{}

// SetQuota sets the limits of a user or a tree, or removes them.
type SetQuota struct {
	Of     fs.QuotaOf
	Change fs.LimitChange // unless Remove
	Remove bool
}

// Survey goes on with the counting of what was there before a quota was: it looks at about so many inodes.
type Survey struct{ Inodes int }

type kind uint8

// Kinds are written to disk: never renumber.
const (
	kindTx kind = iota + 1
	kindInit
	kindOpenSession
	kindEndSession
	kindAllocInos
	kindAbort
	kindReap
	kindForget
	kindSetReplicas
	kindPutNode
	kindRemoveNode
	kindPutToken
	kindRedeemToken
	kindRevokeToken
	kindKeepAccounts
	kindSetQuota
	kindSurvey
)

func (*Tx) kind() kind          { return kindTx }
func (*Init) kind() kind        { return kindInit }
func (*OpenSession) kind() kind { return kindOpenSession }
func (*EndSession) kind() kind  { return kindEndSession }
func (*AllocInos) kind() kind   { return kindAllocInos }
func (*Abort) kind() kind       { return kindAbort }
func (*Reap) kind() kind        { return kindReap }
func (*Forget) kind() kind      { return kindForget }
func (*SetReplicas) kind() kind { return kindSetReplicas }
func (*PutNode) kind() kind     { return kindPutNode }
func (*RemoveNode) kind() kind  { return kindRemoveNode }
func (*PutToken) kind() kind    { return kindPutToken }
func (*RedeemToken) kind() kind { return kindRedeemToken }
func (*RevokeToken) kind() kind { return kindRevokeToken }

func (*KeepAccounts) kind() kind { return kindKeepAccounts }
func (*SetQuota) kind() kind     { return kindSetQuota }
func (*Survey) kind() kind       { return kindSurvey }
