package node

import (
	"context"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"dfs/blob/replica"
	"dfs/fs"
	"dfs/raftmeta"
)

// nodeAdmin is the metadata's fs.Admin, which also says what the whole node has done.
type nodeAdmin struct {
	*raftmeta.Node
	n *Node
}

// Status implements fs.Admin.
func (a nodeAdmin) Status(ctx context.Context) (*fs.Status, error) {
	s, err := a.Node.Status(ctx)
	if err != nil {
		return nil, err
	}
	k := a.n.keeperCounts()
	s.Activity = a.n.measures.rpc.activity()
	s.Upkeep = fs.Upkeep{Repaired: k.Repaired, Healed: k.Healed, Lost: k.Lost, Unknown: k.Unknown}
	return s, nil
}

// keeperCounts are zero before the node is a member.
func (n *Node) keeperCounts() replica.Counts {
	if k := n.keeperNow.Load(); k != nil {
		return k.Counts()
	}
	return replica.Counts{}
}

// ready says why this node cannot serve mounts, nil when it can.
func (n *Node) ready(ctx context.Context) error {
	s, err := n.ask(ctx)
	switch {
	case err != nil:
		return err
	case s.Cluster == "":
		return fmt.Errorf("this node belongs to no cluster yet: %w", fs.ErrUnavailable)
	case !s.Quorum:
		return fmt.Errorf("no quorum: %w", fs.ErrUnavailable)
	}
	return nil
}

// health is the standard gRPC health service. The service "" is the process, "ready" is what /readyz says.
type health struct {
	grpc_health_v1.UnimplementedHealthServer
	n *Node
}

// Check implements grpc_health_v1.HealthServer.
func (h *health) Check(ctx context.Context, r *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	serving := &grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_SERVING}
	switch r.GetService() {
	case "":
		return serving, nil
	case "ready":
		if h.n.ready(ctx) != nil {
			serving.Status = grpc_health_v1.HealthCheckResponse_NOT_SERVING
		}
		return serving, nil
	}
	return nil, status.Error(codes.NotFound, "the services here are \"\" and \"ready\"")
}
