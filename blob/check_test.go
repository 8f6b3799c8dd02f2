package blob_test

import (
	"errors"
	"math"
	"testing"

	"dfs/blob"
	"dfs/fs"
)

func TestBlobCheck_RefusesWhatCannotBeStaged(t *testing.T) {
	id := fs.BlobID{Session: 1, Counter: 1}
	good := func() *blob.Blob { return blob.New(id, make([]byte, blob.ChunkSize+1)) }
	for name, c := range map[string]struct {
		spoil func(*blob.Blob)
		want  error
	}{
		"sound":           {func(*blob.Blob) {}, nil},
		"no id":           {func(b *blob.Blob) { b.ID = fs.BlobID{} }, fs.ErrInvalid},
		"empty":           {func(b *blob.Blob) { b.Data, b.Sums = nil, nil }, fs.ErrInvalid},
		"too large":       {func(b *blob.Blob) { *b = *blob.New(id, make([]byte, fs.BlobMax+1)) }, fs.ErrTooLarge},
		"sum missing":     {func(b *blob.Blob) { b.Sums = b.Sums[:1] }, fs.ErrInvalid},
		"data changed":    {func(b *blob.Blob) { b.Data[blob.ChunkSize] ^= 1 }, fs.ErrCorrupt},
		"sum changed":     {func(b *blob.Blob) { b.Sums[0]++ }, fs.ErrCorrupt},
		"sums swapped":    {func(b *blob.Blob) { b.Sums[0], b.Sums[1] = b.Sums[1], b.Sums[0] }, fs.ErrCorrupt},
		"largest":         {func(b *blob.Blob) { *b = *blob.New(id, make([]byte, fs.BlobMax)) }, nil},
		"a single byte":   {func(b *blob.Blob) { *b = *blob.New(id, []byte{7}) }, nil},
		"exactly a chunk": {func(b *blob.Blob) { *b = *blob.New(id, make([]byte, blob.ChunkSize)) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			b := good()
			c.spoil(b)
			if err := b.Check(); !errors.Is(err, c.want) {
				t.Fatalf("Check: %v, want %v", err, c.want)
			}
		})
	}
}

func TestCheckRange_RefusesWhatLiesOutside(t *testing.T) {
	info := func(length uint32) *fs.BlobInfo {
		return &fs.BlobInfo{ID: fs.BlobID{Session: 1, Counter: 1}, Length: length}
	}
	for name, c := range map[string]struct {
		info   *fs.BlobInfo
		off, n uint32
		want   error
	}{
		"all":           {info(100), 0, 100, nil},
		"last byte":     {info(100), 99, 1, nil},
		"nothing":       {info(100), 0, 0, fs.ErrInvalid},
		"one too many":  {info(100), 1, 100, fs.ErrInvalid},
		"behind":        {info(100), 100, 1, fs.ErrInvalid},
		"overflow":      {info(100), math.MaxUint32, 2, fs.ErrInvalid},
		"empty blob":    {info(0), 0, 1, fs.ErrInvalid},
		"too long":      {info(fs.BlobMax + 1), 0, 1, fs.ErrInvalid},
		"no id":         {&fs.BlobInfo{Length: 100}, 0, 1, fs.ErrInvalid},
		"longest blob":  {info(fs.BlobMax), fs.BlobMax - 1, 1, nil},
		"huge n, small": {info(100), 0, math.MaxUint32, fs.ErrInvalid},
	} {
		if err := blob.CheckRange(c.info, c.off, c.n); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestTxSucceeds_TheLaterTransactionOfASessionKeepsTheBlob(t *testing.T) {
	tx := func(session, seq uint64) blob.Tx {
		return blob.Tx{ID: fs.TxID{Session: fs.SessionID(session), Seq: seq}}
	}
	for _, c := range []struct {
		next, old blob.Tx
		want      bool
	}{
		{tx(1, 2), tx(1, 1), true},
		{tx(1, 1), tx(1, 1), true},
		{tx(1, 1), tx(1, 2), false},
		{tx(2, 1), tx(1, 9), true},
	} {
		if got := c.next.Succeeds(c.old); got != c.want {
			t.Errorf("%v after %v: %v, want %v", c.next.ID, c.old.ID, got, c.want)
		}
	}
}
