package replica

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"dfs/fs"
)

// chaos is a world under a random schedule.
type chaos struct {
	*world
	t        *rapid.T
	writers  []*writer
	prepared []*write // not decided
	written  []*write // all of them, whatever became of them
	spoiled  map[spot]bool
}

type spot struct {
	node fs.NodeID
	blob fs.BlobID
}

func (c *chaos) pick(what string, n int) int { return rapid.IntRange(0, n-1).Draw(c.t, what) }

func (c *chaos) anyNode() *node { return c.nodes[c.ids[c.pick("node", len(c.ids))]] }

// TestRandomSchedules_LoseNothingAndLeaveNothing: at every moment each listed replica that was not spoiled by hand is on
// its node's disk; when things have calmed down the disks hold exactly what the table says.
func TestRandomSchedules_LoseNothingAndLeaveNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, "a", "b", "c", "d", "e")
		defer w.close()
		w.chance = rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		c := &chaos{world: w, t: t, spoiled: map[spot]bool{}}
		c.writers = append(c.writers, w.newWriter(), w.newWriter())
		actions := []func(){c.write, c.write, c.write, c.decideOne, c.decideOne, c.abortOne, c.restage, c.deliver, c.deliver,
			c.endSession, c.applySome, c.applySome, c.applySome, c.elect, c.sweepOne, c.sweepOne, c.sweepOne, c.told, c.inspectOne,
			c.lead2, c.lead2, c.lead2, c.spoil, c.crash, c.fail, c.recover}
		for range rapid.IntRange(20, 150).Draw(t, "steps") {
			actions[c.pick("action", len(actions))]()
			c.check()
		}
		for _, m := range c.writers { // whatever is undecided never will be decided
			w.endSession(m)
		}
		w.rest()
		c.check()
	})
}

// check is the invariant.
func (c *chaos) check() {
	c.t.Helper()
	for _, r := range c.table() {
		if r.LiveBytes == 0 {
			continue
		}
		for _, id := range r.Replicas {
			at := spot{id, r.ID}
			switch c.nodes[id].intact(r.ID) {
			case true:
				delete(c.spoiled, at)
			case false:
				if !c.spoiled[at] {
					c.t.Fatalf("blob %s is not on node %s, which counts as a replica", r.ID, id)
				}
			}
		}
	}
}

func (c *chaos) write() {
	on := rapid.SliceOfNDistinct(rapid.SampledFrom(c.ids), 2, 4, rapid.ID).Draw(c.t, "on")
	p := c.writers[c.pick("writer", len(c.writers))].prepare(uint64(c.pick("slot", 3)), on)
	if len(p.voters) > 3 {
		p.voters = p.voters[:3] // the fourth vote came too late to count
	}
	c.written = append(c.written, p)
	if rapid.Bool().Draw(c.t, "at once") {
		p.decide()
		return
	}
	c.prepared = append(c.prepared, p)
}

func (c *chaos) take() *write {
	if len(c.prepared) == 0 {
		return nil
	}
	i := c.pick("prepared", len(c.prepared))
	p := c.prepared[i]
	c.prepared = slices.Delete(c.prepared, i, i+1)
	return p
}

func (c *chaos) decideOne() {
	if p := c.take(); p != nil {
		p.decide()
	}
}

func (c *chaos) abortOne() {
	if p := c.take(); p != nil {
		p.abort()
	}
}

// restage is a late copy of a writer's request.
func (c *chaos) restage() {
	if len(c.written) > 0 {
		_, _ = c.written[c.pick("written", len(c.written))].stage(c.anyNode().id)
	}
}

func (c *chaos) deliver() {
	c.mu.Lock()
	var late func()
	if len(c.delayed) > 0 {
		i := c.pick("delayed", len(c.delayed))
		late = c.delayed[i]
		c.delayed = slices.Delete(c.delayed, i, i+1)
	}
	c.mu.Unlock()
	if late != nil {
		late()
	}
}

func (c *chaos) endSession() {
	i := c.pick("writer", len(c.writers))
	m := c.writers[i]
	c.world.endSession(m)
	c.writers[i] = c.newWriter()
}

func (c *chaos) applySome() {
	n := c.anyNode()
	n.apply(n.applied + c.pick("entries", len(c.log)-n.applied+1))
}

func (c *chaos) elect() { c.lead(c.anyNode().id) }

func (c *chaos) sweepOne() {
	if n := c.anyNode(); !n.down {
		_ = n.keeper.sweepStaged(context.Background()) // failpoints may end it
	}
}

// told has a node settle what it is told of the last decisions.
func (c *chaos) told() {
	n := c.anyNode()
	if n.down || len(c.written) == 0 {
		return
	}
	for _, p := range c.written[max(0, len(c.written)-3):] {
		d := decision{blobs: []fs.BlobID{p.id}}
		d.tx.ID, d.tx.Epoch = p.tx, p.m.session.Epoch
		_ = n.keeper.settleDecided(context.Background(), d) // failpoints may end it
	}
}

func (c *chaos) inspectOne() {
	if n := c.anyNode(); !n.down {
		_ = n.keeper.inspect(context.Background(), true) // failpoints may end it
	}
}

func (c *chaos) lead2() {
	if n := c.nodes[c.leader]; !n.down {
		n.apply(len(c.log))
		if rapid.Bool().Draw(c.t, "collect") {
			n.keeper.collect(context.Background())
		} else {
			n.keeper.repair(context.Background())
		}
	}
}

// spoil damages or loses a copy, if there is another one.
func (c *chaos) spoil() {
	table := c.table()
	if len(table) == 0 {
		return
	}
	r := table[c.pick("blob", len(table))]
	var good []fs.NodeID
	for _, id := range r.Replicas {
		if c.nodes[id].intact(r.ID) {
			good = append(good, id)
		}
	}
	if len(good) < 2 {
		return
	}
	n := c.nodes[good[c.pick("replica", len(good))]]
	c.spoiled[spot{n.id, r.ID}] = true
	if rapid.Bool().Draw(c.t, "damage") {
		n.disk.Damage(r.ID, 50)
		return
	}
	if err := n.disk.Delete(context.Background(), []fs.BlobID{r.ID}); err != nil {
		c.t.Fatal(err)
	}
}

// crash restarts a node; it may have to rebuild its state, and then is behind for a while.
func (c *chaos) crash() {
	n := c.anyNode()
	n.restart()
	if n.id != c.leader && rapid.Bool().Draw(c.t, "rebuild") {
		n.apply(c.pick("applied", n.applied+1))
	}
}

func (c *chaos) fail() { n := c.anyNode(); c.mu.Lock(); n.down = true; c.mu.Unlock() }

func (c *chaos) recover() {
	for _, n := range c.nodes {
		n.down = false
	}
}
