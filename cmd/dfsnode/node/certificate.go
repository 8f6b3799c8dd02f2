package node

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"

	"dfs/cluster"
	"dfs/cluster/pki"
	"dfs/cmd/internal/config"
	"dfs/cmd/internal/enrol"
	"dfs/fs"
)

// getCertificate gets a new machine its certificate, if the user has a join token for it.
func (n *Node) getCertificate(ctx context.Context) error {
	if n.cfg.JoinToken == "" {
		return nil
	}
	nodes, err := n.enrolAddrs()
	if err != nil {
		return err
	}
	return enrol.Ensure(ctx, enrol.Config{
		Token: n.cfg.JoinToken, Dir: n.cfg.TLS.Dir, Role: pki.RoleNode, Name: string(n.dir.id), Hosts: n.ownHosts(), Nodes: nodes, Log: n.log,
	})
}

// enrolAddrs are the nodes' RPC addresses: the hosts of --join, unless --enrol says others.
func (n *Node) enrolAddrs() ([]string, error) {
	if n.cfg.Enrol != "" {
		addrs, err := cluster.ParseAddrs(n.cfg.Enrol, cluster.PortRPC)
		if err != nil {
			return nil, fmt.Errorf("%w: --enrol: %v", config.ErrUsage, err)
		}
		return addrs, nil
	}
	var addrs []string
	for _, gossip := range n.addrs.join {
		host, _, err := net.SplitHostPort(gossip)
		if err != nil {
			return nil, err
		}
		addrs = append(addrs, net.JoinHostPort(host, strconv.Itoa(cluster.PortRPC)))
	}
	return addrs, nil
}

// ownHosts are what clients of the node's HTTP ports may call it.
func (n *Node) ownHosts() (hosts []string) {
	if name, err := os.Hostname(); err == nil && pki.ValidName(name) {
		hosts = append(hosts, name)
	}
	for _, addr := range []string{n.addrs.advertise, n.addrs.rpc} {
		host, _, err := net.SplitHostPort(addr)
		ip := net.ParseIP(host)
		if err == nil && host != "" && (ip == nil && pki.ValidName(host) || ip != nil && !ip.IsUnspecified()) {
			return append(hosts, host)
		}
	}
	return hosts
}

// issuer is the issuer whose key this node has; fs.ErrNotExist if it has none.
func (n *Node) issuer() (*pki.Issuer, error) {
	if n.cfg.TLS.Dir == "" {
		return nil, fmt.Errorf("an issuer lies in --tls-dir only: %w", fs.ErrNotExist)
	}
	return pki.OpenIssuer(n.cfg.TLS.Dir)
}

// keepCertificate renews the node's certificate from now on: by itself, or by the nodes that gossip knows.
func (n *Node) keepCertificate(context.Context) error {
	if n.tls == nil {
		return nil
	}
	stop := n.tls.KeepRenewed(cluster.SignBy(n.issuer, cluster.RenewAt(n.transport.Dialer, n.others)))
	n.onClose("renewal", stop)
	return nil
}

// others are the RPC addresses of the other nodes that are alive, in any order.
func (n *Node) others() (addrs []string) {
	for _, m := range n.members() {
		if m.ID != n.dir.id && m.State == fs.NodeAlive {
			addrs = append(addrs, m.Addr)
		}
	}
	rand.Shuffle(len(addrs), func(i, j int) { addrs[i], addrs[j] = addrs[j], addrs[i] })
	return addrs
}
