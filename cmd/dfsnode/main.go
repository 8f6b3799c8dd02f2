// Command dfsnode is one machine of a dfs cluster: it keeps blobs, votes in or learns from Raft, and serves mounts.
package main

import (
	"context"
	"errors"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"dfs/cmd/dfsnode/node"
	"dfs/cmd/dfsnode/service"
	"dfs/cmd/internal/cli"
	"dfs/cmd/internal/config"
	"dfs/cmd/internal/pidfile"
	"dfs/cmd/internal/tracing"
	"dfs/cmd/internal/version"
)

func main() {
	os.Exit(cli.Main(command(os.Environ()), os.Args[1:], os.Stdout, os.Stderr))
}

func command(env []string) *cobra.Command {
	options := &config.Node{}
	cmd := &cobra.Command{
		Use:         "dfsnode [NODES] [flags]",
		Short:       "Run one node of a dfs cluster",
		Long:        long,
		Example:     examples,
		Version:     version.String(),
		Args:        cli.Args(cobra.MaximumNArgs(1)),
		Annotations: map[string]string{cli.Section: "8", cli.SeeAlso: "dfsmount(8), mount.dfs(8), dfs(1), systemd.service(5)"},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := config.Load(cmd.Flags(), env); err != nil {
				return err
			}
			if len(args) == 1 { // besides --join: a unit file may have that
				options.Join = strings.Trim(options.Join+","+args[0], ",")
			}
			if err := options.Validate(); err != nil {
				return err
			}
			return run(cmd, options, env)
		},
	}
	options.Register(cmd.Flags())
	return cmd
}

func run(cmd *cobra.Command, options *config.Node, env []string) (err error) {
	faults, err := config.Failpoints(env)
	if err != nil {
		return err
	}
	log := options.Log.New(cmd.ErrOrStderr())
	manager, err := service.New(log)
	if err != nil {
		return err
	}
	options.Trace.FromEnv(env)
	tracer, stopTraces, err := tracing.Open(options.Trace, options.Insecure, "dfsnode", version.String(), log)
	if err != nil {
		return err
	}
	defer stopTraces()
	n, err := node.Open(cmd.Context(), *options, node.Deps{Version: version.String(), Faults: faults, Logger: log, Tracer: tracer})
	if err != nil {
		return err
	}
	// The file goes last: until then there is a process to wait for.
	defer func() { err = errors.Join(err, n.Close(), pidfile.Remove(options.PIDFile)) }()
	if err := pidfile.Write(options.PIDFile); err != nil {
		return err
	}
	err = serve(cmd.Context(), n, manager)
	manager.Stopping()
	if !errors.Is(err, context.Canceled) {
		return err
	}
	log.Info("stopping on a signal")
	return nil
}

// serve runs the node, and keeps the service manager informed, until ctx ends or the node fails.
func serve(ctx context.Context, n *node.Node, manager *service.Manager) error {
	ctx, cancel := context.WithCancel(ctx)
	told := make(chan struct{})
	go func() {
		defer close(told)
		manager.Run(ctx, n)
	}()
	err := n.Run(ctx)
	cancel()
	<-told
	return err
}
