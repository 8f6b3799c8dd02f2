package main

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc"

	"dfs/cluster"
	"dfs/cluster/pki"
	"dfs/cmd/internal/config"
	"dfs/fs"
	"dfs/raftmeta/metarpc"
)

// ask puts a question to the first node that answers.
func (a *admin) ask(ctx context.Context, question func(context.Context, fs.Admin) error) error {
	return a.connect(ctx, func(ctx context.Context, c *metarpc.Client) error { return question(ctx, c) })
}

// askLeader is ask for a status that only the leader has all of. Where there is none, or it does not answer, the status of
// the node that was asked first has to do.
func (a *admin) askLeader(ctx context.Context, answer func(context.Context, *fs.Status) error) error {
	return a.connect(ctx, func(ctx context.Context, c *metarpc.Client) error {
		s, err := c.Status(ctx)
		if err != nil {
			return err
		}
		return answer(ctx, fromLeader(ctx, c, s))
	})
}

// fromLeader is the leader's status in the place of another node's, if it can be had.
func fromLeader(ctx context.Context, c *metarpc.Client, s *fs.Status) *fs.Status {
	for i := range s.Nodes {
		if n := &s.Nodes[i]; n.ID == s.Leader && s.Leader != s.Node {
			if better, err := c.Admin(n.Addr).Status(ctx); err == nil {
				return better
			}
		}
	}
	return s
}

// connect has fn talk to the cluster, for as long as --timeout says.
func (a *admin) connect(ctx context.Context, fn func(context.Context, *metarpc.Client) error) (err error) {
	addrs, err := cluster.ParseAddrs(a.Addr, cluster.PortRPC)
	if err != nil {
		return fmt.Errorf("%w: --addr: %v", config.ErrUsage, err)
	}
	credentials, err := a.TLS.Open(pki.RoleAdmin, nil)
	if err != nil {
		return err
	}
	if credentials != nil {
		defer func() { err = errors.Join(err, credentials.Close()) }()
	}
	dialer := cluster.NewDialer(cluster.DialerConfig{Insecure: a.Insecure, TLS: credentials})
	defer func() { err = errors.Join(err, dialer.Close()) }()
	client, err := metarpc.NewClient(metarpc.Config{
		Peers:     addrs,
		Dial:      func(addr string) (grpc.ClientConnInterface, error) { return dialer.DialGRPC(addr) },
		OpTimeout: a.Timeout,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	ctx, cancel := context.WithTimeout(ctx, a.Timeout)
	defer cancel()
	err = fn(ctx, client)
	if errors.Is(err, fs.ErrUnavailable) {
		err = fmt.Errorf("%w (--addr asks other nodes)", err)
	}
	return err
}
