package metarpc

import (
	"context"
	"fmt"

	"dfs/fs"
	"dfs/raftmeta/metapb"
)

type clusterServer struct {
	metapb.UnimplementedClusterServer
	admin      fs.Admin
	membership fs.Membership
	tokens     fs.JoinTokens
	locks      fs.LockLister
	quotas     fs.Quotas
	watcher    fs.Watcher
	limit      *limiter
}

func missing(what string) error {
	return fmt.Errorf("this node does not serve %s: %w", what, fs.ErrNotSupported)
}

func (s *clusterServer) Join(ctx context.Context, r *metapb.JoinRequest) (*metapb.JoinReply, error) {
	return serve(ctx, s.limit, r, checkJoin, func(ctx context.Context, r *metapb.JoinRequest) (string, error) {
		if s.membership == nil {
			return "", missing("membership")
		}
		return s.membership.Join(ctx, fromNodeInfo(r.GetNode()), r.GetCluster())
	}, func(c string) *metapb.JoinReply { return &metapb.JoinReply{Cluster: c} })
}

func (s *clusterServer) Removal(ctx context.Context, r *metapb.RemovalRequest) (*metapb.RemovalReply, error) {
	return serve(ctx, s.limit, r, checkRemoval, func(ctx context.Context, r *metapb.RemovalRequest) (*fs.Removal, error) {
		if s.membership == nil {
			return nil, missing("membership")
		}
		return s.membership.Removal(ctx, fs.NodeID(r.GetNode()))
	}, toRemoval)
}

func (s *clusterServer) RemoveNode(ctx context.Context, r *metapb.RemoveNodeRequest) (*metapb.Empty, error) {
	return serve(ctx, s.limit, r, checkRemoveNode, func(ctx context.Context, r *metapb.RemoveNodeRequest) (*metapb.Empty, error) {
		if s.membership == nil {
			return nil, missing("membership")
		}
		return &metapb.Empty{}, s.membership.RemoveNode(ctx, fs.NodeID(r.GetNode()), r.GetForce())
	}, same)
}

func (s *clusterServer) Status(ctx context.Context, r *metapb.Empty) (*metapb.StatusReply, error) {
	return serve(ctx, s.limit, r, unchecked, func(ctx context.Context, _ *metapb.Empty) (*fs.Status, error) {
		if s.admin == nil {
			return nil, missing("status")
		}
		return s.admin.Status(ctx)
	}, toStatus)
}

func (s *clusterServer) Transactions(ctx context.Context, r *metapb.TransactionsRequest) (*metapb.TransactionsReply, error) {
	return serve(ctx, s.limit, r, checkTransactions, func(ctx context.Context, r *metapb.TransactionsRequest) ([]fs.TxStatus, error) {
		if s.admin == nil {
			return nil, missing("transactions")
		}
		return s.admin.Transactions(ctx, int(r.GetLimit()))
	}, func(t []fs.TxStatus) *metapb.TransactionsReply {
		return &metapb.TransactionsReply{Transactions: each(t, toTxStatus)}
	})
}

func (s *clusterServer) Transaction(ctx context.Context, r *metapb.TxID) (*metapb.TxStatus, error) {
	return serve(ctx, s.limit, r, checkTxID, func(ctx context.Context, r *metapb.TxID) (*fs.TxStatus, error) {
		if s.admin == nil {
			return nil, missing("transactions")
		}
		return s.admin.Transaction(ctx, fromTxID(r))
	}, func(t *fs.TxStatus) *metapb.TxStatus { return toTxStatus(*t) })
}

func (s *clusterServer) Raft(ctx context.Context, r *metapb.Empty) (*metapb.RaftReply, error) {
	return serve(ctx, s.limit, r, unchecked, func(ctx context.Context, _ *metapb.Empty) (*fs.RaftStatus, error) {
		if s.admin == nil {
			return nil, missing("the status of Raft")
		}
		return s.admin.Raft(ctx)
	}, toRaft)
}

func (s *clusterServer) Explain(ctx context.Context, r *metapb.ExplainRequest) (*metapb.ExplainReply, error) {
	return serve(ctx, s.limit, r, checkExplain, func(ctx context.Context, r *metapb.ExplainRequest) (*fs.Explanation, error) {
		if s.admin == nil {
			return nil, missing("explanations")
		}
		return s.admin.Explain(ctx, string(r.GetPath()))
	}, toExplanation)
}
