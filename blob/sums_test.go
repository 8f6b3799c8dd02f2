package blob_test

import (
	"bytes"
	"errors"
	"hash/crc32"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"dfs/blob"
	"dfs/fs"
)

func randomBytes(n int, seed uint64) []byte {
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	b := make([]byte, n)
	_, _ = rand.NewChaCha8(key).Read(b) // never fails
	return b
}

func TestSumsOf_IsCRC32COfEachChunk(t *testing.T) {
	data := randomBytes(2*blob.ChunkSize+5, 1)
	sums := blob.SumsOf(data)
	table := crc32.MakeTable(crc32.Castagnoli)
	want := []uint32{
		crc32.Checksum(data[:blob.ChunkSize], table),
		crc32.Checksum(data[blob.ChunkSize:2*blob.ChunkSize], table),
		crc32.Checksum(data[2*blob.ChunkSize:], table),
	}
	if len(sums) != 3 || sums[0] != want[0] || sums[1] != want[1] || sums[2] != want[2] {
		t.Fatalf("sums %08x, want %08x", sums, want)
	}
}

func TestRoot_ChangesWithEachSumAndTheirOrder(t *testing.T) {
	base := blob.Sums{1, 2, 3}
	for _, other := range []blob.Sums{{1, 2, 4}, {2, 1, 3}, {1, 2}, {1, 2, 3, 0}, {}} {
		if other.Root() == base.Root() {
			t.Errorf("%v and %v have the same root", other, base)
		}
	}
}

// rangeOf answers Get the dumb way.
func rangeOf(b *blob.Blob, off, n uint32) *blob.Range {
	from, to := blob.Cover(uint32(len(b.Data)), off, n)
	return &blob.Range{Off: from, Data: bytes.Clone(b.Data[from:to]), Sums: b.Sums}
}

func TestRangeVerify_YieldsTheBytesAskedFor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		length := rapid.IntRange(1, 4*blob.ChunkSize).Draw(t, "length")
		off := rapid.IntRange(0, length-1).Draw(t, "off")
		n := rapid.IntRange(1, length-off).Draw(t, "n")
		b := blob.New(fs.BlobID{Session: 1, Counter: 1}, randomBytes(length, uint64(length)))
		info := b.Info(nil)
		r := rangeOf(b, uint32(off), uint32(n))
		got, err := r.Verify(&info, uint32(off), uint32(n))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, b.Data[off:off+n]) {
			t.Fatal("other bytes than those asked for")
		}
	})
}

func TestRangeVerify_NoticesEveryFlippedBit(t *testing.T) {
	b := blob.New(fs.BlobID{Session: 1, Counter: 1}, randomBytes(3*blob.ChunkSize-7, 3))
	info := b.Info(nil)
	const off, n = blob.ChunkSize + 10, 20
	for i := 0; i < blob.ChunkSize; i += 997 {
		r := rangeOf(b, off, n)
		r.Data[i] ^= 1 << (i % 8)
		if _, err := r.Verify(&info, off, n); !errors.Is(err, fs.ErrCorrupt) {
			t.Fatalf("byte %d flipped: %v", i, err)
		}
	}
}

func TestRangeVerify_RefusesAnswersOfTheWrongShape(t *testing.T) {
	b := blob.New(fs.BlobID{Session: 1, Counter: 1}, randomBytes(3*blob.ChunkSize, 4))
	info := b.Info(nil)
	const off, n = blob.ChunkSize, blob.ChunkSize
	for name, spoil := range map[string]func(*blob.Range){
		"shifted":       func(r *blob.Range) { r.Off = 0 },
		"short":         func(r *blob.Range) { r.Data = r.Data[:len(r.Data)-1] },
		"no data":       func(r *blob.Range) { r.Data = nil },
		"no sums":       func(r *blob.Range) { r.Sums = nil },
		"sum missing":   func(r *blob.Range) { r.Sums = r.Sums[:2] },
		"another's sum": func(r *blob.Range) { r.Sums = append(blob.Sums{r.Sums[0] + 1}, r.Sums[1:]...) },
	} {
		r := rangeOf(b, off, n)
		spoil(r)
		if _, err := r.Verify(&info, off, n); !errors.Is(err, fs.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func BenchmarkSumsOf(b *testing.B) {
	data := randomBytes(fs.BlobMax, 5)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		blob.SumsOf(data)
	}
}
