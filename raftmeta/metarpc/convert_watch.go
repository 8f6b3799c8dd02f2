package metarpc

import (
	"dfs/fs"
	"dfs/raftmeta/metapb"
)

func toWatchRequest(r fs.WatchRequest) *metapb.WatchRequest {
	return &metapb.WatchRequest{Path: []byte(r.Path), Ino: uint64(r.Ino), After: toPosition(r.After)}
}

func fromWatchRequest(r *metapb.WatchRequest) fs.WatchRequest {
	return fs.WatchRequest{Path: string(r.GetPath()), Ino: fs.Ino(r.GetIno()), After: fromPosition(r.GetAfter())}
}

func toPosition(p fs.Position) *metapb.Position {
	return &metapb.Position{Index: p.Index, N: p.N}
}

func fromPosition(p *metapb.Position) fs.Position {
	return fs.Position{Index: p.GetIndex(), N: p.GetN()}
}

func toChanges(c fs.Changes) *metapb.Changes {
	return &metapb.Changes{Watched: uint64(c.Watched), From: toPosition(c.From), Upto: toPosition(c.Upto), List: each(c.List, toChange),
		Missing: c.Missing}
}

func fromChanges(c *metapb.Changes) fs.Changes {
	return fs.Changes{Watched: fs.Ino(c.GetWatched()), From: fromPosition(c.GetFrom()), Upto: fromPosition(c.GetUpto()),
		List: each(c.GetList(), fromChange), Missing: c.GetMissing()}
}

func toChange(c fs.Change) *metapb.Change {
	return &metapb.Change{At: toPosition(c.Position), Time: int64(c.Time), Kind: string(c.Kind), Ino: uint64(c.Ino), Type: uint32(c.Type),
		Path: []byte(c.Path), To: []byte(c.To), Dir: uint64(c.Dir), ToDir: uint64(c.ToDir), Replaced: uint64(c.Replaced),
		Nlink: c.Nlink, Xattr: []byte(c.Xattr), Session: uint64(c.Session), Host: []byte(c.Host), Mount: []byte(c.Mount),
		ReplacedType: uint32(c.ReplacedType)}
}

func fromChange(c *metapb.Change) fs.Change {
	return fs.Change{Position: fromPosition(c.GetAt()), Time: fs.Time(c.GetTime()), Kind: fs.ChangeKind(c.GetKind()), Ino: fs.Ino(c.GetIno()),
		Type: fs.FileType(c.GetType()), Path: string(c.GetPath()), To: string(c.GetTo()), Dir: fs.Ino(c.GetDir()), ToDir: fs.Ino(c.GetToDir()),
		Replaced: fs.Ino(c.GetReplaced()), Nlink: c.GetNlink(), Xattr: string(c.GetXattr()), Session: fs.SessionID(c.GetSession()),
		Host: string(c.GetHost()), Mount: string(c.GetMount()), ReplacedType: fs.FileType(c.GetReplacedType())}
}
