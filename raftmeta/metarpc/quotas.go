package metarpc

import (
	"context"
	"strings"

	"dfs/fs"
	"dfs/raftmeta/metapb"
)

// Quotas and room for what is written, both sides of the wire.

var _ fs.Quotas = (*Client)(nil)

// SetQuota implements fs.Quotas, at the leader, as those below do.
func (c *Client) SetQuota(ctx context.Context, of fs.QuotaOf, change fs.LimitChange) error {
	req := &metapb.SetQuotaRequest{Of: toQuotaOf(of), SetBytes: change.SetBytes, SetInodes: change.SetInodes, Limits: toLimits(change.Limits)}
	return atLeader(ctx, c, "set quota", req, checkSetQuota, metapb.ClusterClient.SetQuota, nil)
}

// RemoveQuota implements fs.Quotas.
func (c *Client) RemoveQuota(ctx context.Context, of fs.QuotaOf) error {
	return atLeader(ctx, c, "remove quota", toQuotaOf(of), checkQuotaOf, metapb.ClusterClient.RemoveQuota, nil)
}

// Quotas implements fs.Quotas.
func (c *Client) Quotas(ctx context.Context, after fs.QuotaID, limit int, all bool) (list []fs.Quota, err error) {
	req := &metapb.QuotasRequest{After: toQuotaID(after), Limit: count(limit), All: all}
	err = atLeader(ctx, c, "list quotas", req, checkQuotas, metapb.ClusterClient.Quotas,
		func(rep *metapb.QuotasReply) { list = each(rep.GetQuotas(), fromQuota) })
	return list, err
}

// Room implements fs.Space.
func (c *Client) Room(ctx context.Context, s fs.Session, ino fs.Ino, want uint64, back fs.Return) (fs.Room, error) {
	req := &metapb.RoomRequest{Session: toSession(s), Ino: uint64(ino), Want: want, ReturnAll: back.All, Held: back.Held}
	rep, err := unary(ctx, c, "room", req, checkRoom, metapb.MetaClient.Room)
	return fromRoom(rep), err
}

// SetQuota implements metapb.ClusterServer, as the methods below do.
func (s *clusterServer) SetQuota(ctx context.Context, r *metapb.SetQuotaRequest) (*metapb.Empty, error) {
	return serve(ctx, s.limit, r, checkSetQuota, func(ctx context.Context, r *metapb.SetQuotaRequest) (*metapb.Empty, error) {
		if s.quotas == nil {
			return nil, missing("quotas")
		}
		change := fs.LimitChange{SetBytes: r.GetSetBytes(), SetInodes: r.GetSetInodes(), Limits: fromLimits(r.GetLimits())}
		return &metapb.Empty{}, s.quotas.SetQuota(ctx, fromQuotaOf(r.GetOf()), change)
	}, same)
}

func (s *clusterServer) RemoveQuota(ctx context.Context, r *metapb.QuotaOf) (*metapb.Empty, error) {
	return serve(ctx, s.limit, r, checkQuotaOf, func(ctx context.Context, r *metapb.QuotaOf) (*metapb.Empty, error) {
		if s.quotas == nil {
			return nil, missing("quotas")
		}
		return &metapb.Empty{}, s.quotas.RemoveQuota(ctx, fromQuotaOf(r))
	}, same)
}

func (s *clusterServer) Quotas(ctx context.Context, r *metapb.QuotasRequest) (*metapb.QuotasReply, error) {
	return serve(ctx, s.limit, r, checkQuotas, func(ctx context.Context, r *metapb.QuotasRequest) ([]fs.Quota, error) {
		if s.quotas == nil {
			return nil, missing("quotas")
		}
		after := fs.QuotaID{User: r.GetAfter().GetUser(), Number: r.GetAfter().GetNumber()}
		return s.quotas.Quotas(ctx, after, int(r.GetLimit()), r.GetAll())
	}, func(list []fs.Quota) *metapb.QuotasReply { return &metapb.QuotasReply{Quotas: each(list, toQuota)} })
}

// Room implements metapb.MetaServer.
func (s *Server) Room(ctx context.Context, r *metapb.RoomRequest) (*metapb.RoomReply, error) {
	return serve(ctx, s.limit, r, checkRoom, func(ctx context.Context, r *metapb.RoomRequest) (fs.Room, error) {
		back := fs.Return{All: r.GetReturnAll(), Held: r.GetHeld()}
		return s.meta.Room(ctx, fromSession(r.GetSession()), fs.Ino(r.GetIno()), r.GetWant(), back)
	}, toRoom)
}

func toQuotaOf(of fs.QuotaOf) *metapb.QuotaOf {
	return &metapb.QuotaOf{User: of.User, Uid: of.UID, Path: []byte(of.Path)}
}

func fromQuotaOf(of *metapb.QuotaOf) fs.QuotaOf {
	return fs.QuotaOf{User: of.GetUser(), UID: of.GetUid(), Path: string(of.GetPath())}
}

func toLimits(l fs.Limits) *metapb.Limits { return &metapb.Limits{Bytes: l.Bytes, Inodes: l.Inodes} }

func fromLimits(l *metapb.Limits) fs.Limits {
	return fs.Limits{Bytes: l.GetBytes(), Inodes: l.GetInodes()}
}

func toQuotaID(id fs.QuotaID) *metapb.QuotaID {
	return &metapb.QuotaID{User: id.User, Number: id.Number}
}

func toQuota(q fs.Quota) *metapb.Quota {
	return &metapb.Quota{Id: toQuotaID(q.ID), Path: []byte(q.Path), Limits: toLimits(q.Limits), UsedBytes: q.Used.Bytes,
		UsedInodes: q.Used.Inodes, State: q.State}
}

func fromQuota(q *metapb.Quota) fs.Quota {
	return fs.Quota{ID: fs.QuotaID{User: q.GetId().GetUser(), Number: q.GetId().GetNumber()}, Path: string(q.GetPath()),
		Limits: fromLimits(q.GetLimits()), Used: fs.Usage{Bytes: q.GetUsedBytes(), Inodes: q.GetUsedInodes()}, State: q.GetState()}
}

func toRoom(r fs.Room) *metapb.RoomReply {
	return &metapb.RoomReply{Bytes: r.Bytes, Millis: r.Millis, Wait: r.Wait, Left: r.Left, Full: r.Full}
}

func fromRoom(r *metapb.RoomReply) fs.Room {
	return fs.Room{Bytes: r.GetBytes(), Millis: r.GetMillis(), Wait: r.GetWait(), Left: r.GetLeft(), Full: r.GetFull()}
}

func checkQuotaOf(of *metapb.QuotaOf) error {
	p := string(of.GetPath())
	switch {
	case len(p) > fs.PathMax:
		return invalid("a path of %d bytes", len(p))
	case strings.ContainsRune(p, 0) || of.GetUser() && p != "" || !of.GetUser() && of.GetUid() != 0:
		return invalid("the quota of uid %d and path %q", of.GetUid(), p)
	}
	return nil
}

func checkSetQuota(r *metapb.SetQuotaRequest) error {
	if !r.GetSetBytes() && !r.GetSetInodes() {
		return invalid("a quota without a limit")
	}
	return checkQuotaOf(r.GetOf())
}

func checkQuotas(r *metapb.QuotasRequest) error {
	if r.GetLimit() < 1 || r.GetLimit() > fs.QuotasMax {
		return invalid("%d quotas, want 1 … %d", r.GetLimit(), fs.QuotasMax)
	}
	return nil
}

func checkRoom(r *metapb.RoomRequest) error {
	if err := checkIno(r.GetIno()); err != nil {
		return err
	}
	return checkSession(r.GetSession())
}
