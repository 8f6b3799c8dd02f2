package metarpc

import (
	"dfs/fs"
	"dfs/raftmeta/metapb"
)

func toMount(m fs.Mount) *metapb.Mount {
	return &metapb.Mount{Host: []byte(m.Host), Pid: int64(m.PID), Path: []byte(m.Path), Version: []byte(m.Version),
		Opened: int64(m.Opened), Subtree: []byte(m.Subtree), ReadOnly: m.ReadOnly}
}

func fromMount(m *metapb.Mount) fs.Mount {
	return fs.Mount{Host: string(m.GetHost()), PID: int(m.GetPid()), Path: string(m.GetPath()), Version: string(m.GetVersion()),
		Opened: fs.Time(m.GetOpened()), Subtree: string(m.GetSubtree()), ReadOnly: m.GetReadOnly()}
}

func toSession(s fs.Session) *metapb.Session {
	return &metapb.Session{Id: uint64(s.ID), Epoch: uint64(s.Epoch), Cluster: s.Cluster, TimeoutMillis: s.TimeoutMillis,
		Replicas: uint32(s.Replicas), MinReplicas: uint32(s.MinReplicas), Root: uint64(s.Root), ReadOnly: s.ReadOnly, Claims: s.Claims}
}

func fromSession(s *metapb.Session) fs.Session {
	return fs.Session{ID: fs.SessionID(s.GetId()), Epoch: fs.Epoch(s.GetEpoch()), Cluster: s.GetCluster(),
		TimeoutMillis: s.GetTimeoutMillis(), Replicas: int(s.GetReplicas()), MinReplicas: int(s.GetMinReplicas()),
		Root: fs.Ino(s.GetRoot()), ReadOnly: s.GetReadOnly(), Claims: s.GetClaims()}
}

func toInoRange(r fs.InoRange) *metapb.InoRange {
	return &metapb.InoRange{From: uint64(r.From), N: uint32(r.N)}
}

func fromInoRange(r *metapb.InoRange) fs.InoRange {
	return fs.InoRange{From: fs.Ino(r.GetFrom()), N: int(r.GetN())}
}

func toBeat(b fs.Beat) *metapb.Beat {
	return &metapb.Beat{Seq: b.Seq, Pins: each(b.Pins, toIno), Unpins: each(b.Unpins, toIno),
		Acks: toAcks(b.Acks), Activity: toActivity(b.Activity), Locks: toLockClaim(b.Locks)}
}

func fromBeat(b *metapb.Beat) fs.Beat {
	return fs.Beat{Seq: b.GetSeq(), Pins: each(b.GetPins(), fromIno), Unpins: each(b.GetUnpins(), fromIno),
		Acks: fromAcks(b.GetAcks()), Activity: fromActivity(b.GetActivity()), Locks: fromLockClaim(b.GetLocks())}
}

func toNotice(n fs.Notice) *metapb.Notice {
	return &metapb.Notice{Ack: n.Ack, Nodes: each(n.Nodes, toNodeInfo), MinReplicas: uint32(n.MinReplicas), Limits: n.Limits,
		Term: n.Term, Recalls: toRecalls(n.Recalls), Tickets: n.Tickets}
}

func fromNotice(n *metapb.Notice) fs.Notice {
	return fs.Notice{Ack: n.GetAck(), Nodes: each(n.GetNodes(), fromNodeInfo), MinReplicas: int(n.GetMinReplicas()),
		Limits: n.GetLimits(), Term: n.GetTerm(), Recalls: fromRecalls(n.GetRecalls()), Tickets: n.GetTickets()}
}
