package vfs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
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

// asksMax is how many writers ask for room at once: all of those of one mount, but for one that returns what was granted.
const asksMax = 1 << 20

// search is one write's search for room, however often it has to claim its file anew.
type search struct {
	began time.Time     // when others' grants were first in the way
	wait  time.Duration // how long they may be
}

// errYield ends a search: another mount wants the file, and must not wait for room.
var errYield = errors.New("the file's lease is wanted")

// reserve makes sure that there is room for k bytes at off; the operation lock is held, and the file claimed. through, if it is not nil: there may be none, so
// they have to be flushed before the write is answered, and then through is to be called. ErrQuota: there is none, for certain. errYield.
func (n *inode) reserve(ctx context.Context, f *FS, off uint64, k int, s *search) (through func(), err error) {
	if !f.nodes.limited() || n.takeRoom(f, k) {
		return nil, nil
	}
	waiting, stop := f.leases.untilWanted(ctx, n.ino)
	defer stop()
	if err := f.asks.Acquire(waiting, 1); err != nil {
		return nil, context.Cause(waiting)
	}
	r, granted := n.askRoom(ctx, f, k, fs.Return{})
	f.asks.Release(1)
	for !granted {
		if n.refused(r, off) {
			return nil, fmt.Errorf("a quota leaves nothing: %w", fs.ErrQuota)
		}
		if err := f.asks.Acquire(waiting, asksMax); err != nil {
			return nil, context.Cause(waiting)
		}
		r, granted = n.returnRoom(ctx, f, k)
		s.begin(r)
		if !granted && !n.refused(r, off) && ctx.Err() == nil && (!r.Wait || r.Left == 0 || time.Since(s.began) > s.wait) {
			return func() { f.asks.Release(asksMax) }, nil
		}
		f.asks.Release(asksMax)
		if !granted && !n.refused(r, off) && sleep(waiting, roomPause) != nil {
			return nil, context.Cause(waiting)
		}
	}
	return nil, nil
}

// begin takes in the first answer that room has to be waited for.
func (s *search) begin(r fs.Room) {
	if s.began.IsZero() {
		s.began, s.wait = time.Now(), time.Duration(r.Millis)*time.Millisecond
	}
}

// refused reports whether bytes at off would be, for certain: they make the file longer. So many writers at a limit cost a question each, which
// they ask side by side.
func (n *inode) refused(r fs.Room, off uint64) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return r.Full && off >= n.size()
}

// returnRoom asks for room when all that the mount was granted is returned and, as far as it was used, flushed. What becomes of that is
// its writers' to hear. Nobody else asks meanwhile.
func (n *inode) returnRoom(ctx context.Context, f *FS, k int) (r fs.Room, granted bool) {
	f.roomTurn.Add(1)
	if err := f.flushAll(ctx); err != nil {
		f.log.Debug("not all could be flushed to make room", "err", err)
	}
	return n.askRoom(ctx, f, k, fs.Return{All: true, Held: uint64(f.budget.inUse())})
}

// askRoom asks the leader for room for k bytes, and takes it. Without an answer there is none, and nothing to wait for.
func (n *inode) askRoom(ctx context.Context, f *FS, k int, back fs.Return) (r fs.Room, granted bool) {
	asked, turn := time.Now(), f.roomTurn.Load()
	r, err := f.roomFor(ctx, n, k, back)
	if err != nil {
		f.log.Debug("no room can be asked for", "ino", n.ino, "err", err)
		return fs.Room{}, false
	}
	life := time.Duration(r.Millis) * time.Millisecond
	n.room = room{r.Bytes, asked.Add(life / 2), turn}
	return r, n.takeRoom(f, k)
}

// takeRoom takes k bytes of what was granted before; the operation lock is held.
func (n *inode) takeRoom(f *FS, k int) bool {
	if n.room.bytes < uint64(k) || n.room.turn != f.roomTurn.Load() || !time.Now().Before(n.room.until) {
		return false
	}
	n.room.bytes -= uint64(k)
	return true
}

// roomFor asks the leader.
func (f *FS) roomFor(ctx context.Context, n *inode, k int, back fs.Return) (fs.Room, error) {
	return bounded(ctx, f, func(ctx context.Context) (fs.Room, error) {
		return inSession(ctx, f, func(r *registration) (fs.Room, error) {
			return f.meta.Room(ctx, r.Session, n.ino, uint64(k), back)
		})
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
	r, unknown := f.roomFor(ctx, n, len(p), fs.Return{All: true})
	if k := min(uint64(len(p)), r.Left); unknown == nil && k > 0 && n.writeNow(ctx, f, p[:k], off, kill) == nil {
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
