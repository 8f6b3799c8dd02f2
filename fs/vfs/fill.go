package vfs

import (
	"context"
	"fmt"
	"time"

	"dfs/fs"
)

// A fill is a read whose answer the front keeps as pages of the file, which a mapping believes without asking. So it must be covered: by
// a lease that is held, or by a pass, the dropping of a file's pages before a lease is given back, that comes after it. The front's kernel
// holds a page locked from before it asks for it until it has the answer, and a pass waits for locked pages: so a pass covers
// all fills that were entered before it began. See DESIGN.md, "Pages".

const (
	// fillPatience is how long a fill that came in during a pass waits for the ack. It may be what the pass waits for.
	fillPatience = 2 * time.Millisecond
	// passesMax bounds the passes before an ack.
	passesMax = 8
	// fillTries and fillTime bound the search for a lease.
	fillTries = 8
	fillTime  = time.Second
)

// giving is the work of giving a lease back.
type giving struct {
	k     *known // what was known under it, once that is forgotten here
	pass  uint64 // the number of the pass that is under way, or was the last; 0: none has begun
	again bool   // a page may have come behind that: another pass is needed
}

// ReadPages is Read for a front that keeps the answer as pages. covered: they are recalled before anybody changes the file. Else the front must
// see to it that it drops them soon.
func (h *Handle) ReadPages(ctx context.Context, p []byte, off uint64) (k int, covered bool, err error) {
	if err := h.usable(); err != nil {
		return 0, false, err
	}
	ctx, cancel := context.WithTimeout(ctx, h.f.cfg.OpTimeout)
	defer cancel()
	l := h.f.leases
	entered, began := l.entered(), time.Now()
	for try := 1; ; try++ {
		lease, err := h.f.refreshHeld(ctx, h.n)
		if err != nil {
			return 0, false, fmt.Errorf("read inode %d: %w", h.n.ino, err)
		}
		if k, err = h.read(ctx, p, off); err != nil {
			return 0, false, err
		}
		if lease != nil && l.covers(ctx, h.n.ino, lease, entered) {
			return k, true, nil
		}
		if try == fillTries || time.Since(began) > fillTime || ctx.Err() != nil || !l.timely() {
			return k, false, nil
		}
		_ = sleep(ctx, time.Duration(try)*time.Millisecond) // the leader may not have heard yet that the last lease is given back
	}
}

// entered is the present moment, for covers.
func (l *leases) entered() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.passes
}

// refreshHeld is refresh that wants a lease, and returns what is known under it: what is read afterwards is right as long as it
// is held. nil: the leader gave none.
func (f *FS) refreshHeld(ctx context.Context, n *inode) (lease *known, err error) {
	l := f.leases
	l.mu.Lock()
	k, before := l.usable(n.ino), l.held(n.ino)
	if k != nil && k.attr.Ino != 0 {
		a := k.attr
		l.mu.Unlock()
		n.observe(a)
		return k, nil
	}
	l.mu.Unlock()
	var a fs.Attr
	at := l.before(n.ino)
	_, err = askingFor(ctx, f, fs.LeaseCall{Want: fs.LeaseShared, Page: true},
		func(ctx context.Context) (fs.Attr, error) { return f.meta.Getattr(ctx, n.ino) },
		func(answer fs.Attr, err error) {
			a, _ = l.noteAttr(n.ino, at, answer, err)
			if now := l.held(n.ino); now == before || l.fresh[n.ino] {
				lease = now
			}
		})
	if err != nil {
		return nil, gone(err)
	}
	n.observe(a)
	return lease, nil
}

// held is what stands for an inode's lease until the leader may hear that it is given back; mu is held.
func (l *leases) held(ino fs.Ino) *known {
	if k := l.known[ino]; k != nil {
		return k
	}
	if g := l.giving[ino]; g != nil {
		return g.k
	}
	return nil
}

// covers reports whether a page may be handed to the front that was read under a lease by a fill that came in at a moment. Not, if that is
// given back.
func (l *leases) covers(ctx context.Context, ino fs.Ino, lease *known, entered uint64) bool {
	patience := time.NewTimer(fillPatience)
	defer patience.Stop()
	for impatient := false; ; {
		l.mu.Lock()
		g, changed := l.giving[ino], l.changed
		switch {
		case l.known[ino] == lease: // its dropping is to come
			l.mu.Unlock()
			return true
		case g == nil || g.k != lease:
			l.mu.Unlock()
			return false
		case g.pass > entered:
			l.mu.Unlock()
			return true
		case g.pass == 0 || impatient: // it may be that nothing was to be dropped
			g.again = true
			l.mu.Unlock()
			return true
		}
		l.mu.Unlock()
		select {
		case <-changed:
		case <-patience.C:
			impatient = true
		case <-ctx.Done():
			impatient = true
		}
	}
}

// passing notes that the front is about to be told to drop what it has of inodes.
func (l *leases) passing(told []*known) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.passes++
	for _, k := range told {
		g := l.giving[k.ino]
		g.pass, g.again = l.passes, false
	}
}
