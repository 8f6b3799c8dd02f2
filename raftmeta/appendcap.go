package raftmeta

import "github.com/hashicorp/raft"

// appendBytesMax bounds the entries of one AppendEntries, but the first. Raft itself counts entries, and entriesAtOnce of them
// may be 256 MiB.
const appendBytesMax = 8 << 20

// entryOverhead is what an entry takes on the wire besides its bytes, and a little.
const entryOverhead = 128

// capEntries shortens a message to what fits. It must be given Raft's own message, not a copy: Raft looks at it afterwards to
// know what has been sent, and sends the rest next.
func capEntries(req *raft.AppendEntriesRequest) {
	size := 0
	for i, e := range req.Entries {
		size += len(e.Data) + len(e.Extensions) + entryOverhead
		if i > 0 && size > appendBytesMax {
			req.Entries = req.Entries[:i]
			return
		}
	}
}

// cappedPipeline is a pipeline of messages that fit.
type cappedPipeline struct{ raft.AppendPipeline }

// AppendEntries implements raft.AppendPipeline.
func (p cappedPipeline) AppendEntries(req *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) (raft.AppendFuture, error) {
	capEntries(req)
	return p.AppendPipeline.AppendEntries(req, resp)
}
