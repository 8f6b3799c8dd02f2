package vfs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"dfs/fs"
)

// keep keeps the session alive until ctx ends, and replaces it when it is fenced.
func (f *FS) keep(ctx context.Context) {
	var wait backoff
	for ctx.Err() == nil {
		r := f.sessions.get()
		if r == nil {
			f.register(ctx)
			wait = backoff{}
			continue
		}
		answered, err := f.serve(ctx, r)
		if errors.Is(err, fs.ErrFenced) {
			f.fenced(r)
			continue
		}
		if ctx.Err() != nil {
			return
		}
		level := slog.LevelDebug
		if answered || wait == (backoff{}) { // news; that it still does not work is none
			wait, level = backoff{}, slog.LevelWarn
		}
		f.log.Log(ctx, level, "the line to the leader broke; attaching again", "session", r.ID, "err", err)
		wait.sleep(ctx, r.over)
	}
}

// serve attaches r and beats until the stream breaks; answered reports whether a beat was answered.
func (f *FS) serve(ctx context.Context, r *registration) (answered bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	st, err := f.attach(ctx, r)
	if err != nil {
		return false, err
	}
	// A stream outlives the context that it was opened in, and a Send may be stuck in it.
	defer context.AfterFunc(ctx, func() { _ = st.Close() })()
	notices := make(chan fs.Notice)
	broken := make(chan error, 1)
	receiving := make(chan struct{})
	go func() {
		defer close(receiving)
		receive(ctx, st, notices, broken)
	}()
	defer func() {
		cancel()
		// The stream is abandoned: whatever its Close says changes nothing.
		_ = st.Close()
		<-receiving
	}()
	return f.beat(ctx, cancel, r, st, notices, broken)
}

// attachMax bounds one Attach, for what is opened meanwhile has to fit into a beat. So does half of the session's time-out:
// silence is noticed after the other half, and the metadata client gives a leader that hangs only half of what Attach has,
// so that a short session too lives to find the next.
const attachMax = 5 * time.Second

// attach opens the stream. What was on the way when the list of pins was taken, or has begun since, may be pinned at a
// leader that is none any more; so the first beat tells what the list did not.
func (f *FS) attach(ctx context.Context, r *registration) (fs.Stream, error) {
	if r.ended() {
		return nil, fs.ErrFenced
	}
	ctx, cancel := context.WithTimeout(ctx, min(r.timeout()/2, attachMax))
	defer cancel()
	st, err := f.meta.Attach(ctx, r.Session, fs.Held{Pins: f.pins.list(), Leases: f.leases.reclaim()})
	if err != nil {
		return nil, fmt.Errorf("attach session %d: %w", r.ID, err)
	}
	f.pins.reattached()
	return st, nil
}

func receive(ctx context.Context, st fs.Stream, notices chan<- fs.Notice, broken chan<- error) {
	for {
		n, err := st.Recv()
		if err != nil {
			broken <- err
			return
		}
		select {
		case notices <- n:
		case <-ctx.Done():
			broken <- ctx.Err()
			return
		}
	}
}

// beatsPerTimeout is how many beats are sent in a session's time-out: often enough for the metadata client to notice soon that its leader
// has gone silent, and to look for another one (metarpc/DESIGN.md, Doubt).
const beatsPerTimeout = 10

// beat sends beats and takes in notices. Half the session's time-out without an answer cancels ctx, which also frees a
// Send that blocks: the other half is for finding a leader that does answer.
func (f *FS) beat(ctx context.Context, cancel func(), r *registration, st fs.Stream, notices <-chan fs.Notice, broken <-chan error) (answered bool, err error) {
	patience := r.timeout() / 2
	silence := time.AfterFunc(patience, cancel)
	defer silence.Stop()
	tick := time.NewTicker(r.timeout() / beatsPerTimeout)
	defer tick.Stop()
	var seq uint64
	send := func() error {
		seq++
		f.leases.sending(seq)
		// Acks first: what is opened from now on is opened under leases that are not among them.
		b := fs.Beat{Seq: seq, Acks: f.leases.takeAcks(), Unpins: f.pins.depart(seq), Activity: f.cfg.Activity()}
		if b.Pins = f.pins.takeUntold(); seq == 1 {
			b.Pins, b.Locks = f.pins.unlisted(), f.locks.list(r)
		}
		return st.Send(b)
	}
	for err = send(); err == nil; {
		select {
		case <-tick.C:
			err = send()
		case <-f.pins.many:
			err = send()
		case <-f.leases.due:
			err = send()
		case n := <-notices:
			f.leases.attached(n.Term)
			f.recalled(n.Recalls)
			if n.Ack != 0 {
				silence.Reset(patience)
				f.pins.arrive(n.Ack)
				f.leases.answered(n.Ack, r.timeout())
				f.heard()
				answered = true
			}
			f.locks.wake(n.Tickets)
			f.nodes.set(n)
		case err = <-broken:
		case <-r.over:
			err = fs.ErrFenced
		case <-ctx.Done():
			err = fmt.Errorf("no beat was answered for %v: %w", patience, fs.ErrTimeout)
		}
	}
	return answered, err
}

// register opens a new session, pins what is open and makes it the current one.
func (f *FS) register(ctx context.Context) {
	var wait backoff
	for ctx.Err() == nil {
		r, err := f.open(ctx)
		if err == nil {
			if err = f.repin(ctx, r); err == nil {
				f.begins(r)
				f.log.Info("a new session is open", "session", r.ID, "epoch", r.Epoch)
				return
			}
		}
		f.log.Warn("cannot open a new session yet", "err", err)
		wait.sleep(ctx, nil)
	}
}

// open opens a session.
func (f *FS) open(ctx context.Context) (*registration, error) {
	ctx, cancel := context.WithTimeout(ctx, f.cfg.OpTimeout)
	defer cancel()
	who := f.cfg.Mount
	who.Opened = f.now()
	s, err := f.meta.OpenSession(ctx, who)
	if err != nil {
		return nil, fmt.Errorf("open a session: %w", err)
	}
	f.enter(&s)
	return newRegistration(s), nil
}

// repinsMax is how many inodes are pinned again at once. Nobody beats for the session yet, so it must not take long.
const repinsMax = 64

// repin pins under r whatever is open.
func (f *FS) repin(ctx context.Context, r *registration) error {
	todo := f.pins.all()
	var next atomic.Int64
	failed := make(chan error, repinsMax)
	var pinning sync.WaitGroup
	for range min(repinsMax, len(todo)) {
		pinning.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(todo)); i = next.Add(1) - 1 {
				if err := f.repin1(ctx, r, todo[i]); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	pinning.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// repin1 pins one inode. If it has been reaped meanwhile it is gone: its handles get ErrStale.
func (f *FS) repin1(ctx context.Context, r *registration, ino fs.Ino) error {
	_, err := f.bounded(ctx, func(ctx context.Context) (fs.Attr, error) { return f.meta.Pin(ctx, r.Session, ino) })
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrAccess) { // reaped, or moved to where the session sees nothing
		if n := f.table.peek(ino); n != nil {
			n.lost(f)
			f.table.release(n)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("pin inode %d again: %w", ino, err)
	}
	return nil
}

func (r *registration) timeout() time.Duration {
	return max(time.Duration(r.TimeoutMillis)*time.Millisecond, 30*time.Millisecond)
}
