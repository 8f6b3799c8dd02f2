package metarpc

import (
	"context"

	"dfs/fs"
	"dfs/raftmeta/metapb"
)

// OpenSession implements metapb.MetaServer, as the methods below do.
func (s *Server) OpenSession(ctx context.Context, r *metapb.Mount) (*metapb.Session, error) {
	return serve(ctx, s.limit, r, checkMount, func(ctx context.Context, r *metapb.Mount) (fs.Session, error) {
		return s.meta.OpenSession(ctx, fromMount(r))
	}, toSession)
}

// CloseSession implements metapb.MetaServer.
func (s *Server) CloseSession(ctx context.Context, r *metapb.Session) (*metapb.Empty, error) {
	return serve(ctx, s.limit, r, checkSession, func(ctx context.Context, r *metapb.Session) (*metapb.Empty, error) {
		return &metapb.Empty{}, s.meta.CloseSession(ctx, fromSession(r))
	}, same)
}

// Pin implements metapb.MetaServer.
func (s *Server) Pin(ctx context.Context, r *metapb.PinRequest) (*metapb.AttrReply, error) {
	return serve(ctx, s.limit, r, checkPin, func(ctx context.Context, r *metapb.PinRequest) (fs.Attr, error) {
		return s.meta.Pin(ctx, fromSession(r.GetSession()), fs.Ino(r.GetIno()))
	}, toAttrReply)
}

// AllocInos implements metapb.MetaServer.
func (s *Server) AllocInos(ctx context.Context, r *metapb.AllocInosRequest) (*metapb.InoRange, error) {
	return serve(ctx, s.limit, r, checkAllocInos, func(ctx context.Context, r *metapb.AllocInosRequest) (fs.InoRange, error) {
		return s.meta.AllocInos(ctx, fromSession(r.GetSession()), int(r.GetN()))
	}, toInoRange)
}
