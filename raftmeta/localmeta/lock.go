package localmeta

import (
	"context"
	"fmt"
	"time"

	"dfs/fs"
)

// Lock implements fs.Meta. Its faults are asked at "lock", and at "lock.answer" once the call has been carried out.
func (m *Mount) Lock(ctx context.Context, s fs.Session, c *fs.LockCall) (fs.LockAnswer, error) {
	if err := m.enter(ctx, "lock"); err != nil {
		return fs.LockAnswer{}, err
	}
	a, err := m.c.lock(s, c)
	m.c.mu.Unlock()
	if err != nil {
		return fs.LockAnswer{}, err
	}
	if err := m.faults.At("lock.answer"); err != nil {
		return fs.LockAnswer{}, fmt.Errorf("lock: %w", err)
	}
	return a, nil
}

// lock is called with mu held.
func (c *Cluster) lock(s fs.Session, call *fs.LockCall) (fs.LockAnswer, error) {
	if err := c.live(s); err != nil {
		return fs.LockAnswer{}, err
	}
	_, pinned := c.pins[s.ID][call.Lock.Ino]
	if !pinned && !c.awaiting[s.ID] && call.Action != fs.LockUnlock && call.Action != fs.LockCancel {
		return fs.LockAnswer{}, fmt.Errorf("session %d has not pinned inode %d: %w", s.ID, call.Lock.Ino, fs.ErrAccess)
	}
	a := c.locks.Do(s.ID, fs.TimeOf(time.Now()), call)
	c.wakeWaiters()
	return a, nil
}

// wakeWaiters tells who waits that it is worth asking again; mu is held.
func (c *Cluster) wakeWaiters() {
	for _, w := range c.locks.Take() {
		if st := c.streams[w.Session]; st != nil {
			st.push(fs.Notice{Tickets: []uint64{w.Ticket}})
		}
	}
}

// Locks lists all locks, without hosts and paths.
func (c *Cluster) Locks() []fs.LockStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	list, _ := c.locks.List(0, fs.LocksListedMax)
	return list
}
