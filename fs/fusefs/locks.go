package fusefs

import (
	"context"
	"errors"
	"fmt"

	"dfs/fs"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// What the kernel is told of a lock that is not granted.
var (
	errWouldBlock = errors.New("somebody else holds the lock")
	errDeadlock   = errors.New("whoever holds the lock waits for this owner")
	errNoLocks    = errors.New("too many locks")
)

// GetLk implements fuse.RawFileSystem: F_GETLK. The holder's process is named only if it is on this mount; elsewhere its number
// means somebody else.
func (f *front) GetLk(cancel <-chan struct{}, in *fuse.LkIn, out *fuse.LkOut) fuse.Status {
	return f.do(OpGetlk, cancel, &in.InHeader, func(r *request) error {
		file, l, err := f.lockOf(in)
		if err != nil {
			return err
		}
		out.Lk = fuse.FileLock{Typ: unix.F_UNLCK}
		c, own, held, err := file.h.TestLock(r, l)
		if err != nil || !held {
			return err
		}
		out.Lk = fuse.FileLock{Start: c.Start, End: c.End, Typ: unix.F_RDLCK}
		if c.Type == fs.LockWrite {
			out.Lk.Typ = unix.F_WRLCK
		}
		if own {
			out.Lk.Pid = c.PID
		}
		return nil
	})
}

// SetLk implements fuse.RawFileSystem: F_SETLK, F_OFD_SETLK, and flock(2) with LOCK_NB.
func (f *front) SetLk(cancel <-chan struct{}, in *fuse.LkIn) fuse.Status {
	return f.do(OpSetlk, cancel, &in.InHeader, func(r *request) error { return f.setLock(r, r, in, false) })
}

// SetLkw implements fuse.RawFileSystem: F_SETLKW, F_OFD_SETLKW, and flock(2). Of all requests only this one is ended by any signal,
// as by a local filesystem; the kernel sends it again where the program's handler says so.
func (f *front) SetLkw(cancel <-chan struct{}, in *fuse.LkIn) fuse.Status {
	return f.do(OpSetlkw, cancel, &in.InHeader, func(r *request) error {
		ctx, end := context.WithCancel(r)
		looked := make(chan struct{})
		go func() { // it must not look at the channel any more when the request is answered
			defer close(looked)
			select {
			case <-cancel:
				end()
			case <-ctx.Done():
			}
		}()
		defer func() {
			end()
			<-looked
		}()
		return f.setLock(ctx, r, in, true)
	})
}

// setLock locks or unlocks.
func (f *front) setLock(ctx context.Context, r *request, in *fuse.LkIn, wait bool) error {
	file, l, err := f.lockOf(in)
	if err != nil {
		return err
	}
	var state fs.LockState
	if in.Lk.Typ == unix.F_UNLCK {
		state, err = file.h.Unlock(r, l)
	} else {
		state, err = file.h.Lock(ctx, l, wait)
	}
	if err != nil {
		return err
	}
	return errOfLock(state)
}

func errOfLock(state fs.LockState) error {
	switch state {
	case fs.LockGranted:
		return nil
	case fs.LockBusy:
		return errWouldBlock
	case fs.LockDeadlock:
		return errDeadlock
	case fs.LockFull:
		return errNoLocks
	}
	return fmt.Errorf("a lock is in state %d: %w", state, fs.ErrInternal)
}

// lockOf is what a request asks for. The kernel does not say whether a range lock is a process's or an OFD lock: the owner's number
// tells whose it is.
func (f *front) lockOf(in *fuse.LkIn) (*file, fs.Lock, error) {
	l := fs.Lock{Kind: fs.LockRange, Owner: in.Owner, PID: in.Lk.Pid, Start: in.Lk.Start, End: min(in.Lk.End, fs.LockEnd), Type: fs.LockRead}
	if in.LkFlags&fuse.LK_FLOCK != 0 {
		l.Kind, l.Start, l.End = fs.LockFlock, 0, fs.LockEnd
	}
	if in.Lk.Typ == unix.F_WRLCK {
		l.Type = fs.LockWrite
	}
	if l.Start > l.End {
		return nil, l, fmt.Errorf("a lock on bytes %d to %d: %w", l.Start, l.End, fs.ErrInvalid)
	}
	file, err := f.files.get(in.Fh)
	return file, l, err
}

// lockLost refuses a GETATTR through a handle that relies on a lost lock: the kernel asks so before it reads from its pages.
func (f *front) lockLost(in *fuse.GetAttrIn) error {
	if in.Flags()&fuse.FUSE_GETATTR_FH == 0 {
		return nil
	}
	file, err := f.files.get(in.Fh())
	if err != nil {
		return nil // a directory's, or one that has just been closed
	}
	return file.h.LockLost()
}
