package node

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"time"

	"dfs/cluster"
	"dfs/cluster/pki"
	"dfs/fs"
	"dfs/raftmeta/metarpc"
)

// redeemTimeout is less than what the machine that waits has been promised.
const redeemTimeout = 7 * time.Second

// enrol is the cluster.Enroller: it lets a machine in for a use of a join token. The certificate is signed first, so that
// nothing fails once the use is taken.
func (n *Node) enrol(ctx context.Context, r *cluster.EnrolRequest) (*pki.Grant, error) {
	if !n.opened() || n.meta.ClusterID() == "" {
		return nil, fmt.Errorf("this node belongs to no cluster yet: %w", fs.ErrUnavailable)
	}
	issuer, err := n.issuer()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, fs.ErrUnavailable)
	}
	key, err := pki.ParseCSR(r.CSR)
	if err != nil {
		return nil, err
	}
	if r.Role != pki.RoleNode && r.Role != pki.RoleMount {
		return nil, fmt.Errorf("nobody becomes %q by a join token: %w", r.Role, fs.ErrPermission)
	}
	chain, err := issuer.Issue(pki.Request{Role: r.Role, Name: r.Name, Hosts: r.Hosts}, key)
	if err != nil {
		return nil, err
	}
	g := &pki.Grant{Chain: chain, Root: issuer.Root()}
	if r.Role == pki.RoleNode {
		g.IssuerCert, g.IssuerKey = issuer.Files()
		if g.GossipKey, err = pki.GossipKeyText(n.cfg.GossipKey); err != nil {
			return nil, fmt.Errorf("%w: %w", err, fs.ErrUnavailable)
		}
	}
	public, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, err
	}
	machine := append([]byte(r.Name+"\x00"), public...) // a key under another name would be another peer, with one use
	err = n.redeem(ctx, fs.Redemption{ID: r.Token, Secret: pki.HashSecret(r.Secret), Role: string(r.Role), Key: sha256.Sum256(machine)})
	if err != nil {
		return nil, err
	}
	n.log.Info("a machine was let in", "name", r.Name, "role", r.Role, "token", r.Token)
	return g, nil
}

// redeem takes the use at the leader, and says in its errors what it is about.
func (n *Node) redeem(ctx context.Context, r fs.Redemption) error {
	err := n.atLeader(n.meta.ClusterID(), redeemTimeout, func(c *metarpc.Client) error { return c.RedeemToken(ctx, r) })
	switch fs.CodeOf(err) {
	case fs.CodeOK, fs.CodeInvalid:
		return err
	case fs.CodeNotExist:
		return fmt.Errorf("there is no such join token, or no longer: %w", err)
	case fs.CodePermission:
		return fmt.Errorf("the secret is wrong, or the token is for another role: %w", err)
	case fs.CodeQuota:
		return fmt.Errorf("the join token is used up: %w", err)
	}
	return fmt.Errorf("%w: %w", err, fs.ErrUnavailable) // nobody has decided
}
