package node

import (
	"context"

	"dfs/cluster/pki"
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
