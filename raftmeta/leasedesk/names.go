package leasedesk

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"dfs/fs"
)

// name is a place in a directory.
type name struct {
	dir  fs.Ino
	name string
}

func compareNames(a, b name) int {
	return cmp.Or(cmp.Compare(a.dir, b.dir), cmp.Compare(a.name, b.name))
}

// nameLock is held by the transaction that may change what a name means.
type nameLock struct {
	held  chan struct{} // one token, put in by the holder; those who wait get it in turn
	users int           // who hold it or wait
}

// lockNames locks names in their order, so that nobody waits in a circle.
func (d *Desk) lockNames(ctx context.Context, names []name) error {
	for k, n := range names {
		if err := d.lockName(ctx, n); err != nil {
			d.unlockNames(names[:k])
			return err
		}
	}
	return nil
}

func (d *Desk) lockName(ctx context.Context, n name) (err error) {
	d.mu.Lock()
	l := d.names[n]
	if l == nil {
		l = &nameLock{held: make(chan struct{}, 1)}
		d.names[n] = l
	}
	l.users++
	d.mu.Unlock()
	select {
	case l.held <- struct{}{}:
		return nil
	case <-d.done:
		err = d.closed
	case <-ctx.Done():
		err = fmt.Errorf("wait for a transaction on %q in directory %d: %w", n.name, n.dir, context.Cause(ctx))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.leaveName(n, l)
	return err
}

func (d *Desk) unlockNames(names []name) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, n := range names {
		l := d.names[n]
		<-l.held
		d.leaveName(n, l)
	}
}

// leaveName forgets a lock that nobody uses; mu is held.
func (d *Desk) leaveName(n name, l *nameLock) {
	if l.users--; l.users == 0 {
		delete(d.names, n)
	}
}

// sorted sorts names and leaves out repetitions.
func sorted(names []name) []name {
	slices.SortFunc(names, compareNames)
	return slices.Compact(names)
}
