package metarpc

import (
	"context"
	"fmt"

	"dfs/fs"
	"dfs/raftmeta/metapb"
)

// File locks, both sides of the wire.

var _ fs.LockLister = (*Client)(nil)

// Lock implements fs.Locker. Each attempt sends the same number, by which the leader knows it.
func (c *Client) Lock(ctx context.Context, s fs.Session, call *fs.LockCall) (fs.LockAnswer, error) {
	rep, err := unary(ctx, c, "lock", toLockRequest(s, call), checkLockRequest, metapb.MetaClient.Lock)
	return fromLockReply(rep), err
}

// Locks implements fs.LockLister, at the leader.
func (c *Client) Locks(ctx context.Context, ino fs.Ino, limit int) (list *fs.LockList, err error) {
	req := &metapb.LocksRequest{Ino: uint64(ino), Limit: count(limit)}
	err = atLeader(ctx, c, "list locks", req, checkLocksRequest, metapb.ClusterClient.Locks,
		func(rep *metapb.LocksReply) { list = fromLockList(rep) })
	return list, err
}

// Lock implements metapb.MetaServer.
func (s *Server) Lock(ctx context.Context, r *metapb.LockRequest) (*metapb.LockReply, error) {
	return serve(ctx, s.limit, r, checkLockRequest, func(ctx context.Context, r *metapb.LockRequest) (fs.LockAnswer, error) {
		return s.meta.Lock(ctx, fromSession(r.GetSession()), fromLockRequest(r))
	}, toLockReply)
}

// Locks implements metapb.ClusterServer.
func (s *clusterServer) Locks(ctx context.Context, r *metapb.LocksRequest) (*metapb.LocksReply, error) {
	return serve(ctx, s.limit, r, checkLocksRequest, func(ctx context.Context, r *metapb.LocksRequest) (*fs.LockList, error) {
		if s.locks == nil {
			return nil, missing("locks")
		}
		return s.locks.Locks(ctx, fs.Ino(r.GetIno()), int(r.GetLimit()))
	}, toLockList)
}

func toLock(l fs.Lock) *metapb.Lock {
	return &metapb.Lock{Ino: uint64(l.Ino), Kind: uint32(l.Kind), Owner: l.Owner, Pid: l.PID, Type: uint32(l.Type), Start: l.Start, End: l.End}
}

func fromLock(l *metapb.Lock) fs.Lock {
	return fs.Lock{Ino: fs.Ino(l.GetIno()), Kind: fs.LockKind(l.GetKind()), Owner: l.GetOwner(), PID: l.GetPid(),
		Type: fs.LockType(l.GetType()), Start: l.GetStart(), End: l.GetEnd()}
}

func toLockRequest(s fs.Session, c *fs.LockCall) *metapb.LockRequest {
	return &metapb.LockRequest{Session: toSession(s), Seq: c.Seq, Open: c.Open, Action: uint32(c.Action), Ticket: c.Ticket, Lock: toLock(c.Lock)}
}

func fromLockRequest(r *metapb.LockRequest) *fs.LockCall {
	return &fs.LockCall{Seq: r.GetSeq(), Open: r.GetOpen(), Action: fs.LockAction(r.GetAction()), Ticket: r.GetTicket(), Lock: fromLock(r.GetLock())}
}

func toLockReply(a fs.LockAnswer) *metapb.LockReply {
	r := &metapb.LockReply{State: uint32(a.State), Own: a.Own}
	if a.Conflict != (fs.Lock{}) {
		r.Conflict = toLock(a.Conflict)
	}
	return r
}

func fromLockReply(r *metapb.LockReply) fs.LockAnswer {
	return fs.LockAnswer{State: fs.LockState(r.GetState()), Conflict: fromLock(r.GetConflict()), Own: r.GetOwn()}
}

func toLockClaim(c fs.LockClaim) *metapb.LockClaim {
	if c.Seq == 0 && c.Locks == nil {
		return nil
	}
	return &metapb.LockClaim{Locks: each(c.Locks, toLock), Seq: c.Seq}
}

func fromLockClaim(c *metapb.LockClaim) fs.LockClaim {
	return fs.LockClaim{Locks: each(c.GetLocks(), fromLock), Seq: c.GetSeq()}
}

func toLockList(l *fs.LockList) *metapb.LocksReply {
	return &metapb.LocksReply{Locks: each(l.Locks, toLockStatus), More: uint64(l.More), Owing: uint64(l.Owing), Time: int64(l.Time)}
}

func fromLockList(l *metapb.LocksReply) *fs.LockList {
	return &fs.LockList{Locks: each(l.GetLocks(), fromLockStatus), More: int(l.GetMore()), Owing: int(l.GetOwing()), Time: fs.Time(l.GetTime())}
}

func toLockStatus(s fs.LockStatus) *metapb.LockStatus {
	return &metapb.LockStatus{Lock: toLock(s.Lock), Waiting: s.Waiting, Since: int64(s.Since), Session: uint64(s.Session),
		Host: []byte(s.Host), Path: []byte(s.Path)}
}

func fromLockStatus(s *metapb.LockStatus) fs.LockStatus {
	return fs.LockStatus{Lock: fromLock(s.GetLock()), Waiting: s.GetWaiting(), Since: fs.Time(s.GetSince()), Session: fs.SessionID(s.GetSession()),
		Host: string(s.GetHost()), Path: string(s.GetPath())}
}

func checkLockRequest(r *metapb.LockRequest) error {
	action := fs.LockAction(r.GetAction())
	if r.GetAction() > uint32(fs.LockTest) || action < fs.LockTry {
		return invalid("lock: action %d", r.GetAction())
	}
	if len(r.GetOpen()) > fs.LockOpenMax {
		return fmt.Errorf("request refused: %d lock calls are open, at most %d: %w", len(r.GetOpen()), fs.LockOpenMax, fs.ErrTooLarge)
	}
	if waits := action == fs.LockWait || action == fs.LockCancel; r.GetSeq() == 0 && action != fs.LockTest || waits && r.GetTicket() == 0 {
		return invalid("lock: number %d, ticket %d for action %d", r.GetSeq(), r.GetTicket(), action)
	}
	if err := checkLock(r.GetLock()); err != nil {
		return err
	}
	return checkSession(r.GetSession())
}

func checkLock(l *metapb.Lock) error {
	switch {
	case l.GetKind() != uint32(fs.LockRange) && l.GetKind() != uint32(fs.LockFlock):
		return invalid("a lock of kind %d", l.GetKind())
	case l.GetType() != uint32(fs.LockRead) && l.GetType() != uint32(fs.LockWrite):
		return invalid("a lock of type %d", l.GetType())
	case l.GetStart() > l.GetEnd() || l.GetEnd() > fs.LockEnd:
		return invalid("a lock on bytes %d to %d", l.GetStart(), l.GetEnd())
	case l.GetKind() == uint32(fs.LockFlock) && (l.GetStart() != 0 || l.GetEnd() != fs.LockEnd):
		return invalid("a flock on bytes %d to %d", l.GetStart(), l.GetEnd())
	}
	return checkIno(l.GetIno())
}

func checkLockClaim(c *metapb.LockClaim) error {
	if len(c.GetLocks()) > fs.LocksMax {
		return fmt.Errorf("request refused: %d locks, at most %d: %w", len(c.GetLocks()), fs.LocksMax, fs.ErrTooLarge)
	}
	for _, l := range c.GetLocks() {
		if err := checkLock(l); err != nil {
			return err
		}
	}
	return nil
}

func checkLocksRequest(r *metapb.LocksRequest) error {
	if r.GetLimit() < 1 || r.GetLimit() > fs.LocksListedMax {
		return invalid("%d locks, want 1 … %d", r.GetLimit(), fs.LocksListedMax)
	}
	return nil
}
