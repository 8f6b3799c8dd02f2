package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"dfs/cluster/pki"
	"dfs/cmd/internal/cli"
	"dfs/cmd/internal/config"
)

const caLong = `Makes the files that let a cluster's machines know each other: with them all traffic is encrypted, and
nobody without a certificate of the authority is answered. It runs on any machine and speaks to none.

A certificate has a role, which says what its holder may ask for: node, mount or admin. One for a mount can
be bound to a directory and what is beneath it (--subtree), and to reading (--read-only). It cannot be
revoked, so it ends after a while; dfsnode, dfsmount and dfs renew theirs in time, by a node that has
the issuer's key. One that has ended is replaced by issuing another one under the same name into another
directory (--out), and copying it over the old one: it is read again without a restart.

Keep the authority's directory off the cluster's machines: whoever has ca.key is any node. The issuer's
key, which signs in its name, goes to the nodes: whoever has that one can make any certificate too. The
way out of its loss is another authority; until all have changed, ca.crt may hold both roots.`

func caCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ca",
		Short: "Make the certificates for TLS",
		Long:  caLong,
		Args:  cli.Args(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(caInitCommand(), caIssueCommand())
	return cmd
}

// caDir declares where the authority lies.
func caDir(cmd *cobra.Command, dir *string) {
	cmd.Flags().StringVar(dir, "dir", "dfs-ca", "directory of the authority")
}

func caInitCommand() *cobra.Command {
	dir := ""
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make a certificate authority, and the nodes' gossip key",
		Args:  cli.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := pki.InitCA(dir); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "certificate authority made in %s\n", dir)
			return err
		},
	}
	caDir(cmd, &dir)
	return cmd
}

func caIssueCommand() *cobra.Command {
	dir, out, role := "", "", ""
	request := pki.Request{}
	cmd := &cobra.Command{
		Use:   "issue --role node|mount|admin",
		Short: "Make a machine's directory for --tls-dir: a certificate, its key, and what goes with them",
		Example: `  dfs ca issue --role node --name n1 --host n1.example.org,10.0.0.1
  dfs ca issue --role mount --name laptop --days 30
  dfs ca issue --role mount --name web --subtree /www --read-only`,
		Args: cli.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if request.Role, err = pki.ParseRole(role); err != nil {
				return fmt.Errorf("%w: --role: %v", config.ErrUsage, err)
			}
			if request.Days < 1 {
				return fmt.Errorf("%w: --days %d: want 1 or more", config.ErrUsage, request.Days)
			}
			if request.Name == "" {
				request.Name = role
			}
			if out == "" {
				out = filepath.Join(dir, request.Name)
			}
			if err := pki.Issue(dir, out, request); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "certificate made for the %s %s; copy %s to its machine, for --tls-dir\n", role, request.Name, out)
			return err
		},
	}
	caDir(cmd, &dir)
	cmd.Flags().StringVar(&role, "role", "", "what the holder is: node, mount or admin")
	cmd.Flags().StringVar(&request.Name, "name", "", "of the files, and of the holder in logs (default: the role)")
	cmd.Flags().StringSliceVar(&request.Hosts, "host", nil, "names and addresses of a node's machine, for clients of its HTTP ports such as curl")
	cmd.Flags().BoolVar(&request.NoIssuer, "no-issuer", false, "keep the issuer's key from this node: others renew certificates and let machines in")
	cmd.Flags().StringVar(&request.Scope.Subtree, "subtree", "", "bind a mount to this directory, a path from the root of the cluster's tree")
	cmd.Flags().BoolVar(&request.Scope.ReadOnly, "read-only", false, "bind a mount to reading")
	cmd.Flags().IntVar(&request.Days, "days", pki.DefaultDays, "how long it holds")
	cmd.Flags().StringVar(&out, "out", "", "directory to make the files in (default: NAME in --dir)")
	return cmd
}
