package vfs

import (
	"context"
	"fmt"
	"slices"
	"time"

	"dfs/fs"
	"dfs/fs/lease"
)

// claimTries is how often a lease is asked for that comes and is gone before it could be used, before an operation goes to the
// leader without.
const claimTries = 16

// claim has the mount hold inodes exclusively while the caller changes them: from before a change is decided, or taken into memory, until all
// caches of this mount know of it. done must be called. Not held: the leader grants nothing that can be used; then the change
// may go to the leader, which waits for whoever caches what it changes, but may not stay in memory.
//
// Nothing is waited for with some of the inodes claimed and others not, nor with an operation lock held: two mounts that claim
// two inodes in different order would wait for each other.
//
// also are inodes that change with them. They are claimed if they are held already: else the leader has them given back, by this
// mount too, before it decides.
func (f *FS) claim(ctx context.Context, inos, also []fs.Ino) (done func(), held bool, err error) {
	inos, also = distinct(inos), distinct(also)
	ctx, cancel := context.WithTimeout(ctx, f.cfg.OpTimeout)
	defer cancel()
	for try := 0; try < claimTries; {
		uses, missing, leaving := f.leases.work(inos, also)
		switch {
		case uses != nil:
			return func() { f.leases.worked(uses) }, true, nil
		case leaving != nil:
			select {
			case <-leaving:
			case <-ctx.Done():
				return nil, false, fmt.Errorf("inode %d is being given to another mount: %w", missing, unavailable(ctx.Err()))
			}
		default:
			try++
			if granted, err := f.own(ctx, missing); err != nil || !granted {
				return func() {}, false, err
			}
		}
	}
	return func() {}, false, nil
}

// claimSurely is claim of one inode for who cannot do without: it waits, as long as ctx lasts, for a leader that grants the lease and
// for others who take it away before it can be used.
func (f *FS) claimSurely(ctx context.Context, ino fs.Ino) (done func(), err error) {
	var wait backoff
	for {
		done, held, err := f.claim(ctx, []fs.Ino{ino}, nil)
		if err != nil {
			return nil, err
		}
		if held {
			return done, nil
		}
		done()
		wait.sleep(ctx, nil)
		if ctx.Err() != nil {
			return nil, fmt.Errorf("no lease on inode %d: %w", ino, unavailable(ctx.Err()))
		}
	}
}

// distinct sorts numbers, without 0 and without repetition.
func distinct(inos []fs.Ino) []fs.Ino {
	slices.Sort(inos)
	inos = slices.Compact(inos)
	if len(inos) > 0 && inos[0] == 0 {
		inos = inos[1:]
	}
	return inos
}

// work begins work under the exclusive leases of all of inos, and of those of also that are held, or returns what is in the
// way: an inode whose lease is missing, or one whose lease is leaving, and what to wait for.
func (l *leases) work(inos, also []fs.Ino) (uses []lease.Use, missing fs.Ino, leaving <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.clock()
	for _, ino := range slices.Concat(inos, also) {
		if _, is := l.holder.Leaving(ino); is {
			return nil, ino, l.changed
		}
	}
	for _, ino := range inos {
		if l.holder.Held(ino).Mode != fs.LeaseExclusive || now >= l.holder.Until() {
			return nil, ino, nil
		}
	}
	uses = make([]lease.Use, 0, len(inos)+len(also))
	for _, ino := range slices.Concat(inos, also) {
		if u, ok := l.holder.Begin(ino, fs.LeaseExclusive, now); ok {
			uses = append(uses, u)
		}
	}
	return uses, 0, nil
}

func (l *leases) worked(uses []lease.Use) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, u := range uses {
		u.Done()
	}
	l.wake()
}

// own asks for the exclusive lease of an inode; false if there are none to be had: from a leader that knows of none, or under
// a session that is about to be over.
func (f *FS) own(ctx context.Context, ino fs.Ino) (bool, error) {
	at := f.leases.before(ino)
	var term uint64
	_, err := bounded(ctx, f, func(ctx context.Context) (fs.Attr, error) {
		return inSession(ctx, f, func(r *registration) (a fs.Attr, err error) {
			a, term, err = under(ctx, f, r, fs.LeaseCall{Want: fs.LeaseExclusive},
				func(ctx context.Context) (fs.Attr, error) { return f.meta.Getattr(ctx, ino) },
				func(a fs.Attr, err error) { _, _ = f.leases.noteAttr(ino, at, a, err) })
			return a, err
		})
	})
	return term != 0 && f.leases.timely(), err
}

// timely reports whether leases may be used at all now.
func (l *leases) timely() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.clock() < l.holder.Until()
}

// noteAttr keeps attributes from an answer to a call that left at a moment, and returns the newest that are known; mu is held.
func (l *leases) noteAttr(ino fs.Ino, at look, a fs.Attr, err error) (fs.Attr, time.Duration) {
	if err != nil {
		return a, 0
	}
	k := l.still(ino, at)
	if k == nil {
		return a, 0
	}
	l.learn(a)
	if k.attr.Ino == 0 || l.usable(ino) == nil {
		return a, 0
	}
	return k.attr, l.validity(k)
}

// claimed are the inodes that must be claimed for operations: all that they change and that are known before.
func claimed(ops []fs.Op) []fs.Ino {
	var list []fs.Ino
	for _, op := range ops {
		switch op := op.(type) {
		case *fs.Create:
			list = append(list, op.Parent)
		case *fs.Link:
			list = append(list, op.Parent, op.Ino)
		case *fs.Unlink:
			list = append(list, op.Parent)
		case *fs.Rmdir:
			list = append(list, op.Parent)
		case *fs.Rename:
			list = append(list, op.Parent, op.NewParent)
		case *fs.Setattr:
			list = append(list, op.Ino)
		case *fs.Write:
			list = append(list, op.Ino)
		case *fs.Allocate:
			list = append(list, op.Ino)
		case *fs.Clone:
			list = append(list, op.Dst)
		case *fs.Setxattr:
			list = append(list, op.Ino)
		case *fs.Removexattr:
			list = append(list, op.Ino)
		}
	}
	return list
}

// renamed are the inodes that operations change by way of their names, as far as the cache knows what these mean.
func (l *leases) renamed(ops []fs.Op) []fs.Ino {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []fs.Ino
	add := func(dir fs.Ino, name string) {
		if d := l.known[dir]; d != nil {
			list = append(list, d.names[name])
		}
	}
	for _, op := range ops {
		switch op := op.(type) {
		case *fs.Unlink:
			add(op.Parent, op.Name)
		case *fs.Rmdir:
			add(op.Parent, op.Name)
		case *fs.Rename:
			add(op.Parent, op.Name)
			add(op.NewParent, op.NewName)
		}
	}
	return list
}
