package replica

import (
	"context"
	"maps"
	"slices"
	"sync"
	"testing"

	"dfs/blob"
	"dfs/blob/memstore"
	"dfs/fs"
)

// eachArrow is a scenario that goes along every arrow: blobs staged through a Set, committed, aborted, surplus, in debt,
// lost, damaged, and made garbage. fault may break it off anywhere.
func eachArrow(t *testing.T, fault func(step string) error) {
	w := newWorld(t, "a", "b", "c", "d")
	defer w.close()
	var mu sync.Mutex
	w.at = func(step string) error {
		mu.Lock()
		defer mu.Unlock()
		return fault(step)
	}
	ctx, m := context.Background(), w.newWriter()
	put := func(slot uint64, on ...fs.NodeID) *write {
		p := m.prepare(slot, on)
		if len(on) == 0 {
			p.voters, _ = w.nodes["a"].set.Stage(ctx, blob.Tx{ID: p.tx, Epoch: m.session.Epoch}, blobOf(p.id))
		}
		if len(p.voters) >= 2 {
			p.decide() // or not, as when the coordinator has died
		}
		return p
	}
	put(0)
	old := put(1)
	m.prepare(2, w.ids).abort()
	lost := put(3, "a", "b", "c")
	put(4, "c", "d")
	w.catchUp()
	for _, id := range w.ids {
		_ = w.nodes[id].keeper.sweepStaged(ctx) // here and below: the failpoint may end it
	}
	_ = w.nodes["b"].disk.Delete(ctx, []fs.BlobID{lost.id})
	discard(w, []*write{old})
	full := w.nodes["a"].disk
	w.nodes["a"].disk, w.nodes["a"].keeper.cfg.Store = full, &fullStore{full}
	_ = full.Delete(ctx, []fs.BlobID{lost.id})
	stray := m.prepare(5, []fs.NodeID{"d"})
	_ = w.nodes["d"].disk.Commit(ctx, []fs.BlobID{stray.id})
	for range 2 {
		for _, id := range w.ids {
			_ = w.nodes[id].keeper.inspect(ctx, true)
		}
		w.nodes["a"].keeper.collect(ctx)
		w.nodes["a"].keeper.repair(ctx)
	}
	w.nodes["a"].keeper.cfg.Store = full
	w.endSession(m)
	w.catchUp()
	_ = w.nodes["d"].keeper.inspect(ctx, true)
	w.at = nil
	w.rest()
}

// fullStore takes no blob that it does not have.
type fullStore struct{ *memstore.Store }

func (s *fullStore) Stage(context.Context, blob.Tx, *blob.Blob) ([]fs.NodeID, error) {
	return nil, fs.ErrNoSpace
}

func TestEveryFailpoint_LeavesAllOrNothing(t *testing.T) {
	seen := map[string]bool{}
	eachArrow(t, func(step string) error { seen[step] = true; return nil })
	want := []string{"replica.get.before", "replica.stage.after", "replica.stage.before", "replica.stage.vote"}
	for _, arrow := range []string{"settle.commit", "settle.drop", "settle.delete", "collect.delete", "collect.forget", "repair.read",
		"repair.stage", "repair.propose", "heal.read", "heal.stage", "heal.disown"} {
		want = append(want, "keeper."+arrow+".before", "keeper."+arrow+".after")
	}
	slices.Sort(want)
	if got := slices.Sorted(maps.Keys(seen)); !slices.Equal(got, want) {
		t.Fatalf("the scenario comes by\n%v, DESIGN.md has\n%v", got, want)
	}
	for _, at := range want {
		t.Run(at, func(t *testing.T) {
			for skip := range 3 { // the first, second and third time
				n := 0
				eachArrow(t, func(step string) error {
					if step == at {
						if n++; n == skip+1 {
							return fs.ErrUnavailable
						}
					}
					return nil
				})
			}
			eachArrow(t, func(step string) error { // until things have calmed down
				if step == at {
					return fs.ErrUnavailable
				}
				return nil
			})
		})
	}
}
