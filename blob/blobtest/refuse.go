package blobtest

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"dfs/blob"
	"dfs/fs"
)

func (s *suite) runRefusals(t *testing.T) {
	s.on(t, "Stage_RefusesWhatIsNoBlob", func(s subject) {
		good := sample(ID(1, 1), 100_000)
		flipped := bytes.Clone(good.Data)
		flipped[70_000] ^= 1
		for name, c := range map[string]struct {
			b    *blob.Blob
			want error
		}{
			"no id":         {blob.New(fs.BlobID{}, good.Data), fs.ErrInvalid},
			"no data":       {blob.New(good.ID, nil), fs.ErrInvalid},
			"too large":     {blob.New(good.ID, make([]byte, fs.BlobMax+1)), fs.ErrTooLarge},
			"no sums":       {&blob.Blob{ID: good.ID, Data: good.Data}, fs.ErrInvalid},
			"changed bytes": {&blob.Blob{ID: good.ID, Data: flipped, Sums: good.Sums}, fs.ErrCorrupt},
		} {
			if _, err := s.Stage(s.t.Context(), Tx(1, 1), c.b); !errors.Is(err, c.want) {
				s.t.Fatalf("%s: %v, want %v", name, err, c.want)
			}
		}
		s.counts(0, 0)
	})
	s.on(t, "EveryMethod_StopsAtACancelledContext", func(s subject) {
		b, tx := sample(ID(1, 1), 10), Tx(1, 1)
		s.stage(tx, b)
		info := b.Info(nil)
		for name, call := range map[string]func(context.Context) error{
			"stage":  func(ctx context.Context) error { _, err := s.Stage(ctx, tx, sample(ID(1, 2), 10)); return err },
			"commit": func(ctx context.Context) error { return s.Commit(ctx, []fs.BlobID{b.ID}) },
			"drop":   func(ctx context.Context) error { return s.Drop(ctx, []blob.Staged{{ID: b.ID, Tx: tx.ID}}) },
			"delete": func(ctx context.Context) error { return s.Delete(ctx, []fs.BlobID{b.ID}) },
			"get":    func(ctx context.Context) error { _, err := s.Get(ctx, &info, 0, 1); return err },
			"list":   func(ctx context.Context) error { _, err := s.List(ctx, fs.BlobID{}, 1); return err },
			"usage":  func(ctx context.Context) error { _, err := s.Usage(ctx); return err },
		} {
			if err := call(cancelled()); !errors.Is(err, context.Canceled) {
				s.t.Fatalf("%s: %v, want %v", name, err, context.Canceled)
			}
		}
		s.listed(entry(b, &tx))
	})
}
