package state

import (
	"bytes"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"testing"

	"dfs/fs"
)

// golden is a record of each kind as version 1 writes it. What lies on disks looks like this: these lines never change.
var golden = map[string]struct {
	record record
	bytes  string
}{
	"config": {&Config{Cluster: "c", Replicas: 3, MinReplicas: 2, InlineMax: 4096, SessionTimeout: 10000, Created: -1},
		"01016306048040a09c0101"},
	"counters": {&counters{version: 1, nextIno: 300, nextSession: 3, storing: 2, stats: Stats{Inodes: 4, Orphans: 5, Blobs: 6,
		BlobBytes: 7, LiveBytes: 8, UnderReplicated: 9, Garbage: 10}}, "0101ac0203020405060708090a"},
	"inode": {&inode{Attr: fs.Attr{Ino: 2, Type: fs.TypeSymlink, Mode: 0o777, Nlink: 1, UID: 3, GID: 4, Rdev: 5, Size: 6,
		Used: 7, Atime: 8, Mtime: 9, Ctime: 10, Btime: 11, Version: 12, Parent: 13}, entries: 14, nextCookie: 15,
		target: "to", nameless: true, xattrBytes: 16, home: 17, wards: 18}, "01020aff03010304050607101214160c0d0e0f02746f01101112"},
	"charged inode": {&inode{Attr: fs.Attr{Ino: 2, Type: fs.TypeSymlink, Mode: 0o777, Nlink: 1, UID: 3, GID: 4, Rdev: 5, Size: 6,
		Used: 7, Atime: 8, Mtime: 9, Ctime: 10, Btime: 11, Version: 12, Parent: 13}, entries: 14, nextCookie: 15,
		target: "to", nameless: true, xattrBytes: 16, home: 17, wards: 18, counted: true, tree: 19}, "02020aff03010304050607101214160c0d0e0f02746f0110111213"},
	"account": {&account{used: fs.Usage{Bytes: 300, Inodes: 1}, limits: fs.Limits{Bytes: 2, Inodes: 3}, outer: 4, phase: treeCounted,
		doomed: true}, "01ac02010203040201"},
	"accounting": {&accounting{census: 300, walking: 2, sweep: 3, waiting: 4, limited: 5}, "01ac0202030405"},
	"progress":   {&progress{past: 300}, "01ac02"},
	"home":       {&homeCount{1}, "0101"},
	"dentry":     {&dentry{ino: 2, typ: fs.TypeDir, cookie: 3}, "01020403"},
	"entry":      {&entry{name: "n", ino: 2, typ: fs.TypeRegular}, "01016e0208"},
	"extent":     {&extent{fs.Extent{Off: 1, Len: 2, Blob: fs.BlobID{Session: 3, Counter: 4}, BlobOff: 5}}, "010102030405"},
	"inline":     {&extent{fs.Extent{Off: 1, Len: 2, Data: []byte("ab")}}, "0101020000026162"},
	"xattr":      {&xattr{[]byte("v")}, "010176"},
	"session": {&SessionRecord{Session: fs.Session{ID: 1, Epoch: 2, Root: 6}, Done: 3, Mount: fs.Mount{Host: "h", PID: 4, Path: "/p", Version: "v", Opened: 5, Subtree: "/s", ReadOnly: true},
		Owner: fs.Owner{Name: "n", Role: "r", Scope: fs.Scope{Subtree: "/t", ReadOnly: true}}, Inos: []fs.InoRange{{From: 7, N: 8}}}, "01010203016808022f7001760a022f7301016e0172022f740106010710"},
	"answer": {&answer{[]byte{9}}, "010109"},
	"node":   {&node{addr: "a", zone: "z", storing: true, removed: true}, "010161017a0101"},
	"blob": {&BlobRecord{BlobInfo: fs.BlobInfo{ID: fs.BlobID{Session: 1, Counter: 2}, Length: 3, Sum: 4,
		Replicas: []fs.NodeID{"n"}}, Wanted: 3, LiveBytes: 5, Seq: 6, Index: 7, debt: true}, "010102030400000001016e0605060701"},
	"garbage": {&garbage{since: 300}, "01ac02"},
	"mark":    {&mark{}, "01"},
}

func TestRecords_LieOnDiskAsVersion1WroteThem(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(golden)) {
		g := golden[name]
		got := encode(g.record)
		if hex.EncodeToString(got) != g.bytes {
			t.Errorf("%s is written as %x, want %s", name, got, g.bytes)
		}
		fresh := blank(g.record)
		if err := decode(got, fresh); err != nil || !bytes.Equal(encode(fresh), got) {
			t.Errorf("%s is read as %+v, %v", name, fresh, err)
		}
		future := append([]byte{newest(g.record) + 1}, got[1:]...)
		if err := decode(future, fresh); !errors.Is(err, ErrFormat) {
			t.Errorf("%s of a newer version: %v", name, err)
		}
		if err := decode(append(got, 0), fresh); !errors.Is(err, ErrBroken) {
			t.Errorf("%s with a byte too many: %v", name, err)
		}
		for n := range got {
			if err := decode(got[:n], fresh); err == nil {
				t.Errorf("%s cut to %d bytes is read", name, n)
			}
		}
	}
}

// blank is an empty record of the same kind.
func blank(r record) record {
	switch r.(type) {
	case *Config:
		return &Config{}
	case *counters:
		return &counters{}
	case *inode:
		return &inode{}
	case *dentry:
		return &dentry{}
	case *entry:
		return &entry{}
	case *extent:
		return &extent{}
	case *xattr:
		return &xattr{}
	case *SessionRecord:
		return &SessionRecord{}
	case *answer:
		return &answer{}
	case *node:
		return &node{}
	case *BlobRecord:
		return &BlobRecord{}
	case *garbage:
		return &garbage{}
	case *homeCount:
		return &homeCount{}
	case *account:
		return &account{}
	case *accounting:
		return &accounting{}
	case *progress:
		return &progress{}
	}
	return &mark{}
}

func TestApply_ARecordOfTheFutureStopsTheNode(t *testing.T) {
	good := sample(t)
	for _, key := range [][]byte{[]byte(keyConfig), []byte(keyCounters), sessionKey(1), inodeKey(3), nameKey(2, "f"),
		extentKey(3, 5), blobKey(keyBlob, fs.BlobID{Session: 1, Counter: 1})} {
		kv := good.Clone()
		value, err := kv.Get(key)
		if err != nil || value == nil {
			t.Fatalf("no key %q: %v", key, err)
		}
		_ = kv.Set(key, append([]byte{3}, value[1:]...))
		_, err = Apply(kv, 99, tx(&fs.Setattr{Ino: 3, Set: fs.SetSize}, &fs.Unlink{Parent: 2, Name: "f"}))
		if !errors.Is(err, ErrFormat) {
			t.Errorf("key %q of a newer version: %v", key, err)
		}
	}
}

// Whatever bytes a store returns, no decoder panics, and what it accepts it writes in a form that reads the same.
func FuzzRecords(f *testing.F) {
	kinds := slices.Sorted(maps.Keys(golden))
	for n, name := range kinds {
		f.Add(n, encode(golden[name].record))
	}
	f.Fuzz(func(t *testing.T, n int, data []byte) {
		kind := golden[kinds[uint(n)%uint(len(kinds))]].record
		r := blank(kind)
		if decode(data, r) != nil {
			return
		}
		once := encode(r)
		again := blank(kind)
		if err := decode(once, again); err != nil || !bytes.Equal(encode(again), once) {
			t.Fatalf("%T: %x is read as %+v and then as %+v, %v", r, data, r, again, err)
		}
	})
}
