package fs

// Activity counts the requests that a node or a mount has answered since it was started. The numbers only rise, but for
// InFlight; a restart begins at 0 again.
type Activity struct {
	Ops        uint64
	Errors     uint64 // of Ops, those answered with an error, "no such file" included
	BusyNanos  uint64 // sum of the times that Ops took
	InFlight   uint64
	ReadBytes  uint64 // file data
	WriteBytes uint64
}

// RaftStatus is one node's view of Raft. What it cannot know is unknown in it: only the leader hears of the others' logs.
type RaftStatus struct {
	Cluster  string
	Node     NodeID // who answers
	State    string // leader, follower, candidate or shutdown
	Term     uint64
	Leader   NodeID // empty: none known
	Quorum   bool   // the answering node could verify a leader just now
	Commit   uint64 // indexes
	Applied  uint64
	First    uint64 // log entries that are kept; 0 for none
	Last     uint64
	Snapshot uint64 // what the newest snapshot reaches up to; 0 for none
	// ContactMillis is how long ago the answering node heard of its leader; 0 for the leader itself, -1 for never.
	ContactMillis int64
	Servers       []RaftServer // by id
}

// RaftServer is a member's line in RaftStatus.
type RaftServer struct {
	ID      NodeID
	Addr    string
	Voter   bool
	Last    uint64 // its last log entry, as told to the leader; 0 unknown
	Applied uint64 // as gossip tells; 0 unknown
	// ContactMillis is the age of the last heartbeat that it has answered to this leader; 0 for the leader itself, -1 unknown.
	ContactMillis int64
}

// Explanation is everything that the metadata knows of what a path names, as the answering node has applied it.
type Explanation struct {
	Path   string // cleaned; symlinks in it are not followed
	Node   NodeID // who answers
	Quorum bool   // see Status
	Index  uint64 // Raft index up to which the answer holds

	Attr    Attr
	Target  string       // of a symlink
	Extents []Extent     // by rising offset; those without a blob are inline, their Data left out
	Blobs   []BlobOrigin // one for each blob that Extents name, in their order
	More    uint64       // the offset behind the last extent told, when they are too many for one answer; else 0
	Nodes   []NodeInfo   // those that the blobs lie on, by id
}

// BlobOrigin is a blob and where it comes from.
type BlobOrigin struct {
	BlobInfo
	Wanted    int    // replicas that it should have
	LiveBytes uint64 // mapped by files, every reference counted
	Tx        TxID   // the transaction that brought it
	Index     uint64 // Raft index of that one's decision
}

// Upkeep counts what a node has done for blobs since it was started.
type Upkeep struct {
	Repaired uint64 // copies made on other nodes
	Healed   uint64 // own copies found missing or damaged, and mended
	Lost     uint64 // … that could not be mended, each time that they were found
	Unknown  uint64 // own live copies that the metadata does not know, at the last inspection
}
