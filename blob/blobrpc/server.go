package blobrpc

import (
	"context"
	"fmt"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"dfs/blob"
	"dfs/blob/blobpb"
	"dfs/cluster/rpcerr"
	"dfs/fs"
)

// ServerConfig is what a Server is made of.
type ServerConfig struct {
	Node fs.NodeID // whose store it is; calls meant for another node are refused
	// StageBytes bounds the bytes of blobs being staged; more are refused with ErrUnavailable. 0: 256 MiB.
	StageBytes int64
	// MayStage refuses a caller that may not stage a blob under a transaction, by the caller's context. Nil: everybody may.
	MayStage func(ctx context.Context, tx blob.Tx, id fs.BlobID) error
	// MayGet judges who reads bytes of a blob, with or without (nil) a claim. Who may read all bytes of all blobs gets them as
	// they lie here: then it returns nil. Others get a cut of the blob as it is described by what MayGet returns, since they are
	// not told its checksum. Nil: everybody may.
	MayGet func(ctx context.Context, claim *blob.Claim, id fs.BlobID, off, n uint32) (*fs.BlobInfo, error)
}

// Server serves a store. It checks every request before the store sees it.
type Server struct {
	blobpb.UnimplementedBlobsServer
	store blob.Store
	cfg   ServerConfig

	inFlight atomic.Int32
	staging  atomic.Int64 // bytes
}

// NewServer returns a server of store, which stays the caller's to close, after the gRPC server has stopped.
func NewServer(store blob.Store, cfg ServerConfig) *Server {
	if cfg.StageBytes == 0 {
		cfg.StageBytes = stageBytesDefault
	}
	return &Server{store: store, cfg: cfg}
}

// Register adds the service to a gRPC server.
func (s *Server) Register(r grpc.ServiceRegistrar) { blobpb.RegisterBlobsServer(r, s) }

// InFlight is how many requests are being served: part of what a node says of its load.
func (s *Server) InFlight() uint32 { return uint32(max(0, s.inFlight.Load())) }

// serve runs one request.
func (s *Server) serve(ctx context.Context, work func() error) error {
	s.inFlight.Add(1)
	defer s.inFlight.Add(-1)
	if err := s.meantForUs(ctx); err != nil {
		return rpcerr.ToStatus(err)
	}
	return rpcerr.ToStatus(work())
}

func (s *Server) meantForUs(ctx context.Context) error {
	for _, node := range metadata.ValueFromIncomingContext(ctx, nodeHeader) {
		if fs.NodeID(node) != s.cfg.Node {
			return fmt.Errorf("this is node %s, the request is meant for %s: %w", s.cfg.Node, node, fs.ErrUnavailable)
		}
	}
	return nil
}

// Stage implements blobpb.BlobsServer.
func (s *Server) Stage(ctx context.Context, req *blobpb.StageRequest) (reply *blobpb.StageReply, err error) {
	err = s.serve(ctx, func() error {
		reply, err = s.stage(ctx, req)
		return err
	})
	return reply, err
}

func (s *Server) stage(ctx context.Context, req *blobpb.StageRequest) (*blobpb.StageReply, error) {
	if req.Tx == nil {
		return nil, fmt.Errorf("stage: no transaction given: %w", fs.ErrInvalid)
	}
	tx := txFromPB(req.Tx)
	if s.cfg.MayStage != nil {
		if err := s.cfg.MayStage(ctx, tx, idFromPB(req.Id)); err != nil {
			return nil, err
		}
	}
	n := int64(len(req.Data))
	if n > fs.BlobMax {
		return nil, fmt.Errorf("stage: %d bytes, at most %d are allowed: %w", n, fs.BlobMax, fs.ErrTooLarge)
	}
	defer s.staging.Add(-n)
	if all := s.staging.Add(n); all > s.cfg.StageBytes {
		return nil, fmt.Errorf("stage: %d bytes are being staged here, at most %d are allowed: %w", all, s.cfg.StageBytes, fs.ErrUnavailable)
	}
	b := &blob.Blob{ID: idFromPB(req.Id), Data: req.Data, Sums: req.Sums}
	voters, err := s.store.Stage(ctx, tx, b)
	if err != nil {
		return nil, err
	}
	reply := &blobpb.StageReply{Voters: make([]string, len(voters))}
	for i, v := range voters {
		reply.Voters[i] = string(v)
	}
	return reply, nil
}

// Commit implements blobpb.BlobsServer.
func (s *Server) Commit(ctx context.Context, req *blobpb.CommitRequest) (*blobpb.Empty, error) {
	return &blobpb.Empty{}, s.serve(ctx, func() error {
		ids, err := idsFromPB(req.Ids)
		if err != nil {
			return fmt.Errorf("commit: %w", err)
		}
		return s.store.Commit(ctx, ids)
	})
}

// Drop implements blobpb.BlobsServer.
func (s *Server) Drop(ctx context.Context, req *blobpb.DropRequest) (*blobpb.Empty, error) {
	return &blobpb.Empty{}, s.serve(ctx, func() error {
		staged, err := stagedFromPB(req.Staged)
		if err != nil {
			return fmt.Errorf("drop: %w", err)
		}
		return s.store.Drop(ctx, staged)
	})
}

// Delete implements blobpb.BlobsServer.
func (s *Server) Delete(ctx context.Context, req *blobpb.DeleteRequest) (*blobpb.Empty, error) {
	return &blobpb.Empty{}, s.serve(ctx, func() error {
		ids, err := idsFromPB(req.Ids)
		if err != nil {
			return fmt.Errorf("delete: %w", err)
		}
		return s.store.Delete(ctx, ids)
	})
}

// Get implements blobpb.BlobsServer.
func (s *Server) Get(ctx context.Context, req *blobpb.GetRequest) (reply *blobpb.GetReply, err error) {
	err = s.serve(ctx, func() error {
		info := &fs.BlobInfo{ID: idFromPB(req.Id), Length: req.Length, Sum: req.Sum}
		if err := blob.CheckRange(info, req.Off, req.N); err != nil {
			return fmt.Errorf("get: %w", err)
		}
		r, err := s.get(ctx, info, req)
		if err != nil {
			return err
		}
		reply = &blobpb.GetReply{Off: r.Off, Sums: r.Sums, Data: r.Data}
		return nil
	})
	return reply, err
}

func (s *Server) get(ctx context.Context, info *fs.BlobInfo, req *blobpb.GetRequest) (*blob.Range, error) {
	var known *fs.BlobInfo
	if s.cfg.MayGet != nil {
		var err error
		if known, err = s.cfg.MayGet(ctx, claimFromPB(req.Claim), info.ID, req.Off, req.N); err != nil {
			return nil, fmt.Errorf("get: %w", err)
		}
	}
	if known == nil {
		return s.store.Get(ctx, info, req.Off, req.N)
	}
	if err := blob.CheckRange(known, req.Off, req.N); err != nil {
		return nil, fmt.Errorf("get: %w", err)
	}
	r, err := s.store.Get(ctx, known, req.Off, req.N)
	if err == nil {
		_, err = r.Verify(known, req.Off, req.N)
	}
	if err != nil { // its text may quote checksums
		return nil, fmt.Errorf("get blob %s: %w", known.ID, fs.FromCode(fs.CodeOf(err)))
	}
	return r.Cut(req.Off, req.N), nil
}

// List implements blobpb.BlobsServer.
func (s *Server) List(ctx context.Context, req *blobpb.ListRequest) (reply *blobpb.ListReply, err error) {
	err = s.serve(ctx, func() error {
		if req.Limit > blob.ListMax {
			return fmt.Errorf("list of %d blobs, at most %d are allowed: %w", req.Limit, blob.ListMax, fs.ErrInvalid)
		}
		list, err := s.store.List(ctx, idFromPB(req.After), int(req.Limit))
		if err != nil {
			return err
		}
		reply = &blobpb.ListReply{Entries: make([]*blobpb.Entry, len(list))}
		for i, e := range list {
			reply.Entries[i] = entryToPB(e)
		}
		return nil
	})
	return reply, err
}

// Usage implements blobpb.BlobsServer.
func (s *Server) Usage(ctx context.Context, _ *blobpb.Empty) (reply *blobpb.UsageReply, err error) {
	err = s.serve(ctx, func() error {
		u, err := s.store.Usage(ctx)
		if err != nil {
			return err
		}
		reply = &blobpb.UsageReply{
			TotalBytes: u.TotalBytes, FreeBytes: u.FreeBytes, UsedBytes: u.UsedBytes,
			Blobs: u.Blobs, Staged: u.Staged, ReadOnly: u.ReadOnly,
		}
		return nil
	})
	return reply, err
}
