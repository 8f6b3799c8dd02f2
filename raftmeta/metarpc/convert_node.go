package metarpc

import (
	"dfs/fs"
	"dfs/raftmeta/metapb"
)

func toNodeInfo(n fs.NodeInfo) *metapb.NodeInfo {
	return &metapb.NodeInfo{Id: string(n.ID), Addr: n.Addr, Zone: n.Zone, State: uint32(n.State), Load: &metapb.Load{
		DiskTotalBytes: n.Load.DiskTotalBytes, DiskFreeBytes: n.Load.DiskFreeBytes, Cpu: n.Load.CPU, Memory: n.Load.Memory,
		InFlight: n.Load.InFlight, ReadOnly: n.Load.ReadOnly,
	}}
}

func fromNodeInfo(n *metapb.NodeInfo) fs.NodeInfo {
	l := n.GetLoad()
	return fs.NodeInfo{ID: fs.NodeID(n.GetId()), Addr: n.GetAddr(), Zone: n.GetZone(), State: fs.NodeState(n.GetState()),
		Load: fs.Load{DiskTotalBytes: l.GetDiskTotalBytes(), DiskFreeBytes: l.GetDiskFreeBytes(), CPU: l.GetCpu(),
			Memory: l.GetMemory(), InFlight: l.GetInFlight(), ReadOnly: l.GetReadOnly()}}
}

func toStatus(s *fs.Status) *metapb.StatusReply {
	return &metapb.StatusReply{
		Cluster: s.Cluster, Node: string(s.Node), Version: s.Version, Leader: string(s.Leader), Term: s.Term, Quorum: s.Quorum,
		Applied: s.Applied, Commit: s.Commit, Nodes: each(s.Nodes, toNodeStatus), Sessions: each(s.Sessions, toSessionStatus),
		Blobs: &metapb.BlobsStatus{Count: s.Blobs.Count, Bytes: s.Blobs.Bytes, LiveBytes: s.Blobs.LiveBytes,
			UnderReplicated: s.Blobs.UnderReplicated, Garbage: s.Blobs.Garbage},
		Inodes: s.Inodes, Replicas: uint32(s.Replicas), MinReplicas: uint32(s.MinReplicas),
		MinReplicasWanted: uint32(s.MinReplicasWanted), Time: int64(s.Time), Activity: toActivity(s.Activity),
		Upkeep: &metapb.Upkeep{Repaired: s.Upkeep.Repaired, Healed: s.Upkeep.Healed, Lost: s.Upkeep.Lost, Unknown: s.Upkeep.Unknown},
	}
}

func fromStatus(s *metapb.StatusReply) *fs.Status {
	b, u := s.GetBlobs(), s.GetUpkeep()
	return &fs.Status{
		Cluster: s.GetCluster(), Node: fs.NodeID(s.GetNode()), Version: s.GetVersion(), Leader: fs.NodeID(s.GetLeader()),
		Term: s.GetTerm(), Quorum: s.GetQuorum(), Applied: s.GetApplied(), Commit: s.GetCommit(),
		Nodes: each(s.GetNodes(), fromNodeStatus), Sessions: each(s.GetSessions(), fromSessionStatus),
		Blobs: fs.BlobsStatus{Count: b.GetCount(), Bytes: b.GetBytes(), LiveBytes: b.GetLiveBytes(),
			UnderReplicated: b.GetUnderReplicated(), Garbage: b.GetGarbage()},
		Inodes: s.GetInodes(), Replicas: int(s.GetReplicas()), MinReplicas: int(s.GetMinReplicas()),
		MinReplicasWanted: int(s.GetMinReplicasWanted()), Time: fs.Time(s.GetTime()), Activity: fromActivity(s.GetActivity()),
		Upkeep: fs.Upkeep{Repaired: u.GetRepaired(), Healed: u.GetHealed(), Lost: u.GetLost(), Unknown: u.GetUnknown()},
	}
}

func toNodeStatus(n fs.NodeStatus) *metapb.NodeStatus {
	return &metapb.NodeStatus{Info: toNodeInfo(n.NodeInfo), Voter: n.Voter, Member: n.Member,
		Storing: n.Storing, Applied: n.Applied, Version: n.Version}
}

func fromNodeStatus(n *metapb.NodeStatus) fs.NodeStatus {
	return fs.NodeStatus{NodeInfo: fromNodeInfo(n.GetInfo()), Voter: n.GetVoter(), Member: n.GetMember(),
		Storing: n.GetStoring(), Applied: n.GetApplied(), Version: n.GetVersion()}
}

func toRemoval(r *fs.Removal) *metapb.RemovalReply {
	return &metapb.RemovalReply{Node: string(r.Node), Removed: r.Removed, Alive: r.Alive, Voter: r.Voter,
		VotersLeft: uint32(r.VotersLeft), VotersAlive: uint32(r.VotersAlive), Blobs: r.Blobs, Last: r.Last,
		MinReplicas: uint32(r.MinReplicas), MinReplicasNow: uint32(r.MinReplicasNow)}
}

func fromRemoval(r *metapb.RemovalReply) *fs.Removal {
	return &fs.Removal{Node: fs.NodeID(r.GetNode()), Removed: r.GetRemoved(), Alive: r.GetAlive(), Voter: r.GetVoter(),
		VotersLeft: int(r.GetVotersLeft()), VotersAlive: int(r.GetVotersAlive()), Blobs: r.GetBlobs(), Last: r.GetLast(),
		MinReplicas: int(r.GetMinReplicas()), MinReplicasNow: int(r.GetMinReplicasNow())}
}

func toSessionStatus(s fs.SessionStatus) *metapb.SessionStatus {
	return &metapb.SessionStatus{Session: toSession(s.Session), Mount: toMount(s.Mount), Pins: uint64(s.Pins), Leases: uint64(s.Leases), Recalls: uint64(s.Recalls), IdleMillis: s.IdleMillis,
		Activity: toActivity(s.Activity)}
}

func fromSessionStatus(s *metapb.SessionStatus) fs.SessionStatus {
	return fs.SessionStatus{Session: fromSession(s.GetSession()), Mount: fromMount(s.GetMount()), Pins: int(s.GetPins()), Leases: int(s.GetLeases()), Recalls: int(s.GetRecalls()),
		IdleMillis: s.GetIdleMillis(), Activity: fromActivity(s.GetActivity())}
}

func toTxStatus(t fs.TxStatus) *metapb.TxStatus {
	return &metapb.TxStatus{Id: toTxID(t.ID), State: string(t.State), Index: t.Index, Err: uint32(t.Err),
		Ops: each(t.Ops, toBytes), Blobs: each(t.Blobs, toBlobInfo), Staged: each(t.Staged, toNodeID), Time: int64(t.Time)}
}

func fromTxStatus(t *metapb.TxStatus) fs.TxStatus {
	return fs.TxStatus{ID: fromTxID(t.GetId()), State: fs.TxState(t.GetState()), Index: t.GetIndex(), Err: fs.Code(t.GetErr()),
		Ops: each(t.GetOps(), fromBytes), Blobs: each(t.GetBlobs(), fromBlobInfo), Staged: each(t.GetStaged(), fromNodeID),
		Time: fs.Time(t.GetTime())}
}
