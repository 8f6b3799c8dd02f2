package raftmeta

import (
	"context"
	"errors"
	"fmt"
	"time"

	"dfs/fs"
	"dfs/raftmeta/command"
)

const (
	mountTextMax = 16 << 10 // bytes of what a mount says about itself
	pinsMax      = 1 << 20  // inodes that one session may have pinned
	claimsMax    = 4 << 20  // inodes that it may claim before a first beat has told which of them count
)

// OpenSession implements fs.Sessions.
func (n *Node) OpenSession(ctx context.Context, who fs.Mount) (fs.Session, error) {
	if len(who.Host)+len(who.Path)+len(who.Version) > mountTextMax {
		return fs.Session{}, fmt.Errorf("open session: %w", fs.ErrTooLarge)
	}
	owner := fs.CallerOf(ctx).Owner
	subtree, err := fs.ParseSubtree(who.Subtree)
	if err != nil {
		return fs.Session{}, fmt.Errorf("open session: subtree: %w", err)
	}
	scope, err := owner.Scope.Narrow(fs.Scope{Subtree: subtree, ReadOnly: who.ReadOnly})
	if err != nil {
		return fs.Session{}, fmt.Errorf("open session: %w", err)
	}
	who.Subtree, who.ReadOnly = scope.Subtree, scope.ReadOnly
	answer, err := n.change(ctx, &command.OpenSession{Mount: who, Owner: owner})
	if err != nil && scope.Subtree != "" {
		return fs.Session{}, fmt.Errorf("open session in %s: %w", scope.Subtree, err)
	}
	if err != nil {
		return fs.Session{}, fmt.Errorf("open session: %w", err)
	}
	n.logger.Info("session opened", "session", answer.Session.ID, "host", who.Host, "path", who.Path, "certificate", owner.Name,
		"subtree", who.Subtree, "readonly", who.ReadOnly)
	return answer.Session, nil
}

// CloseSession implements fs.Sessions.
func (n *Node) CloseSession(ctx context.Context, s fs.Session) error {
	if err := n.mayUse(ctx, s); err != nil {
		if errors.Is(err, fs.ErrFenced) {
			return nil // it has ended already
		}
		return fmt.Errorf("close session %d: %w", s.ID, err)
	}
	if _, err := n.change(ctx, &command.EndSession{Session: s.ID, Epoch: s.Epoch}); err != nil {
		return fmt.Errorf("close session %d: %w", s.ID, err)
	}
	if r, _ := n.leader.get(); r != nil {
		r.sessions.mu.Lock()
		defer r.sessions.mu.Unlock()
		if e := r.sessions.sessions[s.ID]; e != nil && e.Epoch == s.Epoch {
			r.sessions.remove(e, fs.ErrFenced)
		}
	}
	return nil
}

// AllocInos implements fs.Sessions.
func (n *Node) AllocInos(ctx context.Context, s fs.Session, count int) (fs.InoRange, error) {
	if err := n.mayUse(ctx, s); err != nil {
		return fs.InoRange{}, fmt.Errorf("allot inode numbers: %w", err)
	}
	answer, err := n.change(ctx, &command.AllocInos{Session: s.ID, Epoch: s.Epoch, N: count})
	if err != nil {
		return fs.InoRange{}, fmt.Errorf("allot inode numbers: %w", err)
	}
	return answer.Inos, nil
}

// Pin implements fs.Sessions. It registers the pin first and then looks whether the inode is there, with leadership
// proven after the registration; DESIGN.md argues why no reap can slip in between.
func (n *Node) Pin(ctx context.Context, s fs.Session, ino fs.Ino) (fs.Attr, error) {
	ctx, cancel := n.bound(ctx)
	defer cancel()
	attr, err := n.pin(ctx, s, ino)
	if err != nil {
		return fs.Attr{}, fmt.Errorf("pin inode %d: %w", ino, err)
	}
	return attr, nil
}

func (n *Node) pin(ctx context.Context, s fs.Session, ino fs.Ino) (attr fs.Attr, err error) {
	r, err := n.leading(ctx)
	if err != nil {
		return attr, err
	}
	t := r.sessions
	look := func(snap *snapshot) (err error) {
		attr, err = snap.Getattr(ino)
		return err
	}
	e, err := t.find(ctx, s)
	if err == nil {
		err = checkOwner(&s, e.owner, fs.CallerOf(ctx).Owner)
	}
	if err == nil && e.Root != fs.RootIno { // what it may not see it shall not pin either, not even for a moment
		look = func(snap *snapshot) error {
			record, err := snap.session(s)
			if err == nil {
				attr, err = snap.As(record).Getattr(ino)
			}
			return err
		}
		err = n.readIn(ctx, r, look)
	}
	if err != nil {
		return fs.Attr{}, err
	}
	err = t.with(ctx, s, func(e *session) error {
		if _, reaping := t.reaping[ino]; reaping {
			return fs.ErrNotExist
		}
		if len(e.pins) >= pinsMax {
			return fs.ErrTooLarge
		}
		t.pin(e, ino)
		return nil
	})
	if err != nil {
		return attr, err
	}
	if err := n.cfg.Faults.At("pin.registered"); err != nil {
		return attr, err
	}
	leases, err := n.letThrough(ctx, r, ino)
	if err == nil {
		err = n.readIn(ctx, r, look)
	}
	if err == nil {
		r.granted(ctx, leases)
	}
	if errors.Is(err, fs.ErrNotExist) {
		// Nobody can have pinned it with success, so that this pin is nobody else's. After another error it stays: a
		// second call may have succeeded meanwhile.
		t.mu.Lock()
		defer t.mu.Unlock()
		if e := t.sessions[s.ID]; e != nil && e.Epoch == s.Epoch {
			t.unpin(e, ino)
		}
	}
	return attr, err
}

// Attach implements fs.Sessions. The stream's first beat completes the list of pins; see sessionTable.told. A session has one
// stream: a new one ends the one before.
func (n *Node) Attach(ctx context.Context, s fs.Session, held fs.Held) (fs.Stream, error) {
	pins := held.Pins
	if len(pins) > pinsMax || len(held.Leases) > fs.LeasesMax {
		return nil, fmt.Errorf("attach with %d pins and %d leases: %w", len(pins), len(held.Leases), fs.ErrTooLarge)
	}
	ctx, cancel := n.bound(ctx)
	defer cancel()
	r, err := n.leading(ctx)
	if err != nil {
		return nil, fmt.Errorf("attach: %w", err)
	}
	t := r.sessions
	e, err := t.find(ctx, s)
	if err == nil {
		err = checkOwner(&s, e.owner, fs.CallerOf(ctx).Owner)
	}
	if err == nil {
		pins, err = n.pinnable(ctx, e.Session, pins)
	}
	if err != nil {
		return nil, fmt.Errorf("attach: %w", err)
	}
	st := newStream(t, e.Session)
	err = t.with(ctx, s, func(e *session) error {
		e.round++
		if err := t.claim(e, pins, claimsMax); err != nil {
			return err
		}
		if err := t.desk.Attach(s.ID, held.Leases, recallLimit(&e.Session), st.recall); err != nil {
			return err
		}
		e.heard = time.Now()
		if e.stream != nil {
			e.stream.end(fmt.Errorf("session %d has attached anew: %w", s.ID, fs.ErrUnavailable))
		}
		e.stream = st
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("attach: %w", err)
	}
	if err := n.cfg.Faults.At("attach.told"); err != nil {
		return nil, errors.Join(fmt.Errorf("attach: %w", err), st.Close())
	}
	if err := n.proveLeader(ctx, r, time.Now()); err != nil {
		return nil, errors.Join(fmt.Errorf("attach: %w", err), st.Close())
	}
	return st, nil
}

// claim registers what a session says it has pinned, if it is then no more than limit; mu is held. What is being reaped cannot
// be pinned any more. A session that attaches with ever other lists, and never beats, is refused in the end, and so expires.
func (t *sessionTable) claim(e *session, pins []fs.Ino, limit int) error {
	if len(pins) > 0 && len(e.pins)+len(pins) > limit {
		return fmt.Errorf("%d pins more than %d: %w", len(pins), len(e.pins), fs.ErrTooLarge)
	}
	for _, ino := range pins {
		if _, reaping := t.reaping[ino]; !reaping {
			t.pin(e, ino)
		}
	}
	return nil
}

// told is called when a session's new stream has brought its first beat: with it the session has told all its pins. Those
// that were registered before the stream was, and that it did not tell again, are nobody's; mu is held.
func (t *sessionTable) told(e *session) {
	e.attached = true
	for ino, round := range e.pins {
		if round < e.round {
			t.unpin(e, ino)
		}
	}
}
