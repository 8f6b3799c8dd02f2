package replica

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"dfs/blob"
	"dfs/fs"
)

// everywhere calls each node's store, side by side, and returns the answers by node. The error, of the first code in the
// order of the nodes' ids, names every node that failed.
func everywhere[T any](ctx context.Context, s *Set, what string, call func(blob.Store) (T, error)) (map[fs.NodeID]T, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	var (
		mu      sync.Mutex
		answers = map[fs.NodeID]T{}
		losses  []loss
		wg      sync.WaitGroup
	)
	for _, n := range s.nodes() {
		wg.Go(func() {
			store, err := s.open(n)
			var value T
			if err == nil {
				value, err = call(store)
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				losses = append(losses, loss{node: n.ID, err: err})
				return
			}
			answers[n.ID] = value
		})
	}
	wg.Wait()
	if len(losses) > 0 {
		slices.SortFunc(losses, func(a, b loss) int { return strings.Compare(string(a.node), string(b.node)) })
		return answers, fmt.Errorf("%s on every node (%s): %w", what, reasons(losses), losses[0].err)
	}
	if len(answers) == 0 {
		return nil, fmt.Errorf("%s: no nodes are known: %w", what, fs.ErrUnavailable)
	}
	return answers, nil
}

func none(err error) (struct{}, error) { return struct{}{}, err }

// Commit implements blob.Store: on every node, whichever of them fail.
func (s *Set) Commit(ctx context.Context, ids []fs.BlobID) error {
	_, err := everywhere(ctx, s, "commit", func(b blob.Store) (struct{}, error) { return none(b.Commit(ctx, ids)) })
	return err
}

// Drop implements blob.Store: on every node, whichever of them fail.
func (s *Set) Drop(ctx context.Context, staged []blob.Staged) error {
	_, err := everywhere(ctx, s, "drop", func(b blob.Store) (struct{}, error) { return none(b.Drop(ctx, staged)) })
	return err
}

// Delete implements blob.Store: on every node, whichever of them fail.
func (s *Set) Delete(ctx context.Context, ids []fs.BlobID) error {
	_, err := everywhere(ctx, s, "delete", func(b blob.Store) (struct{}, error) { return none(b.Delete(ctx, ids)) })
	return err
}

// List implements blob.Store: the union of all nodes' lists. A blob is live if it is so anywhere; a staged one bears its
// greatest label. One node that fails makes the list incomplete, which is an error.
func (s *Set) List(ctx context.Context, after fs.BlobID, limit int) ([]blob.Entry, error) {
	if err := blob.CheckLimit(limit); err != nil {
		return nil, err
	}
	lists, err := everywhere(ctx, s, "list", func(b blob.Store) ([]blob.Entry, error) { return b.List(ctx, after, limit) })
	if err != nil {
		return nil, err
	}
	union := map[fs.BlobID]blob.Entry{}
	for _, list := range lists {
		for _, e := range list {
			old, ok := union[e.ID]
			if !ok || old.Staged && (!e.Staged || e.Tx.Succeeds(old.Tx)) {
				union[e.ID] = e
			}
		}
	}
	all := slices.SortedFunc(maps.Values(union), func(a, b blob.Entry) int {
		return cmp.Or(cmp.Compare(a.ID.Session, b.ID.Session), cmp.Compare(a.ID.Counter, b.ID.Counter))
	})
	return all[:min(limit, len(all))], nil
}

// Usage implements blob.Store: the nodes' sums, divided by the copies that a blob has. The numbers of blobs are right only
// where every blob has as many.
func (s *Set) Usage(ctx context.Context) (blob.Usage, error) {
	all, err := everywhere(ctx, s, "usage", func(b blob.Store) (blob.Usage, error) { return b.Usage(ctx) })
	if err != nil {
		return blob.Usage{}, err
	}
	sum := blob.Usage{ReadOnly: true}
	for _, u := range all {
		sum.TotalBytes += u.TotalBytes
		sum.FreeBytes += u.FreeBytes
		sum.UsedBytes += u.UsedBytes
		sum.Blobs += u.Blobs
		sum.Staged += u.Staged
		sum.ReadOnly = sum.ReadOnly && u.ReadOnly
	}
	copies := uint64(min(s.cfg.Replicas, len(all)))
	for _, v := range []*uint64{&sum.TotalBytes, &sum.FreeBytes, &sum.UsedBytes} {
		*v /= copies
	}
	for _, v := range []*uint64{&sum.Blobs, &sum.Staged} {
		*v = (*v + copies - 1) / copies
	}
	return sum, nil
}
