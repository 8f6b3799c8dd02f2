// Command dfs is the operator's client of a dfs cluster.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"dfs/cmd/internal/cli"
	"dfs/cmd/internal/config"
	"dfs/cmd/internal/version"
)

func main() {
	root := command(os.Environ())
	if isMountCall(root, os.Args[1:]) {
		fmt.Fprintf(os.Stderr, "dfs: %v\n", execMount(os.Args[1:]))
		os.Exit(cli.ExitFailed)
	}
	os.Exit(cli.Main(root, os.Args[1:], os.Stdout, os.Stderr))
}

// admin is one invocation.
type admin struct {
	config.Admin
	env []string
}

func command(env []string) *cobra.Command {
	a := &admin{env: env}
	root := &cobra.Command{
		Use:         "dfs",
		Short:       "Look into and operate a dfs cluster",
		Long:        long,
		Version:     version.String(),
		Example:     examples,
		Args:        cli.Args(cobra.NoArgs),
		Annotations: map[string]string{cli.SeeAlso: "dfsnode(8), dfsmount(8), mount.dfs(8)"},
		RunE:        func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if err := config.Load(cmd.Flags(), env); err != nil {
				return err
			}
			return a.Validate()
		},
	}
	a.Register(root.PersistentFlags())
	root.AddCommand(a.statusCommand(), a.doctorCommand(), a.topCommand(), a.watchCommand(), a.explainCommand(), a.raftCommand(), a.mountCommand(),
		a.nodeCommand(), a.txCommand(), a.lockCommand(), a.lbCommand(), a.debugCommand(), a.joinTokenCommand(), a.quotaCommand(), caCommand(), versionCommand())
	root.AddCommand(a.fileCommands()...)
	return root
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of this program",
		Args:  cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), version.String())
			return err
		},
	}
}
