package replica

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"dfs/blob"
	"dfs/fs"
	"dfs/raftmeta/state"
)

const (
	inspectPage  = 512
	inspectDelay = 5 * time.Second // after the start: the state catches up meanwhile
)

func (k *Keeper) inspectLoop(ctx context.Context) {
	scrubbed := time.Now()
	for pause := inspectDelay; sleep(ctx, pause); pause = k.cfg.InspectEvery {
		deep := time.Since(scrubbed) >= k.cfg.ScrubEvery
		if deep {
			scrubbed = time.Now()
		}
		if err := k.inspect(ctx, deep); err != nil && ctx.Err() == nil {
			k.log.Warn("inspection stopped; the next one starts anew", "deep", deep, "err", err)
		}
	}
}

// inspect compares what the store holds with what the metadata says is here, both ways; deep reads the bytes too.
func (k *Keeper) inspect(ctx context.Context, deep bool) error {
	if err := k.inspectStrays(ctx); err != nil {
		return err
	}
	var after fs.BlobID
	for {
		page, mine, err := k.expected(after)
		if err != nil {
			return fmt.Errorf("read the blob table: %w", err)
		}
		if len(mine) > 0 {
			if err := k.inspectPage(ctx, mine, deep); err != nil {
				return err
			}
		}
		if page.count < inspectPage {
			return nil
		}
		after = page.last
	}
}

type tablePage struct {
	count int
	last  fs.BlobID
}

// expected is a page of the table, and the live blobs in it that are listed here.
func (k *Keeper) expected(after fs.BlobID) (page tablePage, mine []fs.BlobInfo, err error) {
	err = k.cfg.Meta.View(func(v state.View, _ Position) error {
		list, err := v.Blobs(after, inspectPage)
		for _, r := range list {
			if r.LiveBytes > 0 && slices.Contains(r.Replicas, k.cfg.Node) {
				mine = append(mine, r.BlobInfo)
			}
			page.last = r.ID
		}
		page.count = len(list)
		return err
	})
	return page, mine, err
}

// inspectPage looks for expected blobs, which are in order, in the store and mends what is not as it should be.
func (k *Keeper) inspectPage(ctx context.Context, mine []fs.BlobInfo, deep bool) error {
	held, err := k.held(ctx, mine[0].ID, mine[len(mine)-1].ID)
	if err != nil {
		return err
	}
	for _, info := range mine {
		if err := ctx.Err(); err != nil {
			return err
		}
		fault := k.examine(ctx, &info, held, deep)
		if fault != nil {
			k.mend(ctx, info.ID, fault)
		}
	}
	return nil
}

// held is the store's inventory from one id to another.
func (k *Keeper) held(ctx context.Context, from, to fs.BlobID) (map[fs.BlobID]blob.Entry, error) {
	held := map[fs.BlobID]blob.Entry{}
	for after := justBelow(from); ; {
		page, err := k.cfg.Store.List(ctx, after, sweepPage)
		if err != nil {
			return nil, fmt.Errorf("list: %w", err)
		}
		for _, e := range page {
			if to.Less(e.ID) {
				return held, nil
			}
			held[e.ID] = e
		}
		if len(page) < sweepPage {
			return held, nil
		}
		after = page[len(page)-1].ID
	}
}

// examine says what is wrong with a copy that should be here; nil for nothing, or nothing that could be found out.
func (k *Keeper) examine(ctx context.Context, info *fs.BlobInfo, held map[fs.BlobID]blob.Entry, deep bool) error {
	e, ok := held[info.ID]
	switch {
	case !ok:
		return fs.ErrNotExist
	case e.Length != info.Length || e.Sum != info.Sum:
		return fmt.Errorf("the store has %d bytes with checksum %08x: %w", e.Length, e.Sum, fs.ErrCorrupt)
	case !deep:
		return nil
	}
	if k.scrubRate.WaitN(ctx, int(info.Length)) != nil {
		return nil // closing
	}
	r, err := k.cfg.Store.Get(ctx, info, 0, info.Length)
	if err == nil {
		_, err = r.Verify(info, 0, info.Length)
	}
	if errors.Is(err, fs.ErrCorrupt) || errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// inspectStrays settles everything in the store and counts the live blobs that the table does not know.
func (k *Keeper) inspectStrays(ctx context.Context) error {
	strays := 0
	err := k.eachPage(ctx, func(page []blob.Entry) error {
		var v verdicts
		err := k.cfg.Meta.View(func(s state.View, at Position) error {
			for i := range page {
				if err := v.add(k.cfg.Node, s, at, &page[i], false); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("read the state: %w", err)
		}
		strays += v.unknown
		return k.execute(ctx, &v)
	})
	if err != nil {
		return err
	}
	k.counts.unknown.Store(uint64(strays))
	if strays > 0 {
		k.log.Warn("live blobs here are not in the metadata; their sessions may yet register them, or end", "count", strays)
	}
	return nil
}
