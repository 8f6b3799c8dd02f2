package blobtest

import (
	"bytes"
	"errors"
	"math"
	"testing"

	"dfs/blob"
	"dfs/fs"
)

func (s *suite) runRead(t *testing.T) {
	s.on(t, "Get_YieldsEveryRange", func(s subject) {
		const size = 3*blob.ChunkSize + 17
		b := sample(ID(1, 1), size)
		s.stage(Tx(1, 1), b)
		edges := []uint32{0, 1, blob.ChunkSize - 1, blob.ChunkSize, blob.ChunkSize + 1, 3 * blob.ChunkSize, size - 1, size}
		for _, from := range edges {
			for _, to := range edges {
				if from < to {
					s.reads(b, from, to-from)
				}
			}
		}
	})
	s.on(t, "Get_YieldsBlobsOfAllSizes", func(s subject) {
		for i, size := range []int{1, 100, 4096, blob.ChunkSize, blob.ChunkSize + 1, 1 << 20, fs.BlobMax} {
			b := sample(ID(2, uint64(i+1)), size)
			s.stage(Tx(2, 1), b)
			s.holds(b)
		}
	})
	s.on(t, "Get_YieldsBytesThatTheCallerOwns", func(s subject) {
		b := sample(ID(1, 1), 100_000)
		s.stage(Tx(1, 1), b)
		info := b.Info(nil)
		r, err := s.Get(s.t.Context(), &info, 0, 10)
		if err != nil {
			s.t.Fatal(err)
		}
		clear(r.Data)
		clear(r.Sums)
		s.holds(b)
	})
	s.on(t, "Stage_KeepsNothingOfTheCallersBytes", func(s subject) {
		b := sample(ID(1, 1), 100_000)
		mine := blob.New(b.ID, bytes.Clone(b.Data))
		s.stage(Tx(1, 1), mine)
		clear(mine.Data)
		clear(mine.Sums)
		s.holds(b)
	})
	s.on(t, "Get_OfAnUnknownBlobIsNotExist", func(s subject) {
		s.lacks(sample(ID(1, 1), 10))
	})
	s.on(t, "Get_OfAnotherLengthOrSumIsCorrupt", func(s subject) {
		b := sample(ID(1, 1), 1000)
		s.stage(Tx(1, 1), b)
		for _, change := range []func(*fs.BlobInfo){
			func(i *fs.BlobInfo) { i.Sum++ },
			func(i *fs.BlobInfo) { i.Length++ },
			func(i *fs.BlobInfo) { i.Length-- },
		} {
			info := b.Info(nil)
			change(&info)
			if _, err := s.Get(s.t.Context(), &info, 0, 10); !errors.Is(err, fs.ErrCorrupt) {
				s.t.Fatalf("get as %+v: %v, want %v", info, err, fs.ErrCorrupt)
			}
		}
	})
	s.on(t, "Get_OutsideTheBlobIsInvalid", func(s subject) {
		b := sample(ID(1, 1), 1000)
		s.stage(Tx(1, 1), b)
		info := b.Info(nil)
		for _, r := range [][2]uint32{{0, 0}, {0, 1001}, {1000, 1}, {999, 2}, {math.MaxUint32, 2}} {
			if _, err := s.Get(s.t.Context(), &info, r[0], r[1]); !errors.Is(err, fs.ErrInvalid) {
				s.t.Fatalf("get %d+%d of 1000 bytes: %v, want %v", r[0], r[1], err, fs.ErrInvalid)
			}
		}
	})
}
