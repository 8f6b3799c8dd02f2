package replica

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"dfs/blob"
	"dfs/fs"
	"dfs/raftmeta/command"
	"dfs/raftmeta/state"
)

const (
	garbagePage   = 1024    // blobs handled together
	garbagePages  = 64      // of one round
	deletedMax    = 1 << 16 // blobs of which is remembered who has deleted them
	deleteTimeout = 10 * time.Second
	nodeRetryMin  = time.Second
	nodeRetryMax  = time.Minute
)

// collector is what a leader remembers about garbage; a new term starts with nothing.
type collector struct {
	term    uint64
	samples []sample                  // by rising time; the first is the newest one that is older than Grace, if any is
	deleted map[fs.BlobID][]fs.NodeID // who has acknowledged, of blobs that somebody has not; at most deletedMax
	retry   map[fs.NodeID]*nodeRetry  // nodes that could not be reached
	members map[fs.NodeID]fs.NodeInfo // of this round
}

// sample says how far the log was applied at a time.
type sample struct {
	at    time.Time
	index uint64
}

type nodeRetry struct {
	at    time.Time
	delay time.Duration
}

// collect is one round over the garbage: delete what is ripe, then have it forgotten.
func (k *Keeper) collect(ctx context.Context) progress {
	term, leads := k.cfg.Meta.Leader()
	if !leads {
		k.collector = collector{}
		return idle
	}
	c := &k.collector
	if c.deleted == nil || c.term != term {
		*c = collector{term: term, deleted: map[fs.BlobID][]fs.NodeID{}, retry: map[fs.NodeID]*nodeRetry{}}
	}
	did, err := k.collectRound(ctx, term)
	if err != nil && ctx.Err() == nil {
		k.log.Warn("collecting garbage stopped; the next round goes on", "err", err)
		return stuck
	}
	return did
}

func (k *Keeper) collectRound(ctx context.Context, term uint64) (progress, error) {
	did := idle
	var after fs.BlobID
	for range garbagePages {
		page, ripe, err := k.ripeGarbage(after)
		if err != nil || len(page) == 0 {
			return did, err
		}
		if len(ripe) > 0 {
			gone := k.deleteEverywhere(ctx, ripe)
			if did == idle {
				did = stuck
			}
			if len(gone) > 0 {
				did = moved
			}
			if err := k.forget(ctx, term, gone); err != nil {
				return did, err
			}
		}
		if len(page) < garbagePage {
			return did, nil
		}
		after = page[len(page)-1].ID
	}
	return did, nil
}

// ripeGarbage reads a page of garbage, with those of it that are old enough, and who the members are.
func (k *Keeper) ripeGarbage(after fs.BlobID) (page, ripe []state.GarbageRecord, err error) {
	c := &k.collector
	err = k.cfg.Meta.View(func(v state.View, at Position) error {
		if page, err = v.Garbage(after, garbagePage); err != nil {
			return err
		}
		c.members, err = k.memberNodes(v)
		c.take(sample{time.Now(), at.Index}, k.cfg.Grace)
		return err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("read the garbage: %w", err)
	}
	for _, g := range page {
		if s := c.samples[0]; g.Index <= s.index && time.Since(s.at) >= k.cfg.Grace {
			ripe = append(ripe, g)
		}
	}
	return page, ripe, nil
}

// take adds a sample and drops those that are of no use any more.
func (c *collector) take(s sample, grace time.Duration) {
	if n := len(c.samples); n == 0 || s.index > c.samples[n-1].index && s.at.Sub(c.samples[n-1].at) >= grace/64 {
		c.samples = append(c.samples, s)
	}
	for len(c.samples) > 1 && s.at.Sub(c.samples[1].at) >= grace {
		c.samples = c.samples[1:]
	}
}

// memberNodes are the nodes that may hold copies: members by the metadata, and those that the Set still knows.
func (k *Keeper) memberNodes(v state.View) (map[fs.NodeID]fs.NodeInfo, error) {
	list, err := v.Nodes()
	if err != nil {
		return nil, err
	}
	members := make(map[fs.NodeID]fs.NodeInfo, len(list))
	for _, n := range list {
		members[n.ID] = n
	}
	for _, n := range k.cfg.Set.nodes() {
		members[n.ID] = n
	}
	return members, nil
}

// deleteEverywhere sends Deletes to all members and returns the blobs that every replica which is a member has
// acknowledged. Nodes that hold none by the metadata are asked too, once: they may have surplus.
func (k *Keeper) deleteEverywhere(ctx context.Context, ripe []state.GarbageRecord) []fs.BlobID {
	c := &k.collector
	var mu sync.Mutex // acked
	acked := map[fs.NodeID][]fs.BlobID{}
	var wg sync.WaitGroup
	places := make(chan struct{}, k.cfg.RepairParallel)
	todo := c.errands(ripe)
	for _, id := range slices.Sorted(maps.Keys(todo)) {
		ids := todo[id]
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			err := k.deleteOn(ctx, c.members[id], ids)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				acked[id] = ids
			} else if ctx.Err() == nil {
				k.log.Warn("garbage could not be deleted on a node", "on", id, "blobs", len(ids), "err", err)
			}
			c.reached(id, err == nil)
		})
	}
	wg.Wait()
	for id, ids := range acked {
		c.note(id, ids)
	}
	return c.gone(ripe)
}

func (k *Keeper) deleteOn(ctx context.Context, node fs.NodeInfo, ids []fs.BlobID) error {
	ctx, cancel := context.WithTimeout(ctx, deleteTimeout)
	defer cancel()
	store, err := k.open(node)
	if err != nil {
		return err
	}
	return k.step("collect.delete", func() error { return store.Delete(ctx, ids) })
}

// open is the store at a node; our own is at hand.
func (k *Keeper) open(n fs.NodeInfo) (blob.Store, error) {
	if n.ID == k.cfg.Node {
		return k.cfg.Store, nil
	}
	return k.cfg.Set.open(n)
}

// errands are the ripe blobs that each member has not acknowledged yet; those of nodes that are resting are left out.
func (c *collector) errands(ripe []state.GarbageRecord) map[fs.NodeID][]fs.BlobID {
	todo := map[fs.NodeID][]fs.BlobID{}
	for node := range c.members {
		if r := c.retry[node]; r != nil && time.Now().Before(r.at) {
			continue
		}
		for _, g := range ripe {
			if !slices.Contains(c.deleted[g.ID], node) {
				todo[node] = append(todo[node], g.ID)
			}
		}
	}
	return todo
}

func (c *collector) note(node fs.NodeID, ids []fs.BlobID) {
	for _, id := range ids {
		c.deleted[id] = append(c.deleted[id], node)
	}
}

// gone are the ripe blobs that no member holds any more by what it has acknowledged.
func (c *collector) gone(ripe []state.GarbageRecord) []fs.BlobID {
	var ids []fs.BlobID
	for _, g := range ripe {
		waits := slices.ContainsFunc(g.Replicas, func(id fs.NodeID) bool {
			_, member := c.members[id]
			return member && !slices.Contains(c.deleted[g.ID], id)
		})
		if !waits {
			ids = append(ids, g.ID)
		}
	}
	return ids
}

func (c *collector) reached(id fs.NodeID, ok bool) {
	if ok {
		delete(c.retry, id)
		return
	}
	r := c.retry[id]
	if r == nil {
		r = &nodeRetry{}
		c.retry[id] = r
	}
	r.delay = min(max(2*r.delay, nodeRetryMin), nodeRetryMax)
	r.at = time.Now().Add(r.delay)
}

// forget has the metadata forget blobs that are gone.
func (k *Keeper) forget(ctx context.Context, term uint64, ids []fs.BlobID) error {
	c := &k.collector
	if len(c.deleted) > deletedMax {
		clear(c.deleted) // those who have deleted will be asked again
	}
	if len(ids) == 0 {
		return nil
	}
	err := k.step("collect.forget", func() error {
		answer, err := k.cfg.Meta.ProposeIn(ctx, term, &command.Forget{Blobs: ids})
		if err == nil {
			err = fs.FromCode(answer.Err)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("forget %d blobs: %w", len(ids), err)
	}
	for _, id := range ids {
		delete(c.deleted, id)
	}
	k.counts.collected.Add(uint64(len(ids)))
	return nil
}
