package vfs

import (
	"cmp"
	"context"
	"errors"
	"time"

	"dfs/fs"
)

// What is written goes into memory, and there is to be room for it when it is flushed: so that write(2) itself says
// ErrQuota and ErrNoSpace, the leader grants room for it first, where there are limits at all. See DESIGN.md, Room.

// room is how many bytes an inode may still take into memory.
type room struct {
	bytes uint64
	until time.Time
	turn  uint64 // of FS.roomTurn when it was granted
}

// roomPause is between two questions whether others have given back their grants.
const roomPause = 100 * time.Millisecond

// reserve makes sure that there is room for k bytes; the operation lock is held. through: there may be none, so they have to
// be flushed before the write is answered.
func (n *inode) reserve(ctx context.Context, f *FS, k int) (through bool, err error) {
	if !f.nodes.limited() || n.takeRoom(f, k) {
		return false, nil
	}
	var wait time.Duration // how long others may hold their grants, from the first answer on
	for began, revoked := time.Now(), false; ; revoked = true {
		asked, turn := time.Now(), f.roomTurn.Load()
		r, err := f.askRoom(ctx, n, k)
		if err != nil {
			if ctx.Err() != nil {
				return false, ctx.Err()
			}
			f.log.Debug("no room can be asked for; writing through", "ino", n.ino, "err", err)
			return true, nil
		}
		life := time.Duration(r.Millis) * time.Millisecond
		wait = cmp.Or(wait, life)
		if r.Bytes >= uint64(k) {
			n.room = room{r.Bytes, asked.Add(life / 2), turn}
			n.takeRoom(f, k)
			return false, nil
		}
		switch {
		case !revoked:
			f.roomTurn.Add(1)
		case !r.Wait || time.Since(began) > wait:
			return true, nil
		default:
			if err := sleep(ctx, roomPause); err != nil {
				return false, err
			}
		}
		// What this mount has not flushed itself may be what is in the way. What becomes of it is its writers' to hear.
		if err := f.flushAll(ctx); err != nil && ctx.Err() != nil {
			return false, ctx.Err()
		}
	}
}

// takeRoom takes k bytes of what was granted before; the operation lock is held.
func (n *inode) takeRoom(f *FS, k int) bool {
	if n.room.bytes < uint64(k) || n.room.turn != f.roomTurn.Load() || !time.Now().Before(n.room.until) {
		return false
	}
	n.room.bytes -= uint64(k)
	return true
}

// askRoom asks the leader. A session that turns out to be fenced is replaced, and the next one asked under.
func (f *FS) askRoom(ctx context.Context, n *inode, k int) (fs.Room, error) {
	return bounded(ctx, f, func(ctx context.Context) (fs.Room, error) {
		for {
			r, err := f.sessions.wait(ctx)
			if err != nil {
				return fs.Room{}, err
			}
			answer, err := f.meta.Room(ctx, r.Session, n.ino, uint64(k), uint64(f.budget.inUse()))
			if !errors.Is(err, fs.ErrFenced) {
				return answer, err
			}
			f.fenced(r)
		}
	})
}

// writeThrough writes as much of p as there is room for and flushes it; the operation lock is held. The data before it is flushed
// first, so that a refusal concerns p alone.
func (n *inode) writeThrough(ctx context.Context, f *FS, p []byte, off uint64, kill bool) (int, error) {
	if _, err := n.drain(ctx, f); err != nil {
		return 0, err
	}
	err := n.writeNow(ctx, f, p, off, kill)
	if err == nil {
		return len(p), nil
	}
	if !errors.Is(err, fs.ErrQuota) {
		return 0, err
	}
	r, asked := f.askRoom(ctx, n, len(p))
	if k := min(uint64(len(p)), r.Left); asked == nil && k > 0 && n.writeNow(ctx, f, p[:k], off, kill) == nil {
		return int(k), nil
	}
	return 0, err
}

// writeNow writes p and waits until it is durable; nothing else is unflushed. What is refused is reported here, and not later
// once more.
func (n *inode) writeNow(ctx context.Context, f *FS, p []byte, off uint64, kill bool) error {
	n.setThrough(true)
	defer n.setThrough(false)
	if err := n.writeStep(ctx, f, p, off, kill); err != nil {
		return err
	}
	lost, err := n.drain(ctx, f)
	return cmp.Or(err, lost)
}

func (n *inode) setThrough(on bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.through = on
}

// sleep is a pause that ends early with ctx.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
