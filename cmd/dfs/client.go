package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

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
func (a *admin) connect(ctx context.Context, fn func(context.Context, *metarpc.Client) error) error {
	return a.connectAs(ctx, func(ctx context.Context, c *metarpc.Client, _ *pki.Credentials) error { return fn(ctx, c) })
}

// connectAs also tells fn as whom: nil without TLS. A certificate that is due is renewed on the way.
func (a *admin) connectAs(ctx context.Context, fn func(context.Context, *metarpc.Client, *pki.Credentials) error) error {
	return a.talk(func(client *metarpc.Client, credentials *pki.Credentials, renew func(context.Context)) error {
		ctx, cancel := context.WithTimeout(ctx, a.Timeout)
		defer cancel()
		err := fn(ctx, client, credentials)
		if err == nil {
			renew(ctx)
		}
		return err
	})
}

// talk is connectAs for as long as fn likes; --timeout still bounds each call. fn renews the certificate, if that is due, when it
// thinks fit.
func (a *admin) talk(fn func(*metarpc.Client, *pki.Credentials, func(context.Context)) error) (err error) {
	addrs, err := cluster.ParseAddrs(a.Addr, cluster.PortRPC)
	if err != nil {
		return fmt.Errorf("%w: --addr: %v", config.ErrUsage, err)
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	credentials, err := a.TLS.Open(pki.RoleAdmin, log)
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
	err = fn(client, credentials, func(ctx context.Context) {
		if credentials == nil || !credentials.Due() {
			return
		}
		if err := credentials.Renew(ctx, cluster.RenewAt(dialer, func() []string { return addrs })); err != nil {
			log.Warn("this machine's certificate cannot be renewed", "ends", credentials.Leaf().NotAfter, "err", err)
		}
	})
	if errors.Is(err, fs.ErrUnavailable) {
		err = fmt.Errorf("%w (--addr asks other nodes)", err)
	}
	return err
}
