package vfs

import (
	"errors"
	"fmt"
	"slices"

	"dfs/fs"
)

// land takes in a committed transaction: for each part, the new attributes come and the flight goes at once. A flight of
// which something is left goes on showing all of its segments; those that are decided are the same at the leader.
func (f *FS) land(j *job, l *load, result *fs.TxResult) {
	attrs := make(map[*part]fs.Attr)
	for op, r := range result.Results {
		attrs[l.owner[op]] = r.Attr // of an inode's last operation, the newest
	}
	for _, c := range l.cargo {
		a := attrs[c.part]
		if !c.whole {
			c.n.observe(a)
			c.decided = c.runs[len(c.runs)-1].end()
			continue
		}
		c.finish(f, func(n *inode) { n.adopt(a) })
		j.parts = j.parts[1:] // a load carries the front
	}
}

// refused takes in a refusal. An error concerns all parts that are left; otherwise the job is to be attempted again.
func (f *FS) refused(j *job, l *load, result *fs.TxResult) error {
	err := fs.FromCode(result.Err)
	if result.Failed >= len(l.owner) {
		return fmt.Errorf("the flush was refused: %w", err)
	}
	p := l.owner[result.Failed]
	if errors.Is(err, fs.ErrTooManyExtents) && j.divide(l) {
		return nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = fs.ErrStale // the file was removed and reaped
	}
	if !p.flight.through {
		f.log.Error("a write was refused and is lost", "ino", p.n.ino, "bytes", p.flight.segs.bytes(), "err", err)
	}
	p.fail(f, err)
	j.parts = slices.DeleteFunc(j.parts, func(q *part) bool { return q == p })
	return nil
}

// divide makes the next load less than l was: by finer operations first and then, as all operations of a transaction
// have a bound together, by fewer of them. It reports false for a single operation of spanMin bytes, which is never too much.
func (j *job) divide(l *load) bool {
	switch {
	case l.longest > spanMin:
		j.span = max(spanMin, l.longest/spanStep)
	case l.writes > 1:
		j.limit = l.writes / 2
	default:
		return false
	}
	return true
}

// finishAll ends a job: the parts that are left fail with err.
func (j *job) finishAll(f *FS, err error) {
	for _, p := range j.parts {
		if err != errClosing && !p.flight.through {
			f.log.Error("a write is lost", "ino", p.n.ino, "bytes", p.flight.segs.bytes(), "err", err)
		}
		p.fail(f, err)
	}
	j.parts, j.after = nil, nil // a chain of finished jobs must not be kept alive
	close(j.done)
}

func (p *part) fail(f *FS, err error) {
	p.finish(f, func(n *inode) {
		p.flight.lost = err
		if p.flight.through {
			return
		}
		n.errs.set(err)
		f.losses.set(err)
	})
}

// finish removes the part's flight, after note has been called with the inode locked.
func (p *part) finish(f *FS, note func(*inode)) {
	n := p.n
	n.mu.Lock()
	defer n.mu.Unlock()
	note(n)
	n.flights = slices.DeleteFunc(n.flights, func(fl *flight) bool { return fl == p.flight })
	f.budget.give(p.flight.segs.cost())
	n.settle(f)
}
