// Package metarpc carries fs.Meta, fs.Admin and fs.Membership over gRPC: [Register] serves an implementation, [Client] is one.
//
// The client finds the leader, follows it when it moves, and repeats calls until they are answered or their time is
// over; see DESIGN.md for why repeating is safe.
//
// Caveat: a Client that has been closed answers ErrClosed, its streams too; it does not close the connections, which
// belong to whoever gave it Dial.
package metarpc

import (
	"time"

	"dfs/fs"
)

// Bounds of the protocol. Both ends hold them.
const (
	// MessageBytesMax is the largest answer. Requests are bounded by the server, see package cluster.
	MessageBytesMax = 8 << 20

	requestsMax     = 1024    // requests being served at once, per node
	waitingMax      = 8192    // requests waiting for a place
	parkedMax       = 8192    // requests that wait for others in the middle of being served
	streamsMax      = 4096    // attached sessions per node
	pinsMax         = 1 << 19 // inodes in one Hello or Beat: with numbers below 2⁵⁶ they fit into a request
	layoutDataMax   = 4 << 20 // bytes of inline data in one Layout answer
	transactionsMax = 4096    // lines of one Transactions answer
	idMax           = 128     // bytes of a node's, cluster's or zone's name
	addrMax         = 256     // bytes of an address
	mountTextMax    = fs.PathMax

	parkAfter = 100 * time.Millisecond // from then on a request that is being served is one that waits for others
)
