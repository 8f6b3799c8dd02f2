package vfs

import (
	"context"
	"fmt"

	"dfs/fs"
)

// fetchTries is how often a fetch is tried; the store below has several replicas to try each time.
const fetchTries = 3

// fetch fills a run of chunks in the background: a reader that gives up does not disturb the others that wait.
func (f *FS) fetch(info *fs.BlobInfo, from, to uint32, run []*chunk) {
	blob := *info
	started := f.spawn(func() {
		data, err := f.fetchRange(f.life, &blob, from, to)
		f.chunks.settle(run, data, err)
	})
	if !started {
		f.chunks.settle(run, nil, fs.ErrClosed)
	}
}

func (f *FS) fetchRange(ctx context.Context, info *fs.BlobInfo, from, to uint32) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, f.cfg.OpTimeout)
	defer cancel()
	select {
	case f.fetches <- struct{}{}:
		defer func() { <-f.fetches }()
	case <-ctx.Done():
		return nil, unavailable(ctx.Err())
	}
	var wait backoff
	for try := 1; ; try++ {
		data, err := f.getVerified(ctx, info, from, to)
		if err == nil {
			return data, nil
		}
		if !transient(err) || try == fetchTries || ctx.Err() != nil {
			return nil, fmt.Errorf("read blob %s: %w", info.ID, unavailableIfUnknown(err))
		}
		wait.sleep(ctx, nil)
	}
}

// getVerified trusts nobody: the checksums are compared once more, here, where the bytes are used.
func (f *FS) getVerified(ctx context.Context, info *fs.BlobInfo, from, to uint32) ([]byte, error) {
	if err := f.cfg.Faults.At("get.before"); err != nil {
		return nil, err
	}
	r, err := f.blobs.Get(ctx, info, from, to-from)
	if err != nil {
		return nil, err
	}
	return r.Verify(info, from, to-from)
}

// unavailableIfUnknown gives an error that wraps no sentinel the one that says "try again".
func unavailableIfUnknown(err error) error {
	if fs.CodeOf(err) == fs.CodeInternal {
		return unavailable(err)
	}
	return err
}
