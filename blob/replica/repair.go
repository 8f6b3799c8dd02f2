package replica

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"dfs/blob"
	"dfs/fs"
	"dfs/raftmeta/command"
	"dfs/raftmeta/state"
)

const (
	debtPage      = 1024
	debtMax       = 16 << 10 // blobs in debt looked at in one round, from where the last one ended
	repairsMax    = 256      // of them repaired in one round: then the order is found anew
	targetsMax    = 3        // nodes tried for one copy
	repairTimeout = time.Minute
	abandonedMax  = 1024             // copies to be dropped that the keeper remembers; others are settled later
	restingMax    = 4096             // blobs whose repair failed that the keeper remembers
	failingRest   = 30 * time.Second // before such a blob is tried again
	targetRest    = 5 * time.Second  // before a blob that no other node could take is tried again
)

var errNoTarget = errors.New("no other node can take a copy")

// repair is one round over the blobs that have too few replicas, the most endangered first.
func (k *Keeper) repair(ctx context.Context) progress {
	term, leads := k.cfg.Meta.Leader()
	if !leads {
		return idle
	}
	k.dropAbandoned(ctx)
	debts, err := k.debts()
	if err != nil {
		k.log.Warn("reading repair debts failed; the next round goes on", "err", err)
		return stuck
	}
	if len(debts) == 0 {
		return idle
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	did := stuck
	places := make(chan struct{}, k.cfg.RepairParallel)
	for _, info := range debts[:min(len(debts), repairsMax)] {
		places <- struct{}{}
		if now, ok := k.cfg.Meta.Leader(); !ok || now != term || ctx.Err() != nil {
			break
		}
		wg.Go(func() {
			defer func() { <-places }()
			if k.repairOne(ctx, term, info.ID) {
				mu.Lock()
				defer mu.Unlock()
				did = moved
			}
		})
	}
	wg.Wait()
	return did
}

// debts are blobs in debt that may be tried now, those with the fewest reachable replicas first.
func (k *Keeper) debts() ([]fs.BlobInfo, error) {
	var all []fs.BlobInfo
	for len(all) < debtMax {
		var page []fs.BlobInfo
		err := k.cfg.Meta.View(func(v state.View, _ Position) (err error) {
			page, err = v.Debt(k.repairer.after, debtPage)
			return err
		})
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		if len(page) < debtPage {
			k.repairer.after = fs.BlobID{}
			break
		}
		k.repairer.after = page[len(page)-1].ID
	}
	up := map[fs.NodeID]bool{}
	for _, n := range k.cfg.Set.nodes() {
		up[n.ID] = n.State != fs.NodeDead && n.State != fs.NodeLeft
	}
	left := make(map[fs.BlobID]int, len(all))
	for _, info := range all {
		for _, id := range info.Replicas {
			if up[id] {
				left[info.ID]++
			}
		}
	}
	all = slices.DeleteFunc(all, func(i fs.BlobInfo) bool { return k.repairer.isResting(i.ID) })
	slices.SortStableFunc(all, func(a, b fs.BlobInfo) int { return cmp.Compare(left[a.ID], left[b.ID]) })
	return all, nil
}

// repairOne makes one more copy of a blob and reports whether it did.
func (k *Keeper) repairOne(ctx context.Context, term uint64, id fs.BlobID) bool {
	cctx, cancel := context.WithTimeout(ctx, repairTimeout)
	defer cancel()
	err := k.copyOne(cctx, term, id)
	switch {
	case err == nil:
		return true
	case errors.Is(err, errNoTarget):
		k.log.Debug("blob lacks replicas", "blob", id.String(), "err", err)
		k.repairer.rest(id, targetRest)
	case ctx.Err() == nil:
		k.log.Warn("blob could not be repaired", "blob", id.String(), "err", err)
		k.repairer.rest(id, failingRest)
	}
	return false
}

func (k *Keeper) copyOne(ctx context.Context, term uint64, id fs.BlobID) error {
	info, at, err := k.plan(id)
	if err != nil || info == nil {
		return err
	}
	targets, err := k.targets(info)
	if err != nil {
		return err
	}
	if err := k.repairer.rate.WaitN(ctx, int(info.Length)); err != nil {
		return err
	}
	b, err := k.readWhole(ctx, "repair.read", info)
	if err != nil {
		return err
	}
	for _, target := range targets {
		label := k.repairs.next(repairSession, at, term)
		copied := abandoned{target, blob.Staged{ID: id, Tx: label.ID}}
		if err = k.stageOn(ctx, term, target, label, b); err == nil {
			return k.claim(ctx, term, copied)
		}
		k.repairer.abandon(copied)
		err = fmt.Errorf("stage on node %s: %w", target.ID, err)
	}
	return err
}

// plan reads what is to be repaired; nil if nothing is any more.
func (k *Keeper) plan(id fs.BlobID) (*fs.BlobInfo, Position, error) {
	var info *fs.BlobInfo
	var at Position
	err := k.cfg.Meta.View(func(v state.View, p Position) error {
		at = p
		r, ok, err := record(v, id)
		if err == nil && ok && r.LiveBytes > 0 && len(r.Replicas) < r.Wanted {
			info = &r.BlobInfo
		}
		return err
	})
	return info, at, err
}

// record is a blob's line in the table.
func record(v state.View, id fs.BlobID) (state.BlobRecord, bool, error) {
	list, err := v.Blobs(justBelow(id), 1)
	if err != nil || len(list) == 0 || list[0].ID != id {
		return state.BlobRecord{}, false, err
	}
	return list[0], true, nil
}

// justBelow is the id after which id is the first one that can come.
func justBelow(id fs.BlobID) fs.BlobID {
	if id.Counter == 0 {
		return fs.BlobID{Session: id.Session - 1, Counter: math.MaxUint64}
	}
	return fs.BlobID{Session: id.Session, Counter: id.Counter - 1}
}

// targets are nodes for a copy, the best first: alive, writable, without one; at most targetsMax.
func (k *Keeper) targets(info *fs.BlobInfo) ([]fs.NodeInfo, error) {
	var free []fs.NodeInfo
	for _, n := range k.cfg.Set.nodes() {
		if n.State == fs.NodeAlive && !n.Load.ReadOnly && !slices.Contains(info.Replicas, n.ID) {
			free = append(free, n)
		}
	}
	queue, reserve := k.cfg.Set.split(free, k.cfg.Set.cfg.WriteOrder, func(*fs.NodeInfo) bool { return true })
	if all := append(queue, reserve...); len(all) > 0 {
		return all[:min(len(all), targetsMax)], nil
	}
	return nil, fmt.Errorf("blob %s has %d replicas: %w", info.ID, len(info.Replicas), errNoTarget)
}

// readWhole reads a blob, verified, from its replicas.
func (k *Keeper) readWhole(ctx context.Context, step string, info *fs.BlobInfo) (*blob.Blob, error) {
	var r *blob.Range
	err := k.step(step, func() (err error) {
		r, err = k.cfg.Set.Get(ctx, info, 0, info.Length)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &blob.Blob{ID: info.ID, Data: r.Data, Sums: r.Sums}, nil
}

func (k *Keeper) stageOn(ctx context.Context, term uint64, target fs.NodeInfo, label blob.Tx, b *blob.Blob) error {
	if err := k.stillLeads(term); err != nil {
		return err
	}
	store, err := k.open(target)
	if err != nil {
		return err
	}
	set := k.cfg.Set
	ctx, cancel := context.WithTimeout(ctx, set.cfg.StageTimeout) // a node that hangs leaves time for another one
	defer cancel()
	return k.step("repair.stage", func() error {
		voters, err := watched(set, target.ID, set.stages.of(len(b.Data)), func() ([]fs.NodeID, error) { return store.Stage(ctx, label, b) })
		if err == nil && !slices.Equal(voters, []fs.NodeID{target.ID}) {
			err = fmt.Errorf("the store at %s calls itself %q: %w", target.Addr, voters, fs.ErrWrongCluster)
		}
		if err != nil {
			set.judge([]loss{{node: target.ID, err: err}})
		}
		return err
	})
}

// claim has the metadata count a copy that is safely staged. Without an answer the copy is left alone.
func (k *Keeper) claim(ctx context.Context, term uint64, c abandoned) error {
	if err := k.stillLeads(term); err != nil {
		k.repairer.abandon(c)
		return err
	}
	var answer state.Answer
	err := k.step("repair.propose", func() (err error) {
		answer, err = k.cfg.Meta.ProposeIn(ctx, term, &command.SetReplicas{Blob: c.staged.ID, Add: []fs.NodeID{c.node.ID}})
		return err
	})
	if err != nil {
		return fmt.Errorf("record the replica on node %s: %w", c.node.ID, err)
	}
	if answer.Err != fs.CodeOK {
		k.repairer.abandon(c)
		return fmt.Errorf("record the replica on node %s: %w", c.node.ID, fs.FromCode(answer.Err))
	}
	k.counts.repaired.Add(1)
	k.log.Info("blob repaired", "blob", c.staged.ID.String(), "on", c.node.ID)
	return nil
}

func (k *Keeper) stillLeads(term uint64) error {
	if now, leads := k.cfg.Meta.Leader(); !leads || now != term {
		return fmt.Errorf("the term is over: %w", fs.ErrNotLeader)
	}
	return nil
}

// dropAbandoned drops copies that nobody will count, where their nodes can be reached: one call a node, and none to a bad
// one, so that a node which hangs holds up one round, for deleteTimeout.
func (k *Keeper) dropAbandoned(ctx context.Context) {
	byNode := map[fs.NodeID][]abandoned{}
	for _, a := range k.repairer.takeAbandoned() {
		byNode[a.node.ID] = append(byNode[a.node.ID], a)
	}
	set := k.cfg.Set
	for _, id := range slices.Sorted(maps.Keys(byNode)) {
		copies := byNode[id]
		node := copies[len(copies)-1].node // at its latest address
		if !set.health.good(id) {
			set.probe(node)
		} else if err := k.dropOn(ctx, node, copies); err == nil {
			continue
		} else {
			set.judge([]loss{{node: id, err: err}})
		}
		for _, a := range copies {
			k.repairer.abandon(a)
		}
	}
}

func (k *Keeper) dropOn(ctx context.Context, node fs.NodeInfo, copies []abandoned) error {
	ctx, cancel := context.WithTimeout(ctx, deleteTimeout)
	defer cancel()
	store, err := k.open(node)
	if err != nil {
		return err
	}
	staged := make([]blob.Staged, len(copies))
	for i, a := range copies {
		staged[i] = a.staged
	}
	return store.Drop(ctx, staged)
}
