package lease

import (
	"maps"
	"slices"

	"dfs/fs"
)

// clone copies a world, so that the explorer can go on from it in another way.
func (w *world) clone() *world {
	c := *w
	c.ended, c.done = maps.Clone(w.ended), maps.Clone(w.done)
	requests := map[*Request]*Request{}
	request := func(r *Request) *Request {
		if r == nil {
			return nil
		}
		if requests[r] == nil {
			copied := *r
			requests[r] = &copied
		}
		return requests[r]
	}
	c.table = w.table.clone(request)
	calls := map[*rpc]*rpc{nil: nil}
	mounts := map[*mount]*mount{}
	c.mounts = nil
	for _, m := range w.mounts {
		copied := *m
		mounts[m] = &copied
		copied.seen = maps.Clone(m.seen)
		if m.page != nil {
			p := *m.page
			copied.page = &p
		}
		if m.fill != nil {
			f := *m.fill
			copied.fill = &f
		}
		leases := map[*lease]*lease{}
		copied.holder = m.holder.clone(leases)
		if m.use != nil {
			l := leases[m.use.lease]
			if l == nil { // the session was lost under the call's hands
				gone := *m.use.lease
				l = &gone
			}
			copied.use = &Use{l, m.use.mode}
		}
		c.mounts = append(c.mounts, &copied)
	}
	c.rpcs = nil
	for _, r := range w.rpcs {
		copied := *r
		copied.mount, copied.asked = mounts[r.mount], request(r.asked)
		calls[r] = &copied
		c.rpcs = append(c.rpcs, &copied)
	}
	for _, m := range c.mounts {
		m.call, m.flush = calls[m.call], calls[m.flush]
	}
	c.up, c.down = map[fs.SessionID][]message{}, map[fs.SessionID][]Recall{}
	for s, q := range w.up {
		c.up[s] = slices.Clone(q)
	}
	for s, q := range w.down {
		c.down[s] = slices.Clone(q)
	}
	return &c
}

func (t *Table) clone(request func(*Request) *Request) *Table {
	c := *t
	c.inodes, c.held, c.owing = map[fs.Ino]*inode{}, map[fs.SessionID]map[fs.Ino]struct{}{}, maps.Clone(t.owing)
	for s, inos := range t.held {
		c.held[s] = maps.Clone(inos)
	}
	for ino, i := range t.inodes {
		copied := &inode{holders: map[fs.SessionID]*hold{}}
		for s, h := range i.holders {
			held := *h
			copied.holders[s] = &held
		}
		for _, r := range i.queue {
			copied.queue = append(copied.queue, request(r))
		}
		for _, r := range i.changes {
			copied.changes = append(copied.changes, request(r))
		}
		c.inodes[ino] = copied
	}
	return &c
}

// clone copies a holder; leases gets the copy of each lease.
func (h *Holder) clone(leases map[*lease]*lease) *Holder {
	c := *h
	c.leases, c.recalls = map[fs.Ino]*lease{}, maps.Clone(h.recalls)
	for ino, l := range h.leases {
		copied := *l
		leases[l] = &copied
		c.leases[ino] = &copied
	}
	c.asked = slices.Clone(h.asked)
	for i, a := range c.asked {
		if copied := leases[a.lease]; copied != nil { // else it has been given back, and does not change any more
			c.asked[i].lease = copied
		}
	}
	return &c
}
