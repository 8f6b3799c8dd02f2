package replica

import (
	"context"
	"fmt"
	"time"

	"dfs/blob"
	"dfs/fs"
	"dfs/raftmeta/state"
)

const (
	decidedMax  = 1024                   // transactions that wait to be settled
	settleDelay = 200 * time.Millisecond // how long a decision waits for others to be settled with it, in one write
	settleBatch = 512                    // copies settled together, or a few more: one transaction's are not parted
	sweepPage   = 1024                   // entries of a List
)

// decision is a transaction that this node has applied.
type decision struct {
	tx    blob.Tx
	blobs []fs.BlobID
}

// Decided tells the Keeper that this node has applied a transaction that names these blobs. It never blocks.
func (k *Keeper) Decided(tx blob.Tx, blobs []fs.BlobID) {
	select {
	case k.decided <- decision{tx, blobs}:
	default:
		k.Sweep()
	}
}

// Sweep asks for a look at everything that is staged, soon. It never blocks.
func (k *Keeper) Sweep() {
	select {
	case k.sweep <- struct{}{}:
	default: // one is asked for already
	}
}

func (k *Keeper) settleLoop(ctx context.Context) {
	tick := time.NewTicker(k.cfg.SweepEvery)
	defer tick.Stop()
	k.Sweep()
	for ctx.Err() == nil {
		var err error
		select {
		case d := <-k.decided:
			err = k.settleDecided(ctx, d)
		case <-k.sweep:
			err = k.sweepStaged(ctx)
		case <-tick.C:
			err = k.sweepStaged(ctx)
		case <-ctx.Done():
		}
		if err != nil && ctx.Err() == nil {
			k.log.Warn("settling staged blobs stopped; the next sweep goes on", "err", err)
		}
	}
}

// settleDecided settles a decision together with those that come within settleDelay. A store syncs once for all of them;
// nobody waits for that, since staged blobs are read like live ones.
func (k *Keeper) settleDecided(ctx context.Context, d decision) error {
	t := time.NewTimer(settleDelay)
	defer t.Stop()
	entries := d.entries(nil)
	for len(entries) < settleBatch {
		select {
		case d = <-k.decided:
			entries = d.entries(entries)
		case <-t.C:
			return k.settle(ctx, entries, true)
		case <-ctx.Done(): // the sweep at the next start settles them
			return ctx.Err()
		}
	}
	return k.settle(ctx, entries, true)
}

// entries are the copies that the store may hold of a decision's blobs.
func (d decision) entries(list []blob.Entry) []blob.Entry {
	for _, id := range d.blobs {
		list = append(list, blob.Entry{ID: id, Staged: true, Tx: d.tx})
	}
	return list
}

// sweepStaged settles everything that lies staged in the store.
func (k *Keeper) sweepStaged(ctx context.Context) error {
	u, err := k.cfg.Store.Usage(ctx)
	if err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	if u.Staged == 0 {
		return nil
	}
	return k.eachPage(ctx, func(page []blob.Entry) error { return k.settle(ctx, page, false) })
}

// eachPage calls fn with the store's whole inventory. Any error ends it.
func (k *Keeper) eachPage(ctx context.Context, fn func([]blob.Entry) error) error {
	var after fs.BlobID
	for {
		page, err := k.cfg.Store.List(ctx, after, sweepPage)
		if err != nil {
			return fmt.Errorf("list: %w", err)
		}
		if err := fn(page); err != nil {
			return err
		}
		if len(page) < sweepPage {
			return nil
		}
		after = page[len(page)-1].ID
	}
}

// verdicts sorts copies by their fates.
type verdicts struct {
	commit, erase []fs.BlobID
	drop          []blob.Staged
	unknown       int
}

// settle carries out the verdicts on copies. Of guessed ones it is not known that the store has them: surplus is left
// to the sweep then, since every node would look for every blob.
func (k *Keeper) settle(ctx context.Context, entries []blob.Entry, guessed bool) error {
	var v verdicts
	err := k.cfg.Meta.View(func(s state.View, at Position) error {
		for i := range entries {
			if err := v.add(k.cfg.Node, s, at, &entries[i], guessed); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read the state: %w", err)
	}
	return k.execute(ctx, &v)
}

func (v *verdicts) add(node fs.NodeID, s state.View, at Position, e *blob.Entry, guessed bool) error {
	f, err := fateOf(node, s, at, e)
	if err != nil {
		return err
	}
	switch f {
	case commit:
		v.commit = append(v.commit, e.ID)
	case erase:
		v.erase = append(v.erase, e.ID)
	case drop:
		if _, known, err := s.Blob(e.ID); err != nil || guessed && known {
			return err
		}
		v.drop = append(v.drop, blob.Staged{ID: e.ID, Tx: e.Tx.ID})
	case unknown:
		v.unknown++
	}
	return nil
}

func (k *Keeper) execute(ctx context.Context, v *verdicts) error {
	if len(v.commit) > 0 {
		if err := k.step("settle.commit", func() error { return k.cfg.Store.Commit(ctx, v.commit) }); err != nil {
			return fmt.Errorf("commit %d blobs: %w", len(v.commit), err)
		}
		k.counts.committed.Add(uint64(len(v.commit)))
	}
	if len(v.drop) > 0 {
		if err := k.step("settle.drop", func() error { return k.cfg.Store.Drop(ctx, v.drop) }); err != nil {
			return fmt.Errorf("drop %d staged blobs: %w", len(v.drop), err)
		}
		k.counts.dropped.Add(uint64(len(v.drop)))
		k.log.Debug("dropped staged blobs that are not needed", "count", len(v.drop), "first", v.drop[0].ID.String())
	}
	if len(v.erase) > 0 {
		if err := k.step("settle.delete", func() error { return k.cfg.Store.Delete(ctx, v.erase) }); err != nil {
			return fmt.Errorf("delete %d stray blobs: %w", len(v.erase), err)
		}
		k.log.Warn("deleted live blobs of ended sessions that the metadata does not know", "count", len(v.erase), "first", v.erase[0].String())
	}
	return nil
}
