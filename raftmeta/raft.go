package raftmeta

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"dfs/fs"
	"dfs/raftmeta/command"
)

// raftHandle is a running Raft; shutdown begins its end once and returns the same future to everybody.
type raftHandle struct {
	*raft.Raft
	shutdown  func() raft.Future
	reloading sync.Mutex // held while the configuration is read and changed
}

const (
	entriesAtOnce = 64       // log entries in one message, and in one write to the log
	never         = 24 * 365 // hours
)

func (n *Node) raftConfig() *raft.Config {
	t := &n.cfg.Timings
	c := raft.DefaultConfig()
	c.LocalID = raft.ServerID(n.cfg.ID)
	c.HeartbeatTimeout = t.Heartbeat
	c.ElectionTimeout = t.Election
	c.LeaderLeaseTimeout = t.LeaderLease
	c.CommitTimeout = t.Commit
	c.MaxAppendEntries = entriesAtOnce
	c.ShutdownOnRemove = false
	c.TrailingLogs = n.cfg.TrailingEntries
	c.SnapshotInterval = never * time.Hour // maintain decides when: it also looks at the bytes
	c.SnapshotThreshold = math.MaxUint64
	c.NotifyCh = n.notify
	c.Logger = newHCLogger(n.logger, "raft")
	c.NoLegacyTelemetry = true
	return c
}

// startRaft starts Raft on what lies on disk. With restore it first fills the state from the newest snapshot.
func (n *Node) startRaft(restore bool) error {
	c := n.raftConfig()
	c.NoSnapshotRestoreOnStart = !restore
	n.store.armed.Store(false)
	r, err := raft.NewRaft(c, n.fsm, n.store, n.store, n.snaps, n.transport)
	if err != nil {
		return fmt.Errorf("start raft: %w", err)
	}
	r.RegisterObserver(raft.NewObserver(nil, false, func(o *raft.Observation) bool {
		if seen, ok := o.Data.(raft.LeaderObservation); ok && seen.LeaderID != "" {
			n.leaderChanges.Add(1)
		}
		return false // there is no channel: the filter is all that is wanted
	}))
	n.store.armed.Store(true)
	n.raft.Store(&raftHandle{Raft: r, shutdown: sync.OnceValue(r.Shutdown)})
	if n.ctx.Err() != nil { // failed meanwhile, before there was anything to shut down
		return errors.Join(n.raft.Load().shutdown().Error(), <-n.failed)
	}
	return nil
}

// HasState reports whether the node has ever been part of a cluster.
func (n *Node) HasState() (bool, error) {
	has, err := raft.HasExistingState(n.store, n.store, n.snaps)
	if err != nil {
		return false, fmt.Errorf("look for a state: %w", err)
	}
	return has, nil
}

// ClusterID is the id of the cluster that the node belongs to; empty if it does not know of any.
func (n *Node) ClusterID() string { return n.identity.get() }

// Bootstrap forms a cluster of servers, of which this node is one. The node must have no state; on the others nothing
// is done: they learn of the cluster from this node. Nobody else may bootstrap the same servers, ever. init.Founders is
// filled in from servers: whoever knows the cluster knows all of its first members.
//
// The first command, init, is written into the log together with the configuration, as one write: whoever comes to lead
// this cluster has both.
func (n *Node) Bootstrap(servers []fs.NodeInfo, init command.Init) error {
	n.bootMu.Lock()
	defer n.bootMu.Unlock()
	switch has, err := n.HasState(); {
	case err != nil:
		return err
	case has:
		return fmt.Errorf("bootstrap: this node is part of a cluster already: %w", fs.ErrExist)
	case n.ctx.Err() != nil:
		return fmt.Errorf("bootstrap: %w", fs.ErrClosed)
	case n.ClusterID() != "" && n.ClusterID() != init.Cluster:
		return fmt.Errorf("bootstrap: this node belongs to cluster %s: %w", n.ClusterID(), fs.ErrWrongCluster)
	}
	configuration, err := n.initialVoters(servers)
	if err != nil {
		return err
	}
	init.Founders = servers
	if err := n.raft.Load().shutdown().Error(); err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	n.store.armed.Store(false)
	first := &firstEntries{n.store, command.EncodeBatch(command.Batch{command.Encode(&init), command.Encode(&command.KeepAccounts{})})}
	if err := raft.BootstrapCluster(n.raftConfig(), first, n.store, n.snaps, n.transport, configuration); err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	return n.startRaft(false)
}

func (n *Node) initialVoters(servers []fs.NodeInfo) (raft.Configuration, error) {
	var c raft.Configuration
	own := false
	for _, s := range servers {
		own = own || s.ID == n.cfg.ID && s.Addr == n.cfg.Addr
		c.Servers = append(c.Servers, raft.Server{Suffrage: raft.Voter, ID: raft.ServerID(s.ID), Address: raft.ServerAddress(s.Addr)})
	}
	if !own {
		return c, fmt.Errorf("bootstrap: %s at %s is not among the servers: %w", n.cfg.ID, n.cfg.Addr, fs.ErrInvalid)
	}
	return c, nil
}

// firstEntries is the log as raft.BootstrapCluster sees it: behind the configuration that it stores as the first entry,
// in the same write, goes the first command.
type firstEntries struct {
	*logStore
	init []byte
}

func (f *firstEntries) StoreLog(configuration *raft.Log) error {
	return f.StoreLogs([]*raft.Log{configuration, {Index: configuration.Index + 1, Term: configuration.Term,
		Type: raft.LogCommand, Data: f.init}})
}
