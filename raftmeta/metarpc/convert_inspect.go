package metarpc

import (
	"dfs/fs"
	"dfs/raftmeta/metapb"
)

func toActivity(a fs.Activity) *metapb.Activity {
	return &metapb.Activity{Ops: a.Ops, Errors: a.Errors, BusyNanos: a.BusyNanos, InFlight: a.InFlight,
		ReadBytes: a.ReadBytes, WriteBytes: a.WriteBytes}
}

func fromActivity(a *metapb.Activity) fs.Activity {
	return fs.Activity{Ops: a.GetOps(), Errors: a.GetErrors(), BusyNanos: a.GetBusyNanos(), InFlight: a.GetInFlight(),
		ReadBytes: a.GetReadBytes(), WriteBytes: a.GetWriteBytes()}
}

func toRaft(r *fs.RaftStatus) *metapb.RaftReply {
	return &metapb.RaftReply{Cluster: r.Cluster, Node: string(r.Node), State: r.State, Term: r.Term, Leader: string(r.Leader),
		Quorum: r.Quorum, Commit: r.Commit, Applied: r.Applied, First: r.First, Last: r.Last, Snapshot: r.Snapshot,
		ContactMillis: r.ContactMillis, Servers: each(r.Servers, toRaftServer)}
}

func fromRaft(r *metapb.RaftReply) *fs.RaftStatus {
	return &fs.RaftStatus{Cluster: r.GetCluster(), Node: fs.NodeID(r.GetNode()), State: r.GetState(), Term: r.GetTerm(),
		Leader: fs.NodeID(r.GetLeader()), Quorum: r.GetQuorum(), Commit: r.GetCommit(), Applied: r.GetApplied(),
		First: r.GetFirst(), Last: r.GetLast(), Snapshot: r.GetSnapshot(), ContactMillis: r.GetContactMillis(),
		Servers: each(r.GetServers(), fromRaftServer)}
}

func toRaftServer(s fs.RaftServer) *metapb.RaftServer {
	return &metapb.RaftServer{Id: string(s.ID), Addr: s.Addr, Voter: s.Voter, Last: s.Last, Applied: s.Applied,
		ContactMillis: s.ContactMillis}
}

func fromRaftServer(s *metapb.RaftServer) fs.RaftServer {
	return fs.RaftServer{ID: fs.NodeID(s.GetId()), Addr: s.GetAddr(), Voter: s.GetVoter(), Last: s.GetLast(),
		Applied: s.GetApplied(), ContactMillis: s.GetContactMillis()}
}

func toExplanation(e *fs.Explanation) *metapb.ExplainReply {
	return &metapb.ExplainReply{Path: []byte(e.Path), Node: string(e.Node), Quorum: e.Quorum, Index: e.Index,
		Attr: toAttr(e.Attr), Target: []byte(e.Target), Extents: each(e.Extents, toExtent), Blobs: each(e.Blobs, toBlobOrigin),
		More: e.More, Nodes: each(e.Nodes, toNodeInfo)}
}

func fromExplanation(e *metapb.ExplainReply) *fs.Explanation {
	return &fs.Explanation{Path: string(e.GetPath()), Node: fs.NodeID(e.GetNode()), Quorum: e.GetQuorum(), Index: e.GetIndex(),
		Attr: fromAttr(e.GetAttr()), Target: string(e.GetTarget()), Extents: each(e.GetExtents(), fromExtent),
		Blobs: each(e.GetBlobs(), fromBlobOrigin), More: e.GetMore(), Nodes: each(e.GetNodes(), fromNodeInfo)}
}

func toBlobOrigin(b fs.BlobOrigin) *metapb.BlobOrigin {
	return &metapb.BlobOrigin{Info: toBlobInfo(b.BlobInfo), Wanted: uint32(b.Wanted), LiveBytes: b.LiveBytes, Tx: toTxID(b.Tx),
		Index: b.Index}
}

func fromBlobOrigin(b *metapb.BlobOrigin) fs.BlobOrigin {
	return fs.BlobOrigin{BlobInfo: fromBlobInfo(b.GetInfo()), Wanted: int(b.GetWanted()), LiveBytes: b.GetLiveBytes(),
		Tx: fromTxID(b.GetTx()), Index: b.GetIndex()}
}
