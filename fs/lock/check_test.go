package lock

import (
	"fmt"

	"dfs/fs"
)

// check is every invariant of a Table.
func (t *Table) check() error {
	total, ranges, waiting := 0, map[fs.SessionID]int{}, 0
	for ino, i := range t.inodes {
		if len(i.owners)+len(i.queue) == 0 {
			return fmt.Errorf("inode %d is kept for nothing", ino)
		}
		for n, o := range i.owners {
			if len(o.held) == 0 {
				return fmt.Errorf("an owner on inode %d holds nothing", ino)
			}
			if err := o.held.check(); err != nil {
				return err
			}
			total += len(o.held)
			ranges[o.session] += len(o.held)
			for _, other := range i.owners[n+1:] {
				if err := together(o, other); err != nil {
					return fmt.Errorf("inode %d: %w", ino, err)
				}
			}
		}
		for _, w := range i.queue {
			waiting++
			if t.sessions[w.session].waits[w.ticket] != w {
				return fmt.Errorf("ticket %d of session %d is not the session's", w.ticket, w.session)
			}
			if _, _, busy := t.conflict(w.person, &w.lock); !busy && len(t.owing) == 0 {
				return fmt.Errorf("%+v waits for nobody", w)
			}
			if left := searchMax; len(t.owing) == 0 && t.deadlocked(w, &left) {
				return fmt.Errorf("%+v waits for itself", w)
			}
		}
	}
	if total != t.total {
		return fmt.Errorf("%d ranges, counted as %d", total, t.total)
	}
	for s, e := range t.sessions {
		if e.ranges != ranges[s] {
			return fmt.Errorf("session %d has %d ranges, counted as %d", s, ranges[s], e.ranges)
		}
		waiting -= len(e.waits)
	}
	for _, list := range t.waits {
		waiting += len(list)
		if len(list) == 0 {
			return fmt.Errorf("an empty list of waiters is kept")
		}
	}
	inQueues := 0
	for _, i := range t.inodes {
		inQueues += len(i.queue)
	}
	if waiting != inQueues {
		return fmt.Errorf("those who wait are counted in different ways")
	}
	return nil
}

// together says what does not go together of two owners on one inode.
func together(a, b *owner) error {
	if a.person == b.person {
		return fmt.Errorf("%+v is there twice", a.person)
	}
	for _, r := range a.held {
		if x, bad := b.held.conflict(r.Start, r.End, r.Type); bad && a.kind == b.kind {
			return fmt.Errorf("%+v holds %+v and %+v holds %+v", a.person, r, b.person, x)
		}
	}
	return nil
}

func (r Ranges) check() error {
	for i, x := range r {
		if x.Start > x.End {
			return fmt.Errorf("%+v ends before it begins", x)
		}
		if i > 0 && (r[i-1].End >= x.Start || r[i-1].End+1 == x.Start && r[i-1].Type == x.Type) {
			return fmt.Errorf("%+v and %+v are not in order, or one", r[i-1], x)
		}
	}
	return nil
}
