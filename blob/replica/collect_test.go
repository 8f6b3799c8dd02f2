package replica

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"dfs/fs"
	"dfs/raftmeta/command"
	"dfs/raftmeta/state"
)

// discard makes blobs garbage.
func discard(w *world, list []*write) {
	for _, p := range list {
		p.m.commit(&fs.Tx{ID: p.m.next(), Ops: []fs.Op{&fs.Allocate{Ino: p.m.ino, Off: p.slot * blobLength, Len: blobLength, Mode: fs.AllocatePunch}}})
	}
	w.catchUp()
}

func (w *world) garbage() int {
	list, err := state.NewView(w.truth).Garbage(fs.BlobID{}, 1000)
	if err != nil {
		w.t.Fatal(err)
	}
	return len(list)
}

func TestCollect_WaitsForTheGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "a", "b", "c")
		defer w.close()
		k := w.nodes["a"].keeper
		k.cfg.Grace = 30 * time.Second
		list := written(w, w.newWriter(), 2, w.ids...)
		discard(w, list[:1])
		k.collect(t.Context())
		time.Sleep(10 * time.Second)
		discard(w, list[1:]) // ripe ten seconds later than the first
		var freed []int
		for range 45 {
			k.collect(t.Context())
			freed = append(freed, 2-w.garbage())
			time.Sleep(time.Second)
		}
		first, second := slices.Index(freed, 1), slices.Index(freed, 2)
		if first < 20 || first > 22 || second < 30 || second > 32 {
			t.Errorf("blobs were collected after %d and %d seconds, want about 20 and 30", first, second)
		}
	})
}

func TestCollect_GivesANewLeaderTheWholeGrace(t *testing.T) {
	for _, noticed := range []bool{true, false} { // whether a round runs while another node leads
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, "a", "b", "c")
			defer w.close()
			k := w.nodes["a"].keeper
			k.cfg.Grace = 30 * time.Second
			discard(w, written(w, w.newWriter(), 1, w.ids...))
			k.collect(t.Context())
			time.Sleep(29 * time.Second)
			w.lead("b")
			if noticed {
				k.collect(t.Context())
			}
			w.lead("a")
			k.collect(t.Context())
			time.Sleep(29 * time.Second)
			if k.collect(t.Context()); w.garbage() != 1 {
				t.Error("the grace of an earlier term counted")
			}
			time.Sleep(time.Second)
			if k.collect(t.Context()); w.garbage() != 0 {
				t.Error("the grace does not end")
			}
		})
	}
}

func TestCollect_KeepsTheEntryUntilEveryReplicaIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "a", "b", "c")
		defer w.close()
		k := w.nodes["a"].keeper
		list := written(w, w.newWriter(), 3, w.ids...)
		w.nodes["c"].down = true
		discard(w, list)
		if got := k.collect(t.Context()); got != stuck || w.garbage() != 3 {
			t.Errorf("with a node down: progress %v, %d garbage blobs; want %v and 3", got, w.garbage(), stuck)
		}
		if w.nodes["a"].has(list[0].id) || w.nodes["b"].has(list[0].id) {
			t.Error("the nodes that are up have not deleted")
		}
		w.nodes["c"].down = false
		if k.collect(t.Context()); w.garbage() != 3 {
			t.Error("a node that has just failed was asked again at once")
		}
		time.Sleep(nodeRetryMin)
		if got := k.collect(t.Context()); got != moved || w.garbage() != 0 || w.nodes["c"].has(list[0].id) {
			t.Errorf("with the node back: progress %v, %d garbage blobs", got, w.garbage())
		}
	})
}

func TestCollect_DoesNotWaitForANodeThatWasRemoved(t *testing.T) {
	w := newWorld(t, "a", "b", "c")
	defer w.close()
	list := written(w, w.newWriter(), 1, w.ids...)
	discard(w, list)
	w.ids = []fs.NodeID{"a", "b"} // gossip does not know c any more
	w.decide(&command.RemoveNode{Node: "c"})
	w.catchUp()
	if w.nodes["a"].keeper.collect(t.Context()); w.garbage() != 0 {
		t.Error("the garbage of a removed node stays")
	}
}
