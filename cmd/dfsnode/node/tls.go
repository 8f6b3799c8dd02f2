package node

import (
	"context"
	"fmt"

	"dfs/blob/replica"
	"dfs/cluster"
	"dfs/cluster/pki"
	"dfs/fs"
)

// openTLS reads the certificate and the gossip key, if the node has them.
func (n *Node) openTLS(context.Context) (err error) {
	if n.tls, err = n.cfg.TLS.Open(pki.RoleNode, n.log); err != nil {
		return err
	}
	if n.tls != nil {
		n.onClose("TLS", n.tls.Close)
	}
	if n.cfg.GossipKey != "" {
		n.gossipKey, err = pki.GossipKey(n.cfg.GossipKey)
	}
	return err
}

// mayStage keeps the keepers' sessions, which are never fenced, to nodes.
func mayStage(ctx context.Context, s fs.SessionID) error {
	if p, known := cluster.PeerFrom(ctx); known && p.Role != pki.RoleNode && replica.IsReserved(s) {
		return fmt.Errorf("stage: session %d is for nodes: %w", s, fs.ErrPermission)
	}
	return nil
}
