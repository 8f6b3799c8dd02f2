package raftmeta

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-msgpack/v2/codec"
	"github.com/hashicorp/raft"

	"dfs/fs"
)

func rpcOf(t testing.TB, kind byte, msg any) []byte {
	t.Helper()
	b := bytes.NewBuffer([]byte{kind})
	handle := &codec.MsgpackHandle{}
	handle.TimeNotBuiltin = true // as hashicorp/raft does
	if err := codec.NewEncoder(b, handle).Encode(msg); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// fullEntries are as many, and as large in all, as Raft sends at once.
func fullEntries(size int) []*raft.Log {
	entries := make([]*raft.Log, entriesAtOnce)
	for i := range entries {
		entries[i] = &raft.Log{Index: math.MaxUint64, Term: math.MaxUint64, Data: make([]byte, size), Extensions: make([]byte, 8), AppendedAt: time.Now()}
	}
	return entries
}

var rpcHeader = raft.RPCHeader{ProtocolVersion: 3, ID: []byte("n1"), Addr: []byte("n1:1")}

// ordinary is what Raft sends, one message behind the other.
func ordinary(t testing.TB, snapshot int) []byte {
	capped := &raft.AppendEntriesRequest{RPCHeader: rpcHeader, Term: 7, Entries: fullEntries(1 << 20)}
	capEntries(capped)
	return bytes.Join([][]byte{
		rpcOf(t, 0, capped),
		rpcOf(t, 0, &raft.AppendEntriesRequest{RPCHeader: rpcHeader, Term: 7, Entries: fullEntries(10), LeaderCommitIndex: math.MaxUint64}),
		rpcOf(t, 0, &raft.AppendEntriesRequest{RPCHeader: rpcHeader, Term: 7}),
		rpcOf(t, 0, &raft.AppendEntriesRequest{Entries: []*raft.Log{{Data: make([]byte, fs.TxBytesMax+1000)}}}),
		rpcOf(t, 1, &raft.RequestVoteRequest{RPCHeader: rpcHeader, Term: 1 << 40, LeadershipTransfer: true}),
		rpcOf(t, 3, &raft.TimeoutNowRequest{RPCHeader: rpcHeader}),
		rpcOf(t, 4, &raft.RequestPreVoteRequest{RPCHeader: rpcHeader, LastLogIndex: 3}),
		rpcOf(t, 2, &raft.InstallSnapshotRequest{RPCHeader: rpcHeader, Configuration: make([]byte, 4000), Size: int64(snapshot)}),
		bytes.Repeat([]byte{0xff}, snapshot),
		rpcOf(t, 2, &raft.InstallSnapshotRequest{}),
		rpcOf(t, 1, &raft.RequestVoteRequest{}),
	}, nil)
}

func TestRPCLimit_LetsThroughWhatRaftSends(t *testing.T) {
	for _, snapshot := range []int{0, 1, 127, 128, 70000, 20 << 20} {
		stream := ordinary(t, snapshot)
		for _, piece := range []int{len(stream), 256 << 10, 1021} {
			l := &rpcLimit{}
			for at := 0; at < len(stream); at += piece {
				if err := l.feed(stream[at:min(at+piece, len(stream))]); err != nil {
					t.Fatalf("a snapshot of %d bytes, pieces of %d: %v", snapshot, piece, err)
				}
			}
			if !l.idle() || l.begun != 10 {
				t.Errorf("a snapshot of %d bytes, pieces of %d: %d messages, state %d", snapshot, piece, l.begun, l.state)
			}
		}
	}
}

// absurd is what Raft does not send, by name, and what is said about it.
var absurd = map[string]struct{ sent, reason string }{
	"kind":                  {"\x05", "kind 5"},
	"no map":                {"\x00\x93", "no map"},
	"a reserved byte":       {"\x00\x81\xa1x\xc1", "byte 0xc1"},
	"a long string":         {"\x00\x81\xa4Data\xc6\xff\xff\xff\xff", "a string of 4294967295 bytes"},
	"a long extension":      {"\x00\x81\xa4Data\xc9\xff\xff\xff\xff\x01", "a string of 4294967296 bytes"},
	"many entries":          {"\x00\x81\xa7Entries\xdd\xff\xff\xff\xff", "4294967295 values"},
	"many fields":           {"\x00\xdf\xff\xff\xff\xff", "8589934590 values"},
	"empty entries":         {"\x00\x81\xa7Entries\xdc\x0f\xff" + strings.Repeat("\x80", 5000), "more than 4096 values"},
	"deep":                  {"\x00\x81\xa1x\x91\x91\x91\x91", "depth 5"},
	"strings without end":   {"\x00\xde\x00\xff" + strings.Repeat("\xa1x\xc6\x00\x40\x00\x00"+strings.Repeat("y", 4<<20), 5), "more than 16777216 bytes"},
	"a negative snapshot":   {"\x02\x81\xa4Size\xd0\xff", "fewer than no bytes"},
	"a negative snapshot 2": {"\x02\x81\xa4Size\xd3\xff\xff\xff\xff\xff\xff\xff\xff", "fewer than no bytes"},
	"a negative snapshot 3": {"\x02\x81\xa4Size\xff", "no number"},
	"a snapshot of a float": {"\x02\x81\xa4Size\xcb\x40\x00\x00\x00\x00\x00\x00\x00", "no number"},
	"two sizes":             {"\x02\x82\xa4Size\x05\xa4Size\x00", "there are two"},
}

func TestRPCLimit_RefusesWhatItDoesNot(t *testing.T) {
	for name, c := range absurd {
		t.Run(name, func(t *testing.T) {
			l := &rpcLimit{}
			if err := l.feed([]byte(c.sent)); !errors.Is(err, errRPC) || !strings.Contains(err.Error(), c.reason) {
				t.Errorf("%v, want %q", err, c.reason)
			}
		})
	}
}

// Whatever comes: in pieces it is the same as at once, and where the limit sees the end of a message, Raft's decoder sees it too.
func FuzzRPCLimit(f *testing.F) {
	for _, c := range absurd {
		if len(c.sent) < 1<<16 {
			f.Add([]byte(c.sent), 3)
		}
	}
	f.Add(rpcOf(f, 2, &raft.InstallSnapshotRequest{RPCHeader: rpcHeader, Size: 3}), 5)
	f.Add(rpcOf(f, 0, &raft.AppendEntriesRequest{RPCHeader: rpcHeader, Entries: fullEntries(1)}), 1)
	f.Fuzz(func(t *testing.T, data []byte, piece int) {
		whole, parts := &rpcLimit{}, &rpcLimit{}
		errWhole := whole.feed(data)
		piece = max(1, piece)
		var errParts error
		for at := 0; at < len(data) && errParts == nil; at += piece {
			errParts = parts.feed(data[at : min(len(data)-at, piece)+at])
		}
		if (errWhole == nil) != (errParts == nil) || errWhole == nil && (whole.state != parts.state || whole.begun != parts.begun) {
			t.Fatalf("at once %v, state %d; in pieces %v, state %d", errWhole, whole.state, errParts, parts.state)
		}
		compareWithDecoder(t, data)
	})
}

// compareWithDecoder has Raft's decoder read the first message of data.
func compareWithDecoder(t *testing.T, data []byte) {
	l := &rpcLimit{}
	n := 0
	for n < len(data) && (n == 0 || !l.idle() && l.state != rpcData) {
		if l.feed(data[n:n+1]) != nil {
			return // refused: the decoder does not get to see it
		}
		n++
	}
	if n == len(data) && !l.idle() && l.state != rpcData || n == 0 {
		return // not complete
	}
	rest := bytes.NewReader(data[1:])
	dec := codec.NewDecoder(io.MultiReader(rest), &codec.MsgpackHandle{})
	var err error
	size := uint64(0)
	switch data[0] {
	case 0:
		err = dec.Decode(new(raft.AppendEntriesRequest))
	case 1:
		err = dec.Decode(new(raft.RequestVoteRequest))
	case rpcSnapshot:
		var m raft.InstallSnapshotRequest
		err = dec.Decode(&m)
		size = uint64(m.Size)
	default:
		err = dec.Decode(new(raft.TimeoutNowRequest))
	}
	if err != nil {
		return // Raft closes the connection
	}
	if read := len(data) - rest.Len(); read != n || size != l.left {
		t.Errorf("%q: the decoder has read %d bytes, a snapshot of %d follows; the limit %d, %d", data, read, size, n, l.left)
	}
}

func TestCapEntries_LeavesWhatFits(t *testing.T) {
	for _, c := range []struct{ size, want int }{{10, entriesAtOnce}, {1 << 20, 7}, {4 << 20, 1}, {20 << 20, 1}, {0, entriesAtOnce}} {
		req := &raft.AppendEntriesRequest{Entries: fullEntries(c.size)}
		capEntries(req)
		if len(req.Entries) != c.want {
			t.Errorf("of entries of %d bytes %d are sent, want %d", c.size, len(req.Entries), c.want)
		}
	}
}
