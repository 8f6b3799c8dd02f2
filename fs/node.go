package fs

import (
	"context"
	"fmt"
)

// NodeInfo is what the cluster knows of a node: who and where it is by Raft, how it does by gossip.
type NodeInfo struct {
	ID    NodeID
	Addr  string // host:port of RPC and Raft
	Zone  string // failure domain; may be empty
	State NodeState
	Load  Load
}

// NodeState is gossip's opinion.
type NodeState uint8

// The states. Only Raft decides who is a member; these are hints about failure.
const (
	NodeUnknown NodeState = iota
	NodeAlive
	NodeSuspect
	NodeDead
	NodeLeft
)

func (s NodeState) String() string {
	switch s {
	case NodeAlive:
		return "alive"
	case NodeSuspect:
		return "suspect"
	case NodeDead:
		return "dead"
	case NodeLeft:
		return "left"
	}
	return "unknown"
}

// MarshalText implements encoding.TextMarshaler: programs read words, which stay when a number would not.
func (s NodeState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler; a word that is not known here is ErrInvalid.
func (s *NodeState) UnmarshalText(text []byte) error {
	for state := NodeUnknown; state <= NodeLeft; state++ {
		if state.String() == string(text) {
			*s = state
			return nil
		}
	}
	return fmt.Errorf("node state %q: %w", text, ErrInvalid)
}

// Load is a node's report of itself, a few seconds old at most.
type Load struct {
	DiskTotalBytes uint64
	DiskFreeBytes  uint64  // what blobs may still take: the reserve is already off
	CPU            float64 // busy share of all cores, 0 … 1
	Memory         float64 // used share, 0 … 1
	InFlight       uint32  // blob requests being served
	ReadOnly       bool    // takes no new blobs: full, draining or sick
}

// Status is one node's view of the cluster for operators.
type Status struct {
	Cluster  string // id; empty before the cluster is formed
	Node     NodeID // who answers
	Version  string
	Leader   NodeID // empty: none known
	Term     uint64
	Quorum   bool   // the answering node could verify a leader just now
	Applied  uint64 // Raft index, of the answering node
	Commit   uint64
	Nodes    []NodeStatus
	Sessions []SessionStatus
	Blobs    BlobsStatus
	Inodes   uint64
	Replicas int
	// MinReplicas is how many yes votes a blob needs now, MinReplicasWanted how many once there are as many nodes that store.
	MinReplicas       int
	MinReplicasWanted int
	// Of the answering node alone: its clock, and what it has done since it was started.
	Time     Time
	Activity Activity
	Upkeep   Upkeep
}

// Electorate counts the voters, and those of them that gossip sees alive.
func (s *Status) Electorate() (voters, alive int) {
	for i := range s.Nodes {
		if n := &s.Nodes[i]; n.Member && n.Voter {
			voters++
			if n.State == NodeAlive {
				alive++
			}
		}
	}
	return voters, alive
}

// NodeStatus is a node's line in Status.
type NodeStatus struct {
	NodeInfo
	Voter   bool
	Member  bool   // in the Raft configuration
	Storing bool   // it counts for MinReplicas
	Applied uint64 // Raft index; 0 unknown
	Version string
}

// SessionStatus is a session's line in Status.
type SessionStatus struct {
	Session
	Mount      Mount
	Pins       int
	IdleMillis int64    // since the leader last heard of it; -1: the answering node does not lead and cannot tell
	Activity   Activity // as of the last beat; zero likewise
	Leases     int      // that it holds; zero likewise
	Recalls    int      // of them, that it was asked to give back and has not; zero likewise
}

// BlobsStatus counts blobs as the metadata knows them.
type BlobsStatus struct {
	Count           uint64
	Bytes           uint64 // lengths, one replica
	LiveBytes       uint64 // of them still mapped by files
	UnderReplicated uint64
	Garbage         uint64
}

// TxState is how far a transaction has come.
type TxState string

// The states of a transaction, in order; aborted instead of decided.
const (
	TxPrepared TxState = "prepared" // staged somewhere, no decision yet
	TxDecided  TxState = "committed"
	TxAborted  TxState = "aborted"
)

// TxStatus is what `dfs tx` shows.
type TxStatus struct {
	ID     TxID
	State  TxState
	Index  uint64 // Raft index of the decision
	Err    Code   // why a decided transaction was refused
	Ops    []string
	Blobs  []BlobInfo
	Staged []NodeID // nodes that still hold blobs of it staged
	Time   Time     // when the node that answers learned of it
}

// Admin is what operators ask a node. Unlike Meta it answers without a quorum too, and says so.
type Admin interface {
	Status(ctx context.Context) (*Status, error)
	// Transactions lists undecided transactions and, newest first, the last decided ones that the node remembers.
	Transactions(ctx context.Context, limit int) ([]TxStatus, error)
	// Transaction shows one; ErrNotExist if the node no longer remembers it.
	Transaction(ctx context.Context, id TxID) (*TxStatus, error)
	// Raft shows how the node stands in Raft.
	Raft(ctx context.Context) (*RaftStatus, error)
	// Explain tells what a path (from the root, "/" its separator) names, from the state that the node has applied.
	// ErrNotExist, ErrNotDir.
	Explain(ctx context.Context, path string) (*Explanation, error)
}

// Membership changes who the members of a running cluster are.
type Membership interface {
	// Join records the node and makes it a learner; joining again updates its address and zone. cluster is the id that
	// the node believes in, empty if none; the answer is the cluster's. ErrWrongCluster if they differ; ErrRemoved if a
	// node of that name was removed.
	Join(ctx context.Context, node NodeInfo, cluster string) (string, error)
	// Removal tells what removing a node would do now. ErrNotExist if there never was such a node.
	Removal(ctx context.Context, node NodeID) (*Removal, error)
	// RemoveNode removes a node for good: it is no member any more, its replicas count no more and become repair debt, and
	// its name is used up. Removing it again changes nothing. ErrBusy if there are Objections, unless force is set;
	// ErrInvalid, whatever force says, if there would be no quorum without it.
	RemoveNode(ctx context.Context, node NodeID, force bool) error
}
