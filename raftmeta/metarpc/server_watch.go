package metarpc

import (
	"google.golang.org/grpc"

	"dfs/cluster/rpcerr"
	"dfs/raftmeta/metapb"
)

// Watch implements metapb.ClusterServer. How many watch is bounded by the implementation. A watcher that does not take what it is told
// holds up nobody: the stream waits for it, and says then that something is missing.
func (s *clusterServer) Watch(r *metapb.WatchRequest, out grpc.ServerStreamingServer[metapb.Changes]) error {
	if err := checkWatch(r); err != nil {
		return rpcerr.ToStatus(err)
	}
	if s.watcher == nil {
		return rpcerr.ToStatus(missing("changes"))
	}
	stream, err := s.watcher.Watch(out.Context(), fromWatchRequest(r))
	if err != nil {
		return rpcerr.ToStatus(err)
	}
	defer func() { _ = stream.Close() }() // it has told what it had to
	for {
		c, err := stream.Recv(out.Context())
		if err != nil {
			return rpcerr.ToStatus(err)
		}
		if err := out.Send(toChanges(c)); err != nil {
			return err // the transport's own status
		}
	}
}
