package mount

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"dfs/cluster/pki"
	"dfs/cmd/internal/enrol"
	"dfs/fs"
)

// nodesTimeout bounds asking which nodes there are.
const nodesTimeout = 5 * time.Second

// getCertificate gets a new machine its certificate, if the user has a join token for it.
func getCertificate(ctx context.Context, cfg Config, addrs []string, log *slog.Logger) error {
	if cfg.JoinToken == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, cfg.ConnectTimeout)
	defer cancel()
	return enrol.Ensure(ctx, enrol.Config{Token: cfg.JoinToken, Dir: cfg.TLS.Dir, Role: pki.RoleMount, Nodes: addrs, Log: log})
}

// nodes are the addresses of the nodes that are alive, in any order; if nobody can tell, those that the user has named.
func (c *Client) nodes(named []string) []string {
	ctx, cancel := context.WithTimeout(context.Background(), nodesTimeout)
	defer cancel()
	status, err := c.meta.Status(ctx)
	if err != nil {
		return named
	}
	var addrs []string
	for _, n := range status.Nodes {
		if n.Member && n.State == fs.NodeAlive {
			addrs = append(addrs, n.Addr)
		}
	}
	rand.Shuffle(len(addrs), func(i, j int) { addrs[i], addrs[j] = addrs[j], addrs[i] })
	return addrs
}
