package metarpc

import (
	"context"

	"dfs/fs"
	"dfs/raftmeta/command"
	"dfs/raftmeta/metapb"
)

// Commit implements metapb.MetaServer, as the methods below do.
func (s *Server) Commit(ctx context.Context, r *metapb.CommitRequest) (*metapb.CommitReply, error) {
	var tx *fs.Tx
	check := func(r *metapb.CommitRequest) (err error) {
		tx, err = decodeTx(r.GetCommand())
		return err
	}
	return serve(ctx, s.limit, r, check, func(ctx context.Context, r *metapb.CommitRequest) ([]byte, error) {
		if s.encoded != nil {
			return s.encoded.CommitEncoded(ctx, r.GetCommand())
		}
		res, err := s.meta.Commit(ctx, tx)
		return encodeResult(res, err)
	}, toCommitReply)
}

// Abort implements metapb.MetaServer.
func (s *Server) Abort(ctx context.Context, r *metapb.AbortRequest) (*metapb.CommitReply, error) {
	return serve(ctx, s.limit, r, checkAbort, func(ctx context.Context, r *metapb.AbortRequest) ([]byte, error) {
		res, err := s.meta.Abort(ctx, fs.Epoch(r.GetEpoch()), fromTxID(r.GetTx()))
		return encodeResult(res, err)
	}, toCommitReply)
}

func encodeResult(res *fs.TxResult, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return command.EncodeResult(res), nil
}

func toCommitReply(b []byte) *metapb.CommitReply { return &metapb.CommitReply{Result: b} }

func toAttrReply(a fs.Attr) *metapb.AttrReply { return &metapb.AttrReply{Attr: toAttr(a)} }

func checkInoRequest(r *metapb.InoRequest) error { return checkIno(r.GetIno()) }

// Lookup implements metapb.MetaServer.
func (s *Server) Lookup(ctx context.Context, r *metapb.LookupRequest) (*metapb.AttrReply, error) {
	return serve(ctx, s.limit, r, checkLookup, func(ctx context.Context, r *metapb.LookupRequest) (fs.Attr, error) {
		return s.meta.Lookup(ctx, fs.Ino(r.GetDir()), string(r.GetName()))
	}, toAttrReply)
}

// Getattr implements metapb.MetaServer.
func (s *Server) Getattr(ctx context.Context, r *metapb.InoRequest) (*metapb.AttrReply, error) {
	return serve(ctx, s.limit, r, checkInoRequest, func(ctx context.Context, r *metapb.InoRequest) (fs.Attr, error) {
		return s.meta.Getattr(ctx, fs.Ino(r.GetIno()))
	}, toAttrReply)
}

// Readdir implements metapb.MetaServer.
func (s *Server) Readdir(ctx context.Context, r *metapb.ReaddirRequest) (*metapb.ReaddirReply, error) {
	return serve(ctx, s.limit, r, checkReaddir, func(ctx context.Context, r *metapb.ReaddirRequest) (fs.Listing, error) {
		return s.meta.Readdir(ctx, fs.Ino(r.GetDir()), fs.Cookie(r.GetAfter()), int(r.GetLimit()))
	}, toListing)
}

// Readlink implements metapb.MetaServer.
func (s *Server) Readlink(ctx context.Context, r *metapb.InoRequest) (*metapb.ReadlinkReply, error) {
	return serve(ctx, s.limit, r, checkInoRequest, func(ctx context.Context, r *metapb.InoRequest) (string, error) {
		return s.meta.Readlink(ctx, fs.Ino(r.GetIno()))
	}, func(t string) *metapb.ReadlinkReply { return &metapb.ReadlinkReply{Target: []byte(t)} })
}

// Layout implements metapb.MetaServer.
func (s *Server) Layout(ctx context.Context, r *metapb.LayoutRequest) (*metapb.LayoutReply, error) {
	return serve(ctx, s.limit, r, checkLayout, func(ctx context.Context, r *metapb.LayoutRequest) (*fs.Layout, error) {
		return s.meta.Layout(ctx, fs.Ino(r.GetIno()), r.GetOff(), r.GetLength())
	}, toLayout)
}

// Getxattr implements metapb.MetaServer.
func (s *Server) Getxattr(ctx context.Context, r *metapb.XattrRequest) (*metapb.XattrReply, error) {
	return serve(ctx, s.limit, r, checkXattr, func(ctx context.Context, r *metapb.XattrRequest) ([]byte, error) {
		return s.meta.Getxattr(ctx, fs.Ino(r.GetIno()), string(r.GetName()))
	}, func(v []byte) *metapb.XattrReply { return &metapb.XattrReply{Value: v} })
}

// Listxattr implements metapb.MetaServer.
func (s *Server) Listxattr(ctx context.Context, r *metapb.InoRequest) (*metapb.ListxattrReply, error) {
	return serve(ctx, s.limit, r, checkInoRequest, func(ctx context.Context, r *metapb.InoRequest) ([]string, error) {
		return s.meta.Listxattr(ctx, fs.Ino(r.GetIno()))
	}, func(n []string) *metapb.ListxattrReply { return &metapb.ListxattrReply{Names: each(n, toBytes)} })
}

// Statfs implements metapb.MetaServer.
func (s *Server) Statfs(ctx context.Context, r *metapb.InoRequest) (*metapb.StatfsReply, error) {
	return serve(ctx, s.limit, r, unchecked, func(ctx context.Context, r *metapb.InoRequest) (fs.Statfs, error) {
		// A mount of an older version names no inode.
		return s.meta.Statfs(ctx, max(fs.Ino(r.GetIno()), fs.RootIno))
	}, toStatfs)
}
