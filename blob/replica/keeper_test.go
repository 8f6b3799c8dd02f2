package replica

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"dfs/blob"
	"dfs/blob/memstore"
	"dfs/fs"
	"dfs/raftmeta/command"
	"dfs/raftmeta/state"
)

// written makes blobs, replicated on nodes and settled there.
func written(w *world, m *writer, n int, on ...fs.NodeID) []*write {
	var list []*write
	for range n {
		p := m.prepare(uint64(m.blobs), on)
		if a := p.decide(); a.Err != fs.CodeOK || a.Tx.Err != fs.CodeOK {
			w.t.Fatalf("commit: %+v", a)
		}
		list = append(list, p)
	}
	w.catchUp()
	for _, id := range w.ids {
		if err := w.nodes[id].keeper.sweepStaged(context.Background()); err != nil {
			w.t.Fatal(err)
		}
	}
	return list
}

func (n *node) has(id fs.BlobID) bool {
	info := blobOf(id).Info(nil)
	_, err := n.disk.Get(context.Background(), &info, 0, 1)
	return !errors.Is(err, fs.ErrNotExist)
}

func (w *world) replicas(id fs.BlobID) []fs.NodeID {
	info, _, err := state.NewView(w.truth).Blob(id)
	if err != nil {
		w.t.Fatal(err)
	}
	slices.Sort(info.Replicas)
	return info.Replicas
}

func TestKeeper_SettlesWhatItIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "a", "b", "c")
		defer w.close()
		m := w.newWriter()
		n := w.nodes["a"]
		k, err := StartKeeper(n.keeper.cfg)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second) // past the sweep at the start
		p := m.prepare(0, w.ids)
		aborted := m.prepare(1, w.ids)
		p.decide()
		refused := aborted.tx
		aborted.abort()
		n.apply(w.end())
		k.Decided(blob.Tx{ID: p.tx, Epoch: m.session.Epoch}, []fs.BlobID{p.id})
		k.Decided(blob.Tx{ID: refused, Epoch: m.session.Epoch}, []fs.BlobID{aborted.id})
		time.Sleep(settleDelay)
		synctest.Wait()
		if err := n.holdsExactly([]fs.BlobID{p.id}); err != nil {
			t.Error(err)
		}
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestKeeper_SweepsWhatItWasNotTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "a", "b", "c")
		defer w.close()
		n, m := w.nodes["a"], w.newWriter()
		k, err := StartKeeper(n.keeper.cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = k.Close() }()
		time.Sleep(time.Second)
		p := m.prepare(0, w.ids)
		p.decide()
		n.apply(w.end())
		time.Sleep(k.cfg.SweepEvery)
		synctest.Wait()
		if err := n.holdsExactly([]fs.BlobID{p.id}); err != nil {
			t.Error(err)
		}
	})
}

func TestDecidedOverflow_AsksForASweep(t *testing.T) {
	w := newWorld(t, "a", "b", "c")
	defer w.close()
	k := w.nodes["a"].keeper
	for range decidedMax + 1 {
		k.Decided(blob.Tx{}, nil)
	}
	if len(k.sweep) != 1 {
		t.Error("no sweep is asked for")
	}
}

func TestSweep_DeletesNothingWhenItsListFails(t *testing.T) {
	w := newWorld(t, "a", "b", "c")
	defer w.close()
	m, n := w.newWriter(), w.nodes["a"]
	p := m.prepare(0, w.ids)
	p.abort()
	w.catchUp()
	n.keeper.cfg.Store = &failingList{n.disk}
	if err := n.keeper.sweepStaged(t.Context()); !errors.Is(err, fs.ErrUnavailable) {
		t.Errorf("sweep: %v", err)
	}
	if err := n.keeper.inspect(t.Context(), true); !errors.Is(err, fs.ErrUnavailable) {
		t.Errorf("inspect: %v", err)
	}
	if !n.has(p.id) {
		t.Error("a blob was deleted by a list that failed")
	}
}

type failingList struct{ *memstore.Store }

func (failingList) List(context.Context, fs.BlobID, int) ([]blob.Entry, error) { return nil, errLost }

func TestRepair_TakesTheMostEndangeredFirst(t *testing.T) {
	w := newWorld(t, "a", "b", "c", "d", "e")
	defer w.close()
	m := w.newWriter()
	two := written(w, m, 3, "a", "b")
	one := written(w, m, 1, "c", "d")[0]
	w.nodes["d"].down = true // now it has one that can be reached
	debts, err := w.nodes["a"].keeper.debts()
	if err != nil || len(debts) != 4 || debts[0].ID != one.id {
		t.Fatalf("debts are %v, %v; want %v first", debts, err, one.id)
	}
	if got := w.nodes["a"].keeper.repair(t.Context()); got != moved {
		t.Errorf("progress %v", got)
	}
	for _, p := range append(two, one) {
		if got := w.replicas(p.id); len(got) != 3 {
			t.Errorf("blob %s is on %v", p.id, got)
		}
	}
	w.nodes["d"].down = false
	w.rest()
	if c := w.nodes["a"].keeper.Counts(); c.Lost != 0 {
		t.Errorf("counts %+v", c)
	}
}

func TestRepair_WithoutATargetIsLeftForLater(t *testing.T) {
	w := newWorld(t, "a", "b", "c")
	defer w.close()
	w.nodes["c"].down = true
	p := written(w, w.newWriter(), 1, "a", "b")[0]
	if got := w.nodes["a"].keeper.repair(t.Context()); got != stuck || len(w.replicas(p.id)) != 2 {
		t.Errorf("progress %v, on %v", got, w.replicas(p.id))
	}
}

func TestRepair_NeverCopiesBytesThatAreNotTheBlobs(t *testing.T) {
	w := newWorld(t, "a", "b", "c")
	defer w.close()
	p := written(w, w.newWriter(), 1, "a", "b")[0]
	w.nodes["a"].disk.Damage(p.id, 3)
	w.nodes["b"].disk.Damage(p.id, 4)
	if w.nodes["a"].keeper.repair(t.Context()); w.nodes["c"].has(p.id) || len(w.replicas(p.id)) != 2 {
		t.Error("a damaged blob was copied")
	}
}

func TestInspect_MendsWhatIsMissingOrDamaged(t *testing.T) {
	w := newWorld(t, "a", "b", "c")
	defer w.close()
	list := written(w, w.newWriter(), 3, w.ids...)
	n := w.nodes["b"]
	if err := n.disk.Delete(t.Context(), []fs.BlobID{list[0].id}); err != nil {
		t.Fatal(err)
	}
	n.disk.Damage(list[2].id, 9)
	if err := n.keeper.inspect(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if !n.intact(list[0].id) || n.intact(list[2].id) {
		t.Error("a shallow inspection finds what is missing, and only that")
	}
	if err := n.keeper.inspect(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	if err := w.settled(); err != nil {
		t.Error(err)
	}
	if c := n.keeper.Counts(); c.Healed != 2 || c.Lost != 0 {
		t.Errorf("counts %+v", c)
	}
}

func TestInspect_SaysWhatItCannotMendAndDeletesNothing(t *testing.T) {
	w := newWorld(t, "a", "b", "c")
	defer w.close()
	p := written(w, w.newWriter(), 1, w.ids...)[0]
	for _, n := range w.nodes {
		n.disk.Damage(p.id, 9)
	}
	for _, id := range w.ids {
		n := w.nodes[id]
		if err := n.keeper.inspect(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		if c := n.keeper.Counts(); c.Lost != 1 || !n.has(p.id) {
			t.Errorf("node %s: counts %+v, has it %v", id, c, n.has(p.id))
		}
	}
	if got := w.replicas(p.id); len(got) != 3 {
		t.Errorf("replicas are %v", got)
	}
}

func TestInspect_OnAFullLeaderGivesTheReplicaUp(t *testing.T) {
	w := newWorld(t, "a", "b", "c", "d")
	defer w.close()
	n := w.nodes["a"]
	p := written(w, w.newWriter(), 1, "a", "b", "c")[0]
	n.disk = memstore.New(memstore.Config{Node: "a", CapacityBytes: 1}) // empty, and full
	n.keeper.cfg.Store = n.disk
	if err := n.keeper.inspect(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if got := w.replicas(p.id); !slices.Equal(got, []fs.NodeID{"b", "c"}) {
		t.Errorf("replicas are %v", got)
	}
	n.keeper.repair(t.Context())
	if got := w.replicas(p.id); !slices.Equal(got, []fs.NodeID{"b", "c", "d"}) {
		t.Errorf("after the repair, replicas are %v", got)
	}
}

func TestInspect_CountsStraysAndErasesThoseOfEndedSessions(t *testing.T) {
	w := newWorld(t, "a", "b", "c")
	defer w.close()
	m, n := w.newWriter(), w.nodes["a"]
	p := m.prepare(0, []fs.NodeID{"a"})
	if err := n.disk.Commit(t.Context(), []fs.BlobID{p.id}); err != nil { // by whoever had no right to
		t.Fatal(err)
	}
	w.catchUp()
	for _, want := range []uint64{1, 0} {
		if err := n.keeper.inspect(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		if c := n.keeper.Counts(); c.Unknown != want || n.has(p.id) != (want == 1) {
			t.Errorf("counts %+v, has it %v", c, n.has(p.id))
		}
		w.decide(&command.EndSession{Session: m.session.ID, Epoch: m.session.Epoch})
		w.catchUp()
	}
}

func TestKeeper_WorksByItselfUntilClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "a", "b", "c", "d")
		defer w.close()
		var keepers []*Keeper
		for _, id := range w.ids {
			k, err := StartKeeper(w.nodes[id].keeper.cfg)
			if err != nil {
				t.Fatal(err)
			}
			keepers = append(keepers, k)
		}
		m := w.newWriter()
		m.prepare(0, w.ids[:2]).decide() // in debt
		second := m.prepare(1, w.ids[1:])
		second.decide()
		m.prepare(2, w.ids).abort()
		discard(w, []*write{second})
		for range 90 {
			time.Sleep(time.Second)
			w.catchUp()
		}
		synctest.Wait()
		if err := w.settled(); err != nil {
			t.Error(err)
		}
		for _, k := range keepers {
			if err := k.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}
