package replica

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"dfs/blob"
	"dfs/fs"
	"dfs/raftmeta/command"
	"dfs/raftmeta/state"
)

// mend makes a copy that should be here good again, or says loudly that it could not.
func (k *Keeper) mend(ctx context.Context, id fs.BlobID, fault error) {
	healed, err := k.heal(ctx, id)
	switch {
	case err != nil && ctx.Err() == nil:
		k.counts.lost.Add(1)
		k.log.Error("a replica here is missing or damaged and could not be mended", "blob", id.String(), "fault", fault, "err", err)
	case healed:
		k.counts.healed.Add(1)
		k.log.Warn("mended a replica here", "blob", id.String(), "fault", fault)
	}
}

// heal reads a blob from another replica and stages it here. It reports false when the blob is not expected here any
// more.
func (k *Keeper) heal(ctx context.Context, id fs.BlobID) (bool, error) {
	info, _, err := k.listedHere(id)
	if err != nil || info == nil {
		return false, err
	}
	others := *info
	others.Replicas = slices.DeleteFunc(slices.Clone(info.Replicas), func(n fs.NodeID) bool { return n == k.cfg.Node })
	if len(others.Replicas) == 0 {
		return false, errors.New("there is no other replica")
	}
	b, err := k.readWhole(ctx, "heal.read", &others)
	if err != nil {
		return false, err
	}
	info, at, err := k.listedHere(id) // it took a while
	if err != nil || info == nil {
		return false, err
	}
	label := k.heals.next(healSession, at, 0)
	err = k.step("heal.stage", func() error { return k.restage(ctx, label, b) })
	if errors.Is(err, fs.ErrNoSpace) {
		return false, errors.Join(err, k.disown(ctx, id))
	}
	if err != nil {
		return false, err
	}
	return true, k.settle(ctx, []blob.Entry{{ID: id, Staged: true, Tx: label}}, false)
}

// restage stages over what is here. What the store takes for another blob of this id is no blob of ours: the bytes to
// be staged have been verified against the metadata.
func (k *Keeper) restage(ctx context.Context, label blob.Tx, b *blob.Blob) error {
	_, err := k.cfg.Store.Stage(ctx, label, b)
	if !errors.Is(err, fs.ErrInvalid) {
		return err
	}
	if err := k.cfg.Store.Delete(ctx, []fs.BlobID{b.ID}); err != nil {
		return err
	}
	_, err = k.cfg.Store.Stage(ctx, label, b)
	return err
}

// listedHere is a live blob that the metadata expects here; nil if it does not.
func (k *Keeper) listedHere(id fs.BlobID) (*fs.BlobInfo, Position, error) {
	var info *fs.BlobInfo
	var at Position
	err := k.cfg.Meta.View(func(v state.View, p Position) error {
		at = p
		r, ok, err := record(v, id)
		if ok && r.LiveBytes > 0 && slices.Contains(r.Replicas, k.cfg.Node) {
			info = &r.BlobInfo
		}
		return err
	})
	return info, at, err
}

// disown takes this node off a blob's list, which only the leader can do: then the blob is repaired elsewhere.
func (k *Keeper) disown(ctx context.Context, id fs.BlobID) error {
	term, leads := k.cfg.Meta.Leader()
	if !leads {
		return nil
	}
	return k.step("heal.disown", func() error {
		answer, err := k.cfg.Meta.ProposeIn(ctx, term, &command.SetReplicas{Blob: id, Remove: []fs.NodeID{k.cfg.Node}})
		if err == nil {
			err = fs.FromCode(answer.Err)
		}
		if err != nil {
			return fmt.Errorf("take this node off the blob's list: %w", err)
		}
		return nil
	})
}
