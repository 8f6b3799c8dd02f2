package raftmeta

import (
	"context"
	"fmt"
	"slices"
	"time"

	"dfs/fs"
)

var _ fs.LockLister = (*Node)(nil)

// Lock implements fs.Locker. The call is carried out in the table, and leadership proven afterwards: what a mount is answered was
// done by who led at some moment after it had asked.
func (n *Node) Lock(ctx context.Context, s fs.Session, c *fs.LockCall) (a fs.LockAnswer, err error) {
	ctx, cancel := n.bound(ctx)
	defer cancel()
	r, err := n.leading(ctx)
	if err != nil {
		return a, fmt.Errorf("lock: %w", err)
	}
	arrival := time.Now()
	t := r.sessions
	e, err := t.find(ctx, s)
	if err == nil {
		err = checkOwner(&s, e.owner, fs.CallerOf(ctx).Owner)
	}
	if err == nil {
		err = t.with(ctx, s, func(e *session) (err error) {
			a, err = t.lock(e, c)
			return err
		})
	}
	if err == nil {
		err = n.cfg.Faults.At("lock.done")
	}
	if err == nil {
		err = n.proveLeader(ctx, r, arrival)
	}
	if err != nil {
		return fs.LockAnswer{}, fmt.Errorf("lock inode %d: %w", c.Lock.Ino, err)
	}
	return a, nil
}

// lock carries out a call of a session's; mu is held. What a session has not pinned it has not open, or may not see.
func (t *sessionTable) lock(e *session, c *fs.LockCall) (fs.LockAnswer, error) {
	_, pinned := e.pins[c.Lock.Ino]
	if !pinned && e.attached && c.Action != fs.LockUnlock && c.Action != fs.LockCancel {
		return fs.LockAnswer{}, fmt.Errorf("the session has not pinned it: %w", fs.ErrAccess)
	}
	if !pinned && c.Action == fs.LockTest {
		return fs.LockAnswer{State: fs.LockLater}, nil // it has not told what it has pinned
	}
	a := t.locks.Do(e.ID, fs.TimeOf(time.Now()), c)
	t.wakeWaiters()
	return a, nil
}

// wakeWaiters tells mounts which of their waits are worth asking about again; mu is held. A session without a stream asks about
// all when it has one.
func (t *sessionTable) wakeWaiters() {
	for _, w := range t.locks.Take() {
		if e := t.sessions[w.Session]; e != nil && e.stream != nil {
			e.stream.tellTicket(w.Ticket)
		}
	}
}

// reclaim takes over the locks of a session that tells them to this leader for the first time, on what it has pinned; mu is held.
// Those on anything else, which it may not even see, are nobody's: to believe in them could end somebody else's session. Two cannot have told the
// truth if they tell what does not go together: the session that comes second is ended, so that it does not believe in them.
func (t *sessionTable) reclaim(e *session, c fs.LockClaim) error {
	c.Locks = slices.DeleteFunc(slices.Clone(c.Locks), func(l fs.Lock) bool { _, pinned := e.pins[l.Ino]; return !pinned })
	if !t.locks.Reclaim(e.ID, fs.TimeOf(time.Now()), c) {
		t.r.n.logger.Error("a session claims locks that another one holds; it is ended", "session", e.ID, "host", e.mount.Host, "path", e.mount.Path)
		e.expiring = true
		t.r.loops.Go(func() { t.expire(e) })
		return fmt.Errorf("session %d claims locks that another one holds: %w", e.ID, fs.ErrUnavailable)
	}
	t.wakeWaiters()
	return nil
}

// lockTextMax bounds the bytes of names in one list.
const lockTextMax = 4 << 20

// Locks implements fs.LockLister.
func (n *Node) Locks(ctx context.Context, ino fs.Ino, limit int) (*fs.LockList, error) {
	ctx, cancel := n.bound(ctx)
	defer cancel()
	r, err := n.leading(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the locks: %w", err)
	}
	arrival := time.Now()
	list := r.sessions.listLocks(ino, limit)
	if err := n.proveLeader(ctx, r, arrival); err != nil {
		return nil, fmt.Errorf("list the locks: %w", err)
	}
	return list, nil
}

func (t *sessionTable) listLocks(ino fs.Ino, limit int) *fs.LockList {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := &fs.LockList{Owing: t.locks.Owing(), Time: fs.TimeOf(time.Now())}
	list.Locks, list.More = t.locks.List(ino, limit)
	text := 0
	for i := range list.Locks {
		l := &list.Locks[i]
		e := t.sessions[l.Session]
		if e == nil {
			continue
		}
		l.Host, l.Path = e.mount.Host, e.mount.Path
		if text += len(l.Host) + len(l.Path); text > lockTextMax {
			list.More += len(list.Locks) - i
			list.Locks = list.Locks[:i]
			break
		}
	}
	return list
}
