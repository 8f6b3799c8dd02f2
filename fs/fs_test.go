package fs_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"strings"
	"testing"

	"dfs/fs"
)

// Codes lie on disks and cross the wire between versions: a number is given once.
func TestCodes_KeepTheirNumbers(t *testing.T) {
	for want, err := range []error{nil, fs.ErrNotExist, fs.ErrExist, fs.ErrNotDir, fs.ErrIsDir, fs.ErrNotEmpty,
		fs.ErrPermission, fs.ErrAccess, fs.ErrInvalid, fs.ErrNameTooLong, fs.ErrFileTooBig, fs.ErrTooManyLinks,
		fs.ErrNoSpace, fs.ErrQuota, fs.ErrNoXattr, fs.ErrXattrTooBig, fs.ErrStale, fs.ErrLoop, fs.ErrCrossDevice,
		fs.ErrNotSupported, fs.ErrReadOnly, fs.ErrBusy, fs.ErrFenced, fs.ErrAborted, fs.ErrConflict,
		fs.ErrTooManyExtents, fs.ErrNotLeader, fs.ErrUnavailable, fs.ErrCorrupt, fs.ErrTimeout, fs.ErrClosed,
		fs.ErrWrongCluster, fs.ErrTooLarge, fs.ErrRemoved, fs.ErrInternal} {
		if got := fs.CodeOf(err); got != fs.Code(want) {
			t.Errorf("%v has code %d, want %d", err, got, want)
		}
		if got := fs.FromCode(fs.Code(want)); !errors.Is(got, err) {
			t.Errorf("code %d is %v, want %v", want, got, err)
		}
	}
}

func TestCodes_EveryOneHasItsSentinel(t *testing.T) {
	for c := fs.CodeOK + 1; c <= fs.CodeInternal; c++ {
		e, ok := fs.FromCode(c).(*fs.Error)
		if !ok || e == nil || e.Code != c || e.Error() == "" {
			t.Errorf("code %d: %v", c, e)
		}
	}
}

func TestCodeOf_LooksThroughWrapping(t *testing.T) {
	wrapped := fmt.Errorf("read: %w", fmt.Errorf("extent: %w", fs.ErrCorrupt))
	for err, want := range map[error]fs.Code{
		wrapped:                     fs.CodeCorrupt,
		errors.New("something"):     fs.CodeInternal,
		&fs.NotLeaderError{}:        fs.CodeNotLeader,
		errors.Join(fs.ErrNotExist): fs.CodeNotExist,
	} {
		if got := fs.CodeOf(err); got != want {
			t.Errorf("%v has code %d, want %d", err, got, want)
		}
	}
}

func TestFromCode_OfANewerPeerIsInternalWithItsNumber(t *testing.T) {
	for _, c := range []fs.Code{fs.CodeInternal + 1, math.MaxUint8} {
		err := fs.FromCode(c)
		if !errors.Is(err, fs.ErrInternal) || !strings.Contains(err.Error(), fmt.Sprint(c)) {
			t.Errorf("code %d: %v", c, err)
		}
	}
}

func TestNotLeaderError_KnowsWhereToGo(t *testing.T) {
	err := fmt.Errorf("commit: %w", &fs.NotLeaderError{Leader: "host:1"})
	var to *fs.NotLeaderError
	if !errors.Is(err, fs.ErrNotLeader) || !errors.As(err, &to) || to.Leader != "host:1" || !strings.Contains(err.Error(), "host:1") {
		t.Errorf("%v", err)
	}
	if text := (&fs.NotLeaderError{}).Error(); !strings.Contains(text, "none") {
		t.Errorf("without a leader: %s", text)
	}
}

func TestTxID_ReadsAsItIsWritten(t *testing.T) {
	for _, id := range []fs.TxID{{}, {Session: 1, Seq: 2}, {Session: math.MaxUint64, Seq: math.MaxUint64}} {
		if got, err := fs.ParseTxID(id.String()); err != nil || got != id {
			t.Errorf("%v is read as %v, %v", id, got, err)
		}
	}
	for _, s := range []string{"", "1", "1.", ".1", "1.2.3", "a.b", "-1.2", "1. 2", "18446744073709551616.1"} {
		if id, err := fs.ParseTxID(s); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%q is read as %v, %v", s, id, err)
		}
	}
}

func TestBlobID_OrdersAsItsKeys(t *testing.T) {
	rising := []fs.BlobID{{}, {Session: 1}, {Session: 1, Counter: 9}, {Session: 2, Counter: 1}}
	for i, a := range rising {
		for k, b := range rising {
			if a.Less(b) != (i < k) {
				t.Errorf("%v less than %v: %v", a, b, a.Less(b))
			}
		}
		if a.IsZero() != (i == 0) {
			t.Errorf("%v is zero: %v", a, a.IsZero())
		}
	}
}

func TestExtent_SliceIsWhatOverlaps(t *testing.T) {
	inline := fs.Extent{Off: 10, Len: 4, Data: []byte("abcd")}
	blob := fs.Extent{Off: 10, Len: 4, Blob: fs.BlobID{Session: 1, Counter: 1}, BlobOff: 100}
	for _, test := range []struct {
		from, to uint64
		off, len uint64
		data     string
	}{
		{0, 100, 10, 4, "abcd"}, {10, 14, 10, 4, "abcd"}, {11, 13, 11, 2, "bc"}, {0, 11, 10, 1, "a"}, {13, math.MaxUint64, 13, 1, "d"},
	} {
		e := inline.Slice(test.from, test.to)
		if e.Off != test.off || e.Len != test.len || string(e.Data) != test.data || !e.Inline() || e.End() != test.off+test.len {
			t.Errorf("inline [%d, %d): %+v", test.from, test.to, e)
		}
		e = blob.Slice(test.from, test.to)
		if e.Off != test.off || e.Len != test.len || e.BlobOff != 100+test.off-10 || e.Blob != blob.Blob || e.Inline() {
			t.Errorf("blob [%d, %d): %+v", test.from, test.to, e)
		}
	}
}

func TestFileType_KnowsItsValues(t *testing.T) {
	valid := 0
	for n := range 256 {
		if fs.FileType(n).Valid() {
			valid++
		}
	}
	if valid != 7 || fs.FileType(0).Valid() {
		t.Errorf("%d types are valid", valid)
	}
}

func TestFaults_NilDoesNothing(t *testing.T) {
	if err := fs.Faults(nil).At("step"); err != nil {
		t.Error(err)
	}
	boom := errors.New("boom")
	seen := ""
	f := fs.Faults(func(step string) error { seen = step; return boom })
	if err := f.At("flush.before"); !errors.Is(err, boom) || seen != "flush.before" {
		t.Errorf("%v at %q", err, seen)
	}
}

// Nobody adds a code without a sentinel, or the other way round.
func TestCodes_AreAllInTheSource(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "errors.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	codes, sentinels := 0, 0
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok {
			for _, name := range spec.Names {
				if strings.HasPrefix(name.Name, "Code") {
					codes++
				}
				if strings.HasPrefix(name.Name, "Err") {
					sentinels++
				}
			}
		}
		return true
	})
	if codes != int(fs.CodeInternal)+1 || sentinels != codes-1 {
		t.Errorf("%d codes up to %d, %d sentinels", codes, fs.CodeInternal, sentinels)
	}
}

func TestKillPriv_TakesSetIDBits(t *testing.T) {
	for _, c := range []struct {
		typ        fs.FileType
		mode, want uint32
	}{
		{fs.TypeRegular, 0o4755, 0o755}, {fs.TypeRegular, 0o2755, 0o755}, {fs.TypeRegular, 0o6755, 0o755},
		{fs.TypeRegular, 0o1755, 0o1755}, {fs.TypeRegular, 0o644, 0o644},
		{fs.TypeRegular, 0o2745, 0o2745}, // mandatory locking, not set-gid
		{fs.TypeRegular, 0o6745, 0o2745}, {fs.TypeDir, 0o2755, 0o2755},
	} {
		a := fs.Attr{Type: c.typ, Mode: c.mode}
		if a.KillPriv(); a.Mode != c.want {
			t.Errorf("type %d: %o became %o, want %o", c.typ, c.mode, a.Mode, c.want)
		}
	}
}
