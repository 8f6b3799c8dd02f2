package blobrpc

import "dfs/fs"

const (
	// MessageBytesMax is what one message may take: a whole blob and what goes with it. Clients set it for their own
	// calls; a server needs grpc.MaxRecvMsgSize of at least this.
	MessageBytesMax = fs.BlobMax + 64<<10
	// IDsMax is the most ids in one request; Client splits longer lists.
	IDsMax = 4096
	// ConcurrentCalls is how many calls one Client has under way; others wait. So it holds at most ConcurrentCalls ×
	// MessageBytesMax of a server's memory, and leaves most of the connection's streams (grpc.MaxConcurrentStreams) to the
	// metadata calls beside it.
	ConcurrentCalls = 64
	// StreamWindowBytes and ConnWindowBytes are windows that let one blob travel without waiting, on links of up to
	// about 10 Gbit/s and a few milliseconds.
	StreamWindowBytes = 4 << 20
	ConnWindowBytes   = 8 << 20

	stageBytesDefault = 256 << 20
	// nodeHeader names the node that a call is meant for.
	nodeHeader = "dfs-node"
)
