package lease

import (
	"maps"
	"slices"

	"dfs/fs"
)

// settle decides what can be decided about an inode, and recalls what stands in the way of the rest. Reads come first, so
// that no writer starves them; then changes, which wait for nothing but acknowledgements; then exclusive leases in the order
// they were asked for.
//
// What is granted may be recalled in the same moment, for who waits behind it; then a page of the same session that waits has to wait no
// more. So it is gone through again until nothing comes of it.
func (t *Table) settle(ino fs.Ino) {
	i := t.inode(ino)
	for came := -1; came != len(t.decided)+len(t.recalls); {
		came = len(t.decided) + len(t.recalls)
		for _, step := range []func(*inode, *Request) bool{t.serveRead, t.serveChange, t.serveExclusive} {
			kept := i.queue[:0:0]
			for _, r := range i.queue {
				if !step(i, r) {
					kept = append(kept, r)
				}
			}
			i.queue = kept
		}
		for _, r := range i.queue {
			t.recallFor(i, r)
		}
	}
	t.forget(ino)
}

func (r *Request) isRead() bool   { return r.Kind == Look || r.Kind == Hold && r.Mode != Exclusive }
func (r *Request) isChange() bool { return r.Kind == Change || r.Kind == Stray }

// serveRead: nobody else may be keeping changes that the leader has not seen. A shared lease is given only where nobody waits
// for the opposite: a read may hold page locks in its kernel that the answer to a recall needs, so it is served at once,
// without one. A page waits for those who came before it, to get one, but not if its own session's lease is being recalled:
// the answer to that may need the very page.
func (t *Table) serveRead(i *inode, r *Request) bool {
	if !r.isRead() || t.unsure(i, r, Shared) || i.others(r.Session, Exclusive) {
		return false
	}
	if r.Kind == Hold {
		r.Grant = Grant{Ino: r.Ino}
		own := i.holders[r.Session]
		switch {
		case own != nil && own.recall:
		case own != nil:
			r.Grant = t.grant(i, r.Session, r.Ino, own.mode)
		case r.Page && i.precede(r):
			return false
		case r.Mode == Shared && (r.Page || !i.contended()):
			r.Grant = t.grant(i, r.Session, r.Ino, Shared)
		}
	}
	t.decide(r, over)
	return true
}

// serveChange: nobody may be caching what is about to change, but who changes it, and he only exclusively: then others see the
// change when he has given that back, and not before he knows of it himself. It never waits for a request, only for
// acknowledgements, so transactions that change several inodes do not wait for each other in a circle.
func (t *Table) serveChange(i *inode, r *Request) bool {
	if !r.isChange() || r.Kind == Change && (t.unsure(i, r, Exclusive) || i.cached(r)) {
		return false
	}
	i.changes = append(i.changes, r)
	t.decide(r, active)
	if r.Kind == Stray {
		t.recallFor(i, r)
	}
	return true
}

// serveExclusive: nobody else may hold anything, or be changing the inode.
func (t *Table) serveExclusive(i *inode, r *Request) bool {
	if r.Kind != Hold || r.Mode != Exclusive {
		return false
	}
	own := i.holders[r.Session]
	if own != nil && own.recall || t.unsure(i, r, Exclusive) || i.others(r.Session, Shared) || i.changed() {
		return false
	}
	r.Grant = t.grant(i, r.Session, r.Ino, Exclusive)
	t.decide(r, over)
	return true
}

// unsure: somebody has not told yet what he holds, and only what the session holds itself, at least as strongly as m, says
// that he cannot be in the way.
func (t *Table) unsure(i *inode, r *Request, m Mode) bool {
	own := i.holders[r.Session]
	return len(t.owing) > 0 && (own == nil || own.mode < m)
}

// cached: somebody holds what r changes, except its own session exclusively.
func (i *inode) cached(r *Request) bool {
	own := i.holders[r.Session]
	return i.others(r.Session, Shared) || own != nil && own.mode == Shared
}

// others: another session holds at least m.
func (i *inode) others(s fs.SessionID, m Mode) bool {
	for id, h := range i.holders {
		if id != s && h.mode >= m {
			return true
		}
	}
	return false
}

// contended: somebody changes the inode, or waits to, or for an exclusive lease.
func (i *inode) contended() bool {
	return len(i.changes) > 0 || slices.ContainsFunc(i.queue, func(q *Request) bool { return !q.Decided() && !q.isRead() })
}

// precede: somebody changes the inode, or came before r and waits to, or for an exclusive lease.
func (i *inode) precede(r *Request) bool {
	return len(i.changes) > 0 || slices.ContainsFunc(i.queue[:slices.Index(i.queue, r)], func(q *Request) bool { return !q.Decided() && !q.isRead() })
}

// changed: the inode is being changed, or about to be.
func (i *inode) changed() bool {
	return len(i.changes) > 0 || slices.ContainsFunc(i.queue, func(q *Request) bool { return !q.Decided() && q.isChange() })
}

// recallFor asks for what stands in a request's way.
func (t *Table) recallFor(i *inode, r *Request) {
	to := None
	if r.isRead() {
		to = Shared
	}
	for _, s := range slices.Sorted(maps.Keys(i.holders)) {
		h := i.holders[s]
		if s == r.Session && (r.Kind != Change || h.mode != Shared) || h.mode <= to || h.recall && h.to <= to {
			continue
		}
		h.recall, h.to = true, to
		t.recalls = append(t.recalls, Recall{Session: s, Ino: r.Ino, Seq: h.seq, To: to})
	}
}
