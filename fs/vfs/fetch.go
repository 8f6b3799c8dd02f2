package vfs

import (
	"context"
	"fmt"

	"dfs/blob"
	"dfs/fs"
)

// fetchTries is how often a fetch is tried; the store below has several replicas to try each time.
const fetchTries = 3

// fetch fills a run of chunks in the background: a reader that gives up does not disturb the others that wait.
func (f *FS) fetch(w want, run []*chunk) {
	info := *w.info
	w.info = &info
	started := f.spawn(func() {
		data, err := f.fetchRange(f.life, w)
		f.chunks.settle(run, data, err)
	})
	if !started {
		f.chunks.settle(run, nil, fs.ErrClosed)
	}
}

func (f *FS) fetchRange(ctx context.Context, w want) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, f.cfg.OpTimeout)
	defer cancel()
	select {
	case f.fetches <- struct{}{}:
		defer func() { <-f.fetches }()
	case <-ctx.Done():
		return nil, unavailable(ctx.Err())
	}
	if w.claim != nil {
		ctx = blob.WithClaim(ctx, *w.claim)
	}
	var wait backoff
	for try := 1; ; try++ {
		data, err := f.getVerified(ctx, w)
		if err == nil {
			return data, nil
		}
		if !transient(err) || try == fetchTries || ctx.Err() != nil {
			return nil, fmt.Errorf("read blob %s: %w", w.info.ID, unavailableIfUnknown(err))
		}
		wait.sleep(ctx, nil)
	}
}

// getVerified trusts nobody: the checksums are compared once more, here, where the bytes are used.
func (f *FS) getVerified(ctx context.Context, w want) ([]byte, error) {
	if err := f.cfg.Faults.At("get.before"); err != nil {
		return nil, err
	}
	r, err := f.blobs.Get(ctx, w.info, w.from, w.to-w.from)
	if err != nil {
		return nil, err
	}
	return r.VerifyFor(ctx, w.info, w.from, w.to-w.from)
}

// unavailableIfUnknown gives an error that wraps no sentinel the one that says "try again".
func unavailableIfUnknown(err error) error {
	if fs.CodeOf(err) == fs.CodeInternal {
		return unavailable(err)
	}
	return err
}
