package state_test

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"

	"dfs/fs"
	"dfs/raftmeta/command"
	"dfs/raftmeta/state"
	"dfs/raftmeta/state/statetest"
)

// spell writes extents as "off+len:source", with a blob's offset or inline data as the source.
func spell(list []fs.Extent) string {
	var out []string
	for _, e := range list {
		if e.Inline() {
			out = append(out, fmt.Sprintf("%d+%d:%s", e.Off, e.Len, e.Data))
		} else {
			out = append(out, fmt.Sprintf("%d+%d:%d@%d", e.Off, e.Len, e.Blob.Counter, e.BlobOff))
		}
	}
	return strings.Join(out, " ")
}

func inline(off uint64, data string) fs.Extent {
	return fs.Extent{Off: off, Len: uint64(len(data)), Data: []byte(data)}
}

// Each step is carried out on one file; the blobs 1 and 2 are 100 bytes long and stay live through another file.
func TestExtents_Transcript(t *testing.T) {
	c := newCluster(t)
	c.file(2, "a")
	c.file(3, "keeper")
	one, two := c.info(100), c.info(100)
	c.store(3, 0, one)
	c.store(3, 100, two)
	write := func(list ...fs.Extent) fs.Op { return &fs.Write{Ino: 2, Extents: list, Time: 9} }
	at := func(off, length, blobOff uint64, info fs.BlobInfo) fs.Extent {
		return fs.Extent{Off: off, Len: length, Blob: info.ID, BlobOff: blobOff}
	}
	alloc := func(mode fs.AllocateMode, off, length uint64, keep bool) fs.Op {
		return &fs.Allocate{Ino: 2, Mode: mode, Off: off, Len: length, KeepSize: keep, Time: 9}
	}
	size := func(n uint64) fs.Op { return &fs.Setattr{Ino: 2, Set: fs.SetSize, Size: n, Time: 9} }
	for n, step := range []struct {
		op   fs.Op
		size uint64
		want string
	}{
		{write(at(0, 10, 0, one)), 10, "0+10:1@0"},
		{write(at(10, 10, 10, one)), 20, "0+20:1@0"},                                    // continues in file and blob: joined
		{write(at(20, 10, 40, one)), 30, "0+20:1@0 20+10:1@40"},                         // continues in the file only
		{write(at(30, 10, 50, two)), 40, "0+20:1@0 20+10:1@40 30+10:2@50"},              // same offset, another blob
		{write(at(5, 2, 0, two)), 40, "0+5:1@0 5+2:2@0 7+13:1@7 20+10:1@40 30+10:2@50"}, // split in the middle
		{write(at(5, 2, 5, one)), 40, "0+20:1@0 20+10:1@40 30+10:2@50"},                 // the gap closes on both sides
		{write(at(15, 20, 0, two)), 40, "0+15:1@0 15+20:2@0 35+5:2@55"},                 // over the end of one, all of one, the start of one
		{alloc(fs.AllocatePunch, 10, 10, false), 40, "0+10:1@0 20+15:2@5 35+5:2@55"},
		{alloc(fs.AllocatePunch, 38, 100, false), 40, "0+10:1@0 20+15:2@5 35+3:2@55"}, // the size stays
		{alloc(fs.AllocateZero, 37, 10, true), 40, "0+10:1@0 20+15:2@5 35+2:2@55"},
		{alloc(fs.AllocateZero, 37, 10, false), 47, "0+10:1@0 20+15:2@5 35+2:2@55"},
		{alloc(fs.AllocatePlain, 0, 60, true), 47, "0+10:1@0 20+15:2@5 35+2:2@55"},
		{alloc(fs.AllocatePlain, 0, 60, false), 60, "0+10:1@0 20+15:2@5 35+2:2@55"},
		{size(25), 25, "0+10:1@0 20+5:2@5"},
		{size(100), 100, "0+10:1@0 20+5:2@5"}, // what was cut off does not come back
		{write(inline(12, "abc")), 100, "0+10:1@0 12+3:abc 20+5:2@5"},
		{write(inline(15, "def")), 100, "0+10:1@0 12+6:abcdef 20+5:2@5"},
		{write(inline(13, "X"), inline(18, "0123456789")), 100, "0+10:1@0 12+16:aXcdef0123456789"}, // 16 bytes: just InlineMax
		{write(inline(28, "!")), 100, "0+10:1@0 12+16:aXcdef0123456789 28+1:!"},                    // 17 would be more
		{size(14), 14, "0+10:1@0 12+2:aX"},
		{size(0), 0, ""},
	} {
		r := c.ok(step.op)
		got := spell(c.extents(2))
		if got != step.want || r.Attr.Size != step.size || r.Attr.Mtime != 9 || r.Attr.Ctime != 9 {
			t.Fatalf("step %d, %+v: size %d, %s\nwant size %d, %s", n, step.op, r.Attr.Size, got, step.size, step.want)
		}
		if err := state.Check(c.kv); err != nil {
			t.Fatalf("step %d: %v", n, err)
		}
	}
}

func TestWrite_Refusals(t *testing.T) {
	c := newCluster(t)
	c.file(2, "a")
	c.dir(3, "d")
	c.make(fs.TypeSymlink, 1, 4, "l")
	live, spent := c.info(10), c.info(10)
	c.store(2, 0, spent)
	c.store(2, 0, live)
	blob := func(off, length, blobOff uint64) fs.Extent {
		return fs.Extent{Off: off, Len: length, Blob: live.ID, BlobOff: blobOff}
	}
	for name, test := range map[string]struct {
		ino     fs.Ino
		extents []fs.Extent
		want    fs.Code
	}{
		"nothing there":      {99, []fs.Extent{inline(0, "x")}, fs.CodeNotExist},
		"directory":          {3, []fs.Extent{inline(0, "x")}, fs.CodeIsDir},
		"symlink":            {4, []fs.Extent{inline(0, "x")}, fs.CodeInvalid},
		"empty extent":       {2, []fs.Extent{inline(0, "")}, fs.CodeInvalid},
		"falling":            {2, []fs.Extent{inline(5, "x"), inline(4, "x")}, fs.CodeInvalid},
		"overlapping":        {2, []fs.Extent{inline(5, "xx"), inline(6, "x")}, fs.CodeInvalid},
		"data too short":     {2, []fs.Extent{{Len: 3, Data: []byte("xx")}}, fs.CodeInvalid},
		"data too long":      {2, []fs.Extent{{Len: 1, Data: []byte("xx")}}, fs.CodeInvalid},
		"inline without end": {2, []fs.Extent{inline(0, strings.Repeat("x", fs.TxBytesMax+1))}, fs.CodeInvalid},
		"beyond SizeMax":     {2, []fs.Extent{inline(fs.SizeMax, "x")}, fs.CodeFileTooBig},
		"offset overflows":   {2, []fs.Extent{inline(math.MaxUint64, "x")}, fs.CodeFileTooBig},
		"length overflows":   {2, []fs.Extent{blob(1, math.MaxUint64, 0)}, fs.CodeFileTooBig},
		"beyond the blob":    {2, []fs.Extent{blob(0, 5, 6)}, fs.CodeInvalid},
		"far beyond":         {2, []fs.Extent{blob(0, 5, math.MaxUint64)}, fs.CodeInvalid},
		"blob is garbage":    {2, []fs.Extent{{Len: 1, Blob: spent.ID}}, fs.CodeStale},
		"blob is unknown":    {2, []fs.Extent{{Len: 1, Blob: fs.BlobID{Session: 1, Counter: 99}}}, fs.CodeStale},
	} {
		if r := c.try(&fs.Write{Ino: test.ino, Extents: test.extents}); r.Err != test.want {
			t.Errorf("%s: %v, want %v", name, fs.FromCode(r.Err), fs.FromCode(test.want))
		}
	}
	c.ok(&fs.Write{Ino: 2, Extents: []fs.Extent{blob(fs.SizeMax-10, 10, 0)}})
}

func TestAllocate_Refusals(t *testing.T) {
	c := newCluster(t)
	c.file(2, "a")
	c.dir(3, "d")
	for _, test := range []struct {
		op   fs.Allocate
		want fs.Code
	}{
		{fs.Allocate{Ino: 99, Len: 1}, fs.CodeNotExist},
		{fs.Allocate{Ino: 3, Len: 1}, fs.CodeIsDir},
		{fs.Allocate{Ino: 2}, fs.CodeInvalid},
		{fs.Allocate{Ino: 2, Len: 1, Mode: 3}, fs.CodeInvalid},
		{fs.Allocate{Ino: 2, Len: fs.SizeMax + 1}, fs.CodeFileTooBig},
		{fs.Allocate{Ino: 2, Off: 2, Len: math.MaxUint64}, fs.CodeFileTooBig},
	} {
		c.refused(test.want, &test.op)
	}
}

func TestClone_SharesExactlyTheBytesNamed(t *testing.T) {
	c := newCluster(t)
	c.file(2, "src")
	c.file(3, "dst")
	info := c.info(20)
	c.store(2, 0, info)
	c.ok(&fs.Write{Ino: 2, Extents: []fs.Extent{inline(30, "0123456789")}, Time: 9})
	c.ok(&fs.Write{Ino: 3, Extents: []fs.Extent{inline(0, strings.Repeat("d", 60))}, Time: 9})
	r := c.ok(&fs.Clone{Src: 2, SrcOff: 15, Dst: 3, DstOff: 5, Len: 18, Time: 10})
	if r.N != 18 || r.Attr.Ino != 3 || r.Attr.Size != 60 || r.Attr.Mtime != 10 || r.Attr.Used != 60-10 {
		t.Errorf("cloned %+v", r)
	}
	if got, want := spell(c.extents(3)), "0+5:ddddd 5+5:1@15 20+3:012 23+37:"+strings.Repeat("d", 37); got != want {
		t.Errorf("extents\n%s, want\n%s", got, want)
	}
	if got := c.stats().LiveBytes; got != 25 {
		t.Errorf("%d live bytes, want 25", got)
	}
	// Beyond the end of the source: cut, and nothing at all.
	if r = c.ok(&fs.Clone{Src: 2, SrcOff: 38, Dst: 3, DstOff: 70, Len: math.MaxUint64, Time: 11}); r.N != 2 || r.Attr.Size != 72 {
		t.Errorf("over the end: %+v", r)
	}
	version := c.attr(3).Version
	if r = c.ok(&fs.Clone{Src: 2, SrcOff: 40, Dst: 3, Len: 5, Time: 12}); r.N != 0 || r.Attr.Version != version {
		t.Errorf("behind the end: %+v", r)
	}
	// The clone lives on without the source.
	c.ok(&fs.Unlink{Parent: 1, Name: "src", Time: 13})
	c.do(&command.Reap{Inos: []fs.Ino{2}, Extents: 100})
	data, err := statetest.ReadFile(c.view(), 3)
	if err != nil || data[5] != statetest.BlobByte(info.ID, 15) || c.stats().Garbage != 0 {
		t.Errorf("without the source: %x, %v, %+v", data, err, c.stats())
	}
}

func TestClone_WithinOneFile(t *testing.T) {
	c := newCluster(t)
	c.file(2, "a")
	c.store(2, 0, c.info(10))
	c.refused(fs.CodeInvalid, &fs.Clone{Src: 2, Dst: 2, DstOff: 9, Len: 10})
	c.refused(fs.CodeInvalid, &fs.Clone{Src: 2, SrcOff: 5, Dst: 2, DstOff: 1, Len: 5})
	if r := c.ok(&fs.Clone{Src: 2, SrcOff: 8, Dst: 2, DstOff: 10, Len: 10}); r.N != 2 {
		t.Errorf("the overlap is judged before the end of file: %+v", r)
	}
	c.ok(&fs.Clone{Src: 2, SrcOff: 0, Dst: 2, DstOff: 5, Len: 5})
	if got := spell(c.extents(2)); got != "0+5:1@0 5+5:1@0 10+2:1@8" {
		t.Errorf("extents %s", got)
	}
	c.dir(3, "d")
	c.refused(fs.CodeIsDir, &fs.Clone{Src: 3, Dst: 2, Len: 1})
	c.refused(fs.CodeIsDir, &fs.Clone{Src: 2, Dst: 3, Len: 1})
	c.refused(fs.CodeFileTooBig, &fs.Clone{Src: 2, Dst: 2, DstOff: fs.SizeMax, Len: 1})
}

// scattered makes a file of n extents of one byte that do not join.
func (c *cluster) scattered(ino fs.Ino, n int) {
	c.t.Helper()
	for from := 0; from < n; from += 8000 {
		var list []fs.Extent
		for k := from; k < min(n, from+8000); k++ {
			list = append(list, fs.Extent{Off: uint64(2 * k), Len: 1, Data: []byte{'x'}})
		}
		c.ok(&fs.Write{Ino: ino, Extents: list, Time: 9})
	}
}

func TestExtents_AnOperationThatTouchesTooManyIsRefused(t *testing.T) {
	c := newCluster(t)
	c.file(2, "a")
	c.file(3, "b")
	c.scattered(2, fs.ExtentsMax+1)
	end := uint64(2*fs.ExtentsMax + 1)
	c.refused(fs.CodeTooManyExtents, &fs.Setattr{Ino: 2, Set: fs.SetSize, Size: 0})
	c.refused(fs.CodeTooManyExtents, &fs.Allocate{Ino: 2, Mode: fs.AllocatePunch, Len: end})
	c.refused(fs.CodeTooManyExtents, &fs.Write{Ino: 2, Extents: []fs.Extent{
		{Len: end, Data: bytes.Repeat([]byte("y"), int(end))}}})
	c.refused(fs.CodeTooManyExtents, &fs.Clone{Src: 2, Dst: 3, Len: end})
	c.refused(fs.CodeTooManyExtents, &fs.Clone{Src: 2, Dst: 3, Len: end/2 + 2}) // read and made: each counts
	// In steps it can be done.
	c.ok(&fs.Setattr{Ino: 2, Set: fs.SetSize, Size: 10})
	if a := c.ok(&fs.Setattr{Ino: 2, Set: fs.SetSize, Size: 0}).Attr; a.Used != 0 {
		t.Errorf("%d bytes are left", a.Used)
	}
}

// Each of the operations would pass alone: a transaction must not hold the state machine up for as long as all of them take.
func TestExtents_ATransactionThatTouchesTooManyIsRefused(t *testing.T) {
	c := newCluster(t)
	c.file(2, "a")
	c.file(3, "b")
	const n = 5000
	c.scattered(2, n)
	clone := &fs.Clone{Src: 2, Dst: 3, Len: 2*n - 1} // n read, n cut (but for the first), n made
	var many []fs.Op
	for range fs.TxExtentsMax/(3*n) + 2 {
		many = append(many, clone)
	}
	c.refused(fs.CodeTooManyExtents, many...)
	c.ok(many[:len(many)-3]...)
	c.ok(many[:len(many)-3]...) // the next transaction begins anew
}

func TestClone_OfMuchInlineDataIsRefused(t *testing.T) {
	c := newCluster(t)
	c.file(2, "a")
	c.file(3, "b")
	half := strings.Repeat("x", fs.TxBytesMax/2)
	c.ok(&fs.Write{Ino: 2, Extents: []fs.Extent{inline(0, half)}})
	c.ok(&fs.Write{Ino: 2, Extents: []fs.Extent{inline(uint64(len(half)), half+"x")}})
	c.refused(fs.CodeTooManyExtents, &fs.Clone{Src: 2, Dst: 3, Len: fs.SizeMax})
	c.refused(fs.CodeTooManyExtents, &fs.Clone{Src: 2, Dst: 3, Len: fs.TxBytesMax / 2}, &fs.Clone{Src: 2, Dst: 3, Len: fs.TxBytesMax/2 + 1})
	if r := c.ok(&fs.Clone{Src: 2, Dst: 3, Len: fs.TxBytesMax}); r.N != fs.TxBytesMax {
		t.Errorf("cloned %d", r.N)
	}
}

func TestReap_FreesALargeOrphanInSteps(t *testing.T) {
	c := newCluster(t)
	c.file(2, "a")
	c.scattered(2, 25)
	c.ok(&fs.Setxattr{Ino: 2, Name: "user.x", Value: []byte("y")})
	c.file(3, "b")
	c.store(3, 0, c.info(10))
	c.file(4, "named")
	c.do(&command.Reap{Inos: []fs.Ino{2, 3, 4, 99}, Extents: 100}) // no orphans: left alone
	if s := c.stats(); s.Inodes != 4 {
		t.Fatalf("reaping what has a name: %+v", s)
	}
	c.ok(&fs.Unlink{Parent: 1, Name: "a", Time: 9}, &fs.Unlink{Parent: 1, Name: "b", Time: 9})
	for n, want := range []struct{ used, orphans, garbage uint64 }{
		{25, 2, 0}, {15, 2, 0}, {5, 2, 0}, {0, 0, 1}, {0, 0, 1},
	} {
		if n > 0 {
			c.do(&command.Reap{Inos: []fs.Ino{2, 3}, Extents: 10})
		}
		used := uint64(0)
		if a, err := c.view().Getattr(2); err == nil {
			used = a.Used
		}
		if s := c.stats(); used != want.used || s.Orphans != want.orphans || s.Garbage != want.garbage {
			t.Errorf("after %d reaps: %d bytes, %+v; want %+v", n, used, s, want)
		}
		if err := state.Check(c.kv); err != nil {
			t.Error(err)
		}
	}
}
