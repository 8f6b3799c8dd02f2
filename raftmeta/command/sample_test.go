package command

import (
	"pgregory.net/rapid"

	"dfs/fs"
)

// ops has one operation of each kind, commands one command of each, with a value in every field.
func ops() []fs.Op {
	return []fs.Op{
		&fs.Create{Parent: 1, Name: "a", Ino: 2, Type: fs.TypeSymlink, Mode: 0o777, UID: 3, GID: 4, Rdev: 5, Target: "t", Time: 6, Pin: true, Near: 7, Umask: 8},
		&fs.Link{Ino: 1, Parent: 2, Name: "a", Time: 3},
		&fs.Unlink{Parent: 1, Name: "a", Time: 2},
		&fs.Rmdir{Parent: 1, Name: "a", Time: 2},
		&fs.Rename{Parent: 1, Name: "a", NewParent: 2, NewName: "b", Flags: fs.RenameExchange, Time: 3},
		&fs.Setattr{Ino: 1, Set: 2, Mode: 3, UID: 4, GID: 5, Size: 6, Atime: 7, Mtime: 8, Time: 9, KillPriv: true},
		&fs.Write{Ino: 1, Time: 2, KillPriv: true, Extents: []fs.Extent{
			{Off: 1, Len: 2, Blob: fs.BlobID{Session: 3, Counter: 4}, BlobOff: 5}, {Off: 6, Len: 2, Data: []byte("xy")}}},
		&fs.Allocate{Ino: 1, Off: 2, Len: 3, Mode: fs.AllocateZero, KeepSize: true, Time: 4, KillPriv: true},
		&fs.Clone{Src: 1, SrcOff: 2, Dst: 3, DstOff: 4, Len: 5, Time: 6, KillPriv: true},
		&fs.Setxattr{Ino: 1, Name: "a", Value: []byte("v"), Flags: fs.XattrReplace, Time: 2, KillSetgid: true},
		&fs.Removexattr{Ino: 1, Name: "a", Time: 2},
		&fs.Check{Ino: 1, Version: 2},
		&fs.Access{Ino: 1, Seen: 2, Time: 3},
	}
}

func info() fs.BlobInfo {
	return fs.BlobInfo{ID: fs.BlobID{Session: 1, Counter: 2}, Length: 3, Sum: 4, Replicas: []fs.NodeID{"m", "n"}}
}

func commands() []Command {
	return []Command{
		&Tx{fs.Tx{ID: fs.TxID{Session: 1, Seq: 2}, Epoch: 3, Done: 4, Ops: ops(), Blobs: []fs.BlobInfo{info()}, Replicas: 5}},
		&Init{Cluster: "c", Time: 1, Replicas: 2, MinReplicas: 3, InlineMax: 4, SessionTimeout: 5,
			Founders: []fs.NodeInfo{{ID: "n", Addr: "a:1", Zone: "z"}, {ID: "m", Addr: "b:1", Zone: "y"}}},
		&OpenSession{Mount: fs.Mount{Host: "h", PID: 1, Path: "/p", Version: "v", Opened: 2, Subtree: "/s/t", ReadOnly: true},
			Owner: fs.Owner{Name: "n", Role: "r", Scope: fs.Scope{Subtree: "/s", ReadOnly: true}}},
		&EndSession{Session: 1, Epoch: 2, Expired: true},
		&AllocInos{Session: 1, Epoch: 2, N: 3},
		&Abort{Tx: fs.TxID{Session: 1, Seq: 2}, Epoch: 3},
		&Reap{Inos: []fs.Ino{1, 300}, Extents: 2},
		&Forget{Blobs: []fs.BlobID{{Session: 1, Counter: 2}}},
		&SetReplicas{Blob: fs.BlobID{Session: 1, Counter: 2}, Add: []fs.NodeID{"a"}, Remove: []fs.NodeID{"b"}},
		&PutNode{Node: fs.NodeInfo{ID: "n", Addr: "a:1", Zone: "z"}, Storing: true},
		&RemoveNode{Node: "n"},
		&PutToken{Token: fs.JoinToken{ID: "i", Role: "r", Expires: 1, Uses: 2}, Secret: fs.TokenHash{3}, Now: 4},
		&RedeemToken{Redemption: fs.Redemption{ID: "i", Secret: fs.TokenHash{1}, Role: "r", Key: fs.TokenHash{2}}, Now: 3},
		&RevokeToken{ID: "i"},
		&KeepAccounts{},
		&SetQuota{Of: fs.QuotaOf{User: true, UID: 1, Path: "/p"}, Remove: true,
			Change: fs.LimitChange{SetBytes: true, SetInodes: true, Limits: fs.Limits{Bytes: 2, Inodes: 3}}},
		&Survey{Inodes: 1},
	}
}

func result() *fs.TxResult {
	attr := func(n uint32) fs.Attr {
		u := uint64(n)
		return fs.Attr{Ino: fs.Ino(n), Type: fs.TypeDir, Mode: n + 1, Nlink: n + 2, UID: n + 3, GID: n + 4, Rdev: n + 5,
			Size: u + 6, Used: u + 7, Atime: fs.Time(u + 8), Mtime: fs.Time(u + 9), Ctime: fs.Time(u + 10),
			Btime: fs.Time(u + 11), Version: u + 12, Parent: fs.Ino(u + 13)}
	}
	return &fs.TxResult{Err: fs.CodeExist, Failed: 1, Index: 2, Results: []fs.Result{
		{Attr: attr(1), Parent: attr(20), N: 3}, {Replaced: attr(40)}}}
}

// randomTx draws a transaction with fields that no sample has.
func randomTx(t *rapid.T) *Tx {
	number := rapid.Uint64()
	name := rapid.String()
	clock := rapid.Int64()
	tx := &Tx{fs.Tx{ID: fs.TxID{Session: fs.SessionID(number.Draw(t, "session")), Seq: number.Draw(t, "seq")},
		Epoch: fs.Epoch(number.Draw(t, "epoch")), Done: number.Draw(t, "done"), Replicas: rapid.Int().Draw(t, "replicas")}}
	for range rapid.IntRange(0, 5).Draw(t, "ops") {
		when := fs.Time(clock.Draw(t, "time"))
		ino := fs.Ino(number.Draw(t, "ino"))
		switch rapid.IntRange(0, 3).Draw(t, "kind") {
		case 0:
			tx.Ops = append(tx.Ops, &fs.Create{Parent: ino, Name: name.Draw(t, "name"), Mode: rapid.Uint32().Draw(t, "mode"),
				Type: fs.FileType(rapid.Uint8().Draw(t, "type")), Target: name.Draw(t, "target"), Time: when})
		case 1:
			tx.Ops = append(tx.Ops, &fs.Rename{Parent: ino, Name: name.Draw(t, "name"), NewName: name.Draw(t, "new"),
				Flags: fs.RenameFlags(rapid.Uint8().Draw(t, "flags")), Time: when})
		case 2:
			w := &fs.Write{Ino: ino, Time: when, KillPriv: rapid.Bool().Draw(t, "kill")}
			for range rapid.IntRange(0, 3).Draw(t, "extents") {
				w.Extents = append(w.Extents, randomExtent(t))
			}
			tx.Ops = append(tx.Ops, w)
		case 3:
			tx.Ops = append(tx.Ops, &fs.Allocate{Ino: ino, Off: number.Draw(t, "off"), KeepSize: rapid.Bool().Draw(t, "keep"),
				Mode: fs.AllocateMode(rapid.Uint8().Draw(t, "mode")), Time: when})
		}
	}
	return tx
}

func randomExtent(t *rapid.T) fs.Extent {
	e := fs.Extent{Off: rapid.Uint64().Draw(t, "off"), Len: rapid.Uint64().Draw(t, "len")}
	if rapid.Bool().Draw(t, "inline") {
		e.Data = rapid.SliceOfN(rapid.Byte(), 1, 20).Draw(t, "data")
		return e
	}
	e.Blob = fs.BlobID{Session: fs.SessionID(rapid.Uint64Min(1).Draw(t, "session")), Counter: rapid.Uint64().Draw(t, "counter")}
	e.BlobOff = rapid.Uint64().Draw(t, "blob offset")
	return e
}
