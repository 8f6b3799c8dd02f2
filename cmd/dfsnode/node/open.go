package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"

	"dfs/blob/badgerstore"
	"dfs/blob/blobrpc"
	"dfs/blob/replica"
	"dfs/cluster"
	"dfs/fs"
	"dfs/raftmeta"
	"dfs/raftmeta/metarpc"
)

func (n *Node) openTransport(ctx context.Context) (err error) {
	n.transport, err = cluster.Listen(ctx, cluster.Config{
		Listen: n.addrs.rpc, Advertise: n.addrs.advertise, Insecure: n.cfg.Insecure, TLS: n.tls, Enrol: n.enrol,
		Faults: n.deps.Faults, Log: n.log,
	})
	if err != nil {
		return err
	}
	n.onClose("transport", n.transport.Close)
	return nil
}

func (n *Node) openStore(ctx context.Context) (err error) {
	n.store, err = badgerstore.Open(ctx, badgerstore.Config{
		Dir: n.dir.sub(blobsName), NodeID: n.dir.id, ReserveBytes: uint64(n.cfg.Reserve), MaxBytes: uint64(n.cfg.MaxBytes),
		Fence: n.fenced, Faults: n.deps.Faults, Logger: n.log,
	})
	if err != nil {
		return err
	}
	n.onClose("blob store", n.store.Close)
	return nil
}

// fenced reports whether the local state knows an epoch to be over. It is asked by the store's writer, which has nothing
// to write before we serve, and so not before meta is there.
func (n *Node) fenced(epoch fs.Epoch, session fs.SessionID) bool {
	// The keeper's own copies belong to no session.
	return !replica.IsReserved(session) && n.meta.Fenced(epoch, session)
}

func (n *Node) openMeta(context.Context) (err error) {
	n.meta, err = raftmeta.Open(raftmeta.Config{
		ID: n.dir.id, Dir: n.dir.sub(metaName), Addr: n.transport.Addr(), Zone: n.cfg.Zone, Version: n.deps.Version,
		Transport: raftmeta.NewTransport(cluster.RaftLayer[raft.ServerAddress](n.transport), n.dir.id, n.log),
		Gossip:    n.members, Details: n.details, Staged: n.staged,
		Observer: raftmeta.Observer{
			Synced:    func(d time.Duration) { n.measures.sync.Observe(d.Seconds()) },
			Committed: func(d time.Duration) { n.measures.commit.Observe(d.Seconds()) },
		},
		Voters: n.cfg.Voters, Timings: n.deps.Timings, Faults: n.deps.Faults, Logger: n.log,
	})
	if err != nil {
		return err
	}
	n.onClose("metadata", n.meta.Close)
	return nil
}

func (n *Node) openRing(ctx context.Context) (err error) {
	n.sampler = cluster.StartSampler(n.dir.path, n.log)
	n.onClose("load sampler", n.sampler.Close)
	n.ring, err = cluster.OpenRing(ctx, cluster.RingConfig{
		Node: n.dir.id, Listen: n.addrs.gossip, Advertise: n.addrs.advertiseGossip, Join: n.addrs.join,
		Insecure: n.cfg.Insecure, SecretKey: n.gossipKey, Addr: n.transport.Addr(), Zone: n.cfg.Zone, Version: n.deps.Version,
		Cluster: n.meta.ClusterID(), Expect: n.cfg.BootstrapExpect,
		Load: n.load, Applied: n.applied, Dialer: n.transport.Dialer, Log: n.log,
	})
	if err != nil {
		return err
	}
	n.ringNow.Store(n.ring)
	n.leave = sync.OnceValue(n.ring.Close)
	n.onClose("gossip", n.leave)
	return nil
}

// openBootstrap reads what the node has promised, if it may still found a cluster.
func (n *Node) openBootstrap(context.Context) error {
	has, err := n.meta.HasState()
	if err != nil || has || n.cfg.BootstrapExpect == 0 {
		return err
	}
	n.bootstrap, err = cluster.NewBootstrap(cluster.BootstrapConfig{
		Node: n.dir.id, Addr: n.transport.Addr(), Expect: n.cfg.BootstrapExpect, Dir: n.dir.path, View: n.ring,
		Promise: cluster.PromiseOver(n.transport.Dialer), Found: n.found, Faults: n.deps.Faults, Log: n.log,
	})
	return err
}

// serve starts the gRPC services: from here on others are answered.
func (n *Node) serve(context.Context) error {
	n.grpc = cluster.NewServer(cluster.ServerConfig{Log: n.log, Codec: blobrpc.Codec(), Tracer: n.deps.Tracer,
		Interceptors: []grpc.UnaryServerInterceptor{n.measures.rpc.unary}})
	n.rpc = metarpc.Register(n.grpc, metarpc.Services{Meta: n.meta, Admin: n.Admin(), Membership: n.meta, Tokens: n.meta, Locks: n.meta,
		Quotas: n.meta, Watcher: n.meta, Logger: n.log})
	blobs := blobrpc.NewServer(n.store, blobrpc.ServerConfig{Node: n.dir.id, MayStage: n.mayStage, MayGet: n.mayGet})
	blobs.Register(n.grpc)
	n.blobsNow.Store(blobs)
	service := cluster.ServiceConfig{Node: n.dir.id, Version: n.deps.Version, Cluster: n.meta.ClusterID}
	if n.bootstrap != nil {
		service.Promise = n.bootstrap.Promise
	}
	cluster.RegisterService(n.grpc, service)
	cluster.RegisterCertificates(n.grpc, n.issuer)
	grpc_health_v1.RegisterHealthServer(n.grpc, &health{n: n})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		if err := n.grpc.Serve(n.transport.GRPCListener()); err != nil && !errors.Is(err, grpc.ErrServerStopped) && !errors.Is(err, net.ErrClosed) {
			n.fail(fmt.Errorf("serve RPC: %w", err))
		}
	}()
	n.onClose("RPC server", func() error {
		n.grpc.Stop() // streams to mounts never end by themselves: there is nothing graceful to wait for
		<-stopped
		n.rpc.Close()
		return nil
	})
	// Leaving takes a moment, in which we still serve: the leadership is handed over only after it.
	n.onClose("gossip", n.leave)
	return nil
}
