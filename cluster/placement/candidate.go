package placement

import (
	"time"

	"dfs/fs"
)

// Candidate is a node that might be chosen.
type Candidate struct {
	fs.NodeInfo
	// InFlight is how many of this client's own requests the node is serving.
	InFlight int
	// Latency is the smoothed time of this client's requests to the node; 0 is unknown.
	Latency time.Duration
	// Fresh is true while the node has been known for less than rampTime, and Ramp how far it has come, 0 … 1.
	Fresh bool
	Ramp  float64
}

// Use is what a node is chosen for.
type Use int

// The uses. Free disk counts only for writes.
const (
	Write Use = iota
	Read
)

// writable tells whether a node may take a write and, if not, whether that is for want of space. Nodes that are gone are
// neither.
func writable(c *Candidate) (ok, full bool) {
	if c.State == fs.NodeDead || c.State == fs.NodeLeft {
		return false, false
	}
	full = c.Load.ReadOnly || c.Load.DiskTotalBytes > 0 && c.Load.DiskFreeBytes < fs.BlobMax
	return !full, full
}

// rank orders states for reading: gossip may be wrong, so even the dead are asked in the end.
func rank(s fs.NodeState) int {
	switch s {
	case fs.NodeAlive:
		return 0
	case fs.NodeSuspect, fs.NodeUnknown:
		return 1
	}
	return 2
}
