package metarpc

import (
	"dfs/fs"
	"dfs/raftmeta/metapb"
)

// each converts a slice; nil stays nil.
func each[A, B any](in []A, f func(A) B) []B {
	if in == nil {
		return nil
	}
	out := make([]B, len(in))
	for i, a := range in {
		out[i] = f(a)
	}
	return out
}

func toTxID(t fs.TxID) *metapb.TxID {
	return &metapb.TxID{Session: uint64(t.Session), Seq: t.Seq}
}

func fromTxID(t *metapb.TxID) fs.TxID {
	return fs.TxID{Session: fs.SessionID(t.GetSession()), Seq: t.GetSeq()}
}

func toBlobID(b fs.BlobID) *metapb.BlobID {
	if b.IsZero() {
		return nil
	}
	return &metapb.BlobID{Session: uint64(b.Session), Counter: b.Counter}
}

func fromBlobID(b *metapb.BlobID) fs.BlobID {
	return fs.BlobID{Session: fs.SessionID(b.GetSession()), Counter: b.GetCounter()}
}

func toBlobInfo(b fs.BlobInfo) *metapb.BlobInfo {
	return &metapb.BlobInfo{Id: toBlobID(b.ID), Length: b.Length, Sum: b.Sum, Replicas: each(b.Replicas, toNodeID)}
}

func fromBlobInfo(b *metapb.BlobInfo) fs.BlobInfo {
	return fs.BlobInfo{ID: fromBlobID(b.GetId()), Length: b.GetLength(), Sum: b.GetSum(),
		Replicas: each(b.GetReplicas(), fromNodeID)}
}

func toNodeID(n fs.NodeID) string   { return string(n) }
func fromNodeID(n string) fs.NodeID { return fs.NodeID(n) }
func toIno(i fs.Ino) uint64         { return uint64(i) }
func fromIno(i uint64) fs.Ino       { return fs.Ino(i) }
func toBytes(s string) []byte       { return []byte(s) }
func fromBytes(b []byte) string     { return string(b) }

func toAttr(a fs.Attr) *metapb.Attr {
	return &metapb.Attr{
		Ino: uint64(a.Ino), Type: uint32(a.Type), Mode: a.Mode, Nlink: a.Nlink, Uid: a.UID, Gid: a.GID, Rdev: a.Rdev,
		Size: a.Size, Used: a.Used,
		Atime: int64(a.Atime), Mtime: int64(a.Mtime), Ctime: int64(a.Ctime), Btime: int64(a.Btime),
		Version: a.Version, Parent: uint64(a.Parent),
	}
}

func fromAttr(a *metapb.Attr) fs.Attr {
	return fs.Attr{
		Ino: fs.Ino(a.GetIno()), Type: fs.FileType(a.GetType()), Mode: a.GetMode(), Nlink: a.GetNlink(),
		UID: a.GetUid(), GID: a.GetGid(), Rdev: a.GetRdev(), Size: a.GetSize(), Used: a.GetUsed(),
		Atime: fs.Time(a.GetAtime()), Mtime: fs.Time(a.GetMtime()), Ctime: fs.Time(a.GetCtime()), Btime: fs.Time(a.GetBtime()),
		Version: a.GetVersion(), Parent: fs.Ino(a.GetParent()),
	}
}

func toDirent(d fs.Dirent) *metapb.Dirent {
	return &metapb.Dirent{Name: []byte(d.Name), Cookie: uint64(d.Cookie), Attr: toAttr(d.Attr)}
}

func fromDirent(d *metapb.Dirent) fs.Dirent {
	return fs.Dirent{Name: string(d.GetName()), Cookie: fs.Cookie(d.GetCookie()), Attr: fromAttr(d.GetAttr())}
}

func toListing(l fs.Listing) *metapb.ReaddirReply {
	return &metapb.ReaddirReply{Entries: each(l.Entries, toDirent), End: uint64(l.End)}
}

func fromListing(l *metapb.ReaddirReply) fs.Listing {
	return fs.Listing{Entries: each(l.GetEntries(), fromDirent), End: fs.Cookie(l.GetEnd())}
}

func toStatfs(s fs.Statfs) *metapb.StatfsReply {
	return &metapb.StatfsReply{TotalBytes: s.TotalBytes, FreeBytes: s.FreeBytes, Inodes: s.Inodes, InodesLimit: s.InodesLimit}
}

func fromStatfs(s *metapb.StatfsReply) fs.Statfs {
	return fs.Statfs{TotalBytes: s.GetTotalBytes(), FreeBytes: s.GetFreeBytes(), Inodes: s.GetInodes(), InodesLimit: s.GetInodesLimit()}
}
