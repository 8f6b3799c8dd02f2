package replica

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"dfs/blob"
	"dfs/fs"
)

// hung takes what is staged and never answers.
type hung struct{ *remote }

func (hung) Stage(ctx context.Context, _ blob.Tx, _ *blob.Blob) ([]fs.NodeID, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (hung) Drop(ctx context.Context, _ []blob.Staged) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestAbandonedCopiesOnAHungNode_HoldUpARoundOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "a", "b", "c")
		defer w.close()
		k := w.nodes["a"].keeper
		w.nodes["a"].set.cfg.Open = func(fs.NodeInfo) (blob.Store, error) { return hung{&remote{w.nodes["c"]}}, nil }
		const copies = 5
		for i := range uint64(copies) {
			k.repairer.abandon(abandoned{fs.NodeInfo{ID: "c"}, blob.Staged{ID: fs.BlobID{Session: 1, Counter: i + 1}}})
		}
		start := time.Now()
		k.dropAbandoned(t.Context())
		k.dropAbandoned(t.Context())
		if took := time.Since(start); took > deleteTimeout {
			t.Errorf("took %v, want at most %v", took, deleteTimeout)
		}
		if n := len(k.repairer.abandoned); n != copies {
			t.Errorf("%d copies are remembered, want %d", n, copies)
		}
	})
}

func TestRepair_GivesUpAHungNodeForAnotherAndRemembersIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "a", "b", "c", "d")
		defer w.close()
		set, k := w.nodes["a"].set, w.nodes["a"].keeper
		set.cfg.WriteOrder = func(nodes []fs.NodeInfo) []fs.NodeInfo { return nodes }
		set.cfg.Open = func(n fs.NodeInfo) (blob.Store, error) {
			if n.ID == "c" {
				return hung{&remote{w.nodes["c"]}}, nil
			}
			return w.open(n)
		}
		m := w.newWriter()
		for i, most := range []time.Duration{set.cfg.StageTimeout, 0} {
			p := written(w, m, 1, "a", "b")[0]
			start := time.Now()
			k.repair(t.Context())
			if got := w.replicas(p.id); !slices.Equal(got, []fs.NodeID{"a", "b", "d"}) {
				t.Errorf("blob %d: replicas on %v", i, got)
			}
			if took := time.Since(start); took > most {
				t.Errorf("blob %d: repaired after %v, want at most %v", i, took, most)
			}
			w.catchUp()
		}
	})
}
