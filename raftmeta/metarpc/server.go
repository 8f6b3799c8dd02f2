package metarpc

import (
	"context"
	"log/slog"
	"sync"

	"google.golang.org/grpc"

	"dfs/fs"
	"dfs/raftmeta/metapb"
)

// Server serves a node's metadata. Register makes one.
type Server struct {
	metapb.UnimplementedMetaServer
	meta    fs.Meta
	encoded encodedCommitter // nil if meta is none
	log     *slog.Logger
	limit   *limiter
	streams chan struct{} // one token an attached session
	beats   sync.WaitGroup
}

// Services are the implementations behind a Server.
type Services struct {
	Meta       fs.Meta // if it also has CommitEncoded(ctx, []byte) ([]byte, error), transactions go there as they came
	Admin      fs.Admin
	Membership fs.Membership
	Tokens     fs.JoinTokens // nil: none
	Locks      fs.LockLister // nil: none
	Quotas     fs.Quotas     // nil: none
	Watcher    fs.Watcher    // nil: none
	Logger     *slog.Logger  // nil: none
}

// encodedCommitter takes a transaction as command.Encode made it and answers as command.EncodeResult does.
type encodedCommitter interface {
	CommitEncoded(ctx context.Context, tx []byte) ([]byte, error)
}

// Register makes a Server and registers its services. Admin and Membership may be nil: then they are not served.
func Register(r grpc.ServiceRegistrar, s Services) *Server {
	srv := &Server{meta: s.Meta, log: s.Logger, limit: newLimiter(), streams: make(chan struct{}, streamsMax)}
	if srv.log == nil {
		srv.log = slog.New(slog.DiscardHandler)
	}
	srv.encoded, _ = s.Meta.(encodedCommitter)
	metapb.RegisterMetaServer(r, srv)
	if s.Admin != nil || s.Membership != nil {
		metapb.RegisterClusterServer(r, &clusterServer{admin: s.Admin, membership: s.Membership, tokens: s.Tokens, locks: s.Locks,
			quotas: s.Quotas, watcher: s.Watcher, limit: srv.limit})
	}
	return srv
}

// Close waits for the Server's goroutines. Call it after grpc.Server.Stop, which ends them.
func (s *Server) Close() { s.beats.Wait() }
