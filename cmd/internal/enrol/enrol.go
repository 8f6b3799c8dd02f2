// Package enrol gets a program on a new machine its certificate, by a join token.
package enrol

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"dfs/cluster"
	"dfs/cluster/pki"
	"dfs/cmd/internal/config"
	"dfs/fs"
)

// Between two rounds in which no node could let the machine in.
const (
	pauseMin = time.Second
	pauseMax = 10 * time.Second
)

// Config says what is wanted.
type Config struct {
	Token string   // as the user said it
	Dir   string   // where the files come
	Role  pki.Role // of the program
	Name  string   // of the files, and in the cluster's logs; empty: the host's
	Hosts []string // for the certificate of a node
	Nodes []string // host:port, to be asked in turn
	Log   *slog.Logger
}

// Ensure makes the files if they are not there yet; else the token is not looked at, and may have ended long ago. It tries
// until ctx ends, or the cluster refuses: fs.ErrPermission.
func Ensure(ctx context.Context, cfg Config) error {
	if _, err := pki.FilesIn(cfg.Dir, cfg.Role); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	token, err := config.ReadToken(cfg.Token)
	if err != nil {
		return err
	}
	if token.Role != cfg.Role {
		return fmt.Errorf("%w: the join token is for a %s, not for a %s", config.ErrUsage, token.Role, cfg.Role)
	}
	if cfg.Name == "" {
		cfg.Name = hostName()
	}
	return pki.Enrol(ctx, cfg.Dir, cfg.Name, token, func(ctx context.Context, csr []byte) (*pki.Grant, error) {
		return cfg.ask(ctx, token, cluster.EnrolRequest{CSR: csr, Name: cfg.Name, Hosts: cfg.Hosts})
	})
}

// ask asks the nodes, round after round.
func (c *Config) ask(ctx context.Context, token pki.Token, r cluster.EnrolRequest) (*pki.Grant, error) {
	said := ""
	for pause := pauseMin; ; pause = min(2*pause, pauseMax) {
		g, err := c.askEach(ctx, token, r)
		if err == nil || errors.Is(err, fs.ErrPermission) {
			return g, err
		}
		if err.Error() != said {
			said = err.Error()
			c.Log.Warn("no node lets this machine in yet; trying on", "token", token.ID, "err", err)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", err, ctx.Err())
		case <-time.After(pause):
		}
	}
}

// askEach asks each node until one answers. What one refuses, all do: the leader has been asked.
func (c *Config) askEach(ctx context.Context, token pki.Token, r cluster.EnrolRequest) (*pki.Grant, error) {
	var errs []error
	for _, addr := range c.Nodes {
		g, err := cluster.Enrol(ctx, addr, token, r)
		if err == nil {
			c.Log.Info("this machine has been let in", "node", addr, "token", token.ID, "dir", c.Dir)
			return g, nil
		}
		if errors.Is(err, fs.ErrPermission) {
			return nil, err
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// hostName is the machine's name as far as it can stand in a certificate and in the name of a file.
func hostName() string {
	host, err := os.Hostname()
	if err != nil || !pki.ValidName(host) {
		return "machine"
	}
	return strings.ToLower(host)
}
