package vfs

import (
	"context"
	"errors"
	"fmt"

	"dfs/fs"
)

// A file that is written whole, and shows itself only when it is whole: it is written without a name (Tmpfile), and then one
// transaction names it (LinkNew) or puts its content in the place of another file's (Replace). See DESIGN.md, Publishing.

// Guard is a precondition of a change, checked where the change is applied: unless the inode is at Version then, the change
// does not happen and is refused with fs.ErrConflict. The zero Guard always holds.
type Guard struct {
	Ino     fs.Ino
	Version uint64
}

// before puts the guard before an operation, in the same transaction.
func (g Guard) before(ops ...fs.Op) []fs.Op {
	if g == (Guard{}) {
		return ops
	}
	return append([]fs.Op{&fs.Check{Ino: g.Ino, Version: g.Version}}, ops...)
}

// guarded decides an operation behind its guard and returns the operation's result.
func (f *FS) guarded(ctx context.Context, g Guard, op fs.Op) (fs.Result, error) {
	results, err := f.do(ctx, g.before(op)...)
	if err != nil {
		return fs.Result{}, err
	}
	return results[len(results)-1], nil
}

// LinkNew flushes what was written through h, which Tmpfile made, and names the file: whoever finds the name finds all of
// the content. ErrExist if the name is taken, ErrNotExist if parent is gone, ErrStale if the file is: its session has
// ended. After a loss of anything that was written through h it is refused with that error.
func (h *Handle) LinkNew(ctx context.Context, parent fs.Ino, name string) (fs.Attr, error) {
	ctx, cancel := context.WithTimeout(ctx, h.f.cfg.OpTimeout)
	defer cancel()
	done, _, err := h.f.claim(ctx, []fs.Ino{parent, h.n.ino}, nil)
	if err != nil {
		return fs.Attr{}, h.orLost(ctx, err)
	}
	defer done()
	if err := h.n.lock(ctx); err != nil {
		return fs.Attr{}, err
	}
	defer h.n.unlock()
	if err := h.complete(ctx); err != nil {
		return fs.Attr{}, err
	}
	r, err := h.f.do1Claimed(ctx, &fs.Link{Ino: h.n.ino, Parent: parent, Name: name, Time: h.f.now()})
	if err != nil {
		return fs.Attr{}, h.orLost(ctx, err)
	}
	return h.n.observe(r.Attr), nil
}

// orLost is err, or, if something does not exist, that it is the file itself.
func (h *Handle) orLost(ctx context.Context, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		if _, lost := h.f.refresh(ctx, h.n); lost != nil {
			return lost
		}
	}
	return err
}

// Replace flushes what was written through h and makes it the whole content of the file that g names, which keeps its
// number, names, mode, owner and extended attributes, but not its set-id bits. One transaction does all of it, so others
// see the old content or the new one. ErrConflict if g does not hold; ErrStale and losses as for LinkNew;
// ErrTooManyExtents if the two files lie in too many pieces for one transaction.
func (h *Handle) Replace(ctx context.Context, g Guard) (fs.Attr, error) {
	if g.Ino == h.n.ino {
		return fs.Attr{}, fmt.Errorf("replace inode %d by itself: %w", g.Ino, fs.ErrInvalid)
	}
	ctx, cancel := context.WithTimeout(ctx, h.f.cfg.OpTimeout)
	defer cancel()
	done, _, err := h.f.claim(ctx, []fs.Ino{g.Ino}, nil)
	if errors.Is(err, fs.ErrNotExist) {
		return fs.Attr{}, fmt.Errorf("%v: %w", err, fs.ErrConflict)
	}
	if err != nil {
		return fs.Attr{}, err
	}
	defer done()
	dst := h.f.table.get(g.Ino)
	defer h.f.table.release(dst)
	unlock, err := lockBoth(ctx, h.n, dst)
	if err != nil {
		return fs.Attr{}, err
	}
	defer unlock()
	if err := h.complete(ctx); err != nil {
		return fs.Attr{}, err
	}
	// What this mount has written to dst comes before its replacement. Data of it that is lost is its writer's to hear of.
	if _, err := dst.drain(ctx, h.f); err != nil {
		return fs.Attr{}, err
	}
	h.n.mu.Lock()
	size := h.n.attr.Size
	h.n.mu.Unlock()
	r, err := h.f.replace(ctx, g, h.n.ino, size)
	if err != nil {
		return fs.Attr{}, gone(err) // a dst that is gone is a conflict, so this is about the source
	}
	return dst.observe(r.Attr), nil
}

// complete flushes h's file, whose operation lock is held, and refuses it if anything that was written is lost.
func (h *Handle) complete(ctx context.Context) error {
	if err := h.canWrite(); err != nil {
		return err
	}
	waited := h.n.drained(ctx, h.f)
	if err := h.Lost(); err != nil {
		return err
	}
	return waited
}

// Lost reports, once, that something written through h could not be flushed and is lost.
func (h *Handle) Lost() error {
	if err := h.lateError(); err != nil {
		return fmt.Errorf("earlier writes to inode %d are lost: %w", h.n.ino, err)
	}
	return nil
}

// replaceSteps are into how many operations the old content's cut and the new one's clone are each divided, one after the
// other as the bound of extents that one operation may touch asks for.
var replaceSteps = [...]uint64{1, 8, 64, 512}

func (f *FS) replace(ctx context.Context, g Guard, src fs.Ino, size uint64) (fs.Result, error) {
	var err error
	old := uint64(0)
	for _, steps := range replaceSteps {
		if steps > 1 {
			a, err := reading(ctx, f, func(ctx context.Context) (fs.Attr, error) { return f.meta.Getattr(ctx, g.Ino) })
			if errors.Is(err, fs.ErrNotExist) {
				return fs.Result{}, fmt.Errorf("%v: %w", err, fs.ErrConflict)
			}
			if err != nil {
				return fs.Result{}, err
			}
			old = a.Size
		}
		var results []fs.Result
		results, err = f.doClaimed(ctx, g.before(replaceOps(g.Ino, old, src, size, steps, f.now())...)...)
		if err == nil {
			return results[len(results)-1], nil
		}
		if !errors.Is(err, fs.ErrTooManyExtents) {
			break
		}
	}
	return fs.Result{}, err
}

// replaceOps cut dst, which has old bytes or so, and fill it from src, which has size, in so many steps each.
func replaceOps(dst fs.Ino, old uint64, src fs.Ino, size, steps uint64, now fs.Time) []fs.Op {
	var ops []fs.Op
	for left := steps; left > 0; left-- {
		ops = append(ops, &fs.Setattr{Ino: dst, Set: fs.SetSize, Size: old / steps * (left - 1), Time: now, KillPriv: true})
	}
	step := (size + steps - 1) / steps
	for off := uint64(0); off < size; off += step {
		n := min(step, size-off)
		ops = append(ops, &fs.Clone{Src: src, SrcOff: off, Dst: dst, DstOff: off, Len: n, Time: now, KillPriv: true})
	}
	return ops
}
