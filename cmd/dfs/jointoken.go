package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"dfs/cluster/pki"
	"dfs/cmd/internal/cli"
	"dfs/cmd/internal/config"
	"dfs/fs"
	"dfs/raftmeta/metarpc"
)

const joinTokenLong = `Makes a token that lets new machines into a cluster with TLS, and prints it. A new machine shows it to a
node, which it knows by the token, and gets a certificate, and all else that it needs:

    dfsnode --join-token TOKEN a,b,c
    dfsmount --join-token TOKEN --tls-dir /etc/dfs/tls a,b,c /mnt/x

Whoever has the token may do so, while it lasts: give it away as you would a key. The cluster itself
keeps no more than a hash of its secret, so it cannot be shown again.`

func (a *admin) joinTokenCommand() *cobra.Command {
	role, uses, ttl := "", 1, time.Hour
	cmd := &cobra.Command{
		Use:     "join-token",
		Short:   "Make a token that lets new machines in; list and revoke tokens",
		Long:    joinTokenLong,
		Example: "  dfs join-token\n  dfs join-token --role mount --ttl 24h --uses 20\n  dfs join-token ls\n  dfs join-token revoke 3f0c8a51d2e94b76",
		Args:    cli.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case role != string(pki.RoleNode) && role != string(pki.RoleMount):
				return fmt.Errorf("%w: --role %q: want node or mount", config.ErrUsage, role)
			case uses < 1 || uses > fs.TokenUsesMax:
				return fmt.Errorf("%w: --uses %d: want 1 to %d", config.ErrUsage, uses, fs.TokenUsesMax)
			case ttl <= 0 || ttl > time.Duration(fs.TokenLifeMax):
				return fmt.Errorf("%w: --ttl %s: want up to %s", config.ErrUsage, ttl, time.Duration(fs.TokenLifeMax))
			}
			return a.makeToken(cmd.Context(), pki.Role(role), uses, ttl, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&role, "role", string(pki.RoleNode), "what the new machine is: node or mount")
	cmd.Flags().IntVar(&uses, "uses", uses, "how many machines it is good for")
	cmd.Flags().DurationVar(&ttl, "ttl", ttl, "how long it is good")
	cmd.AddCommand(a.joinTokenLsCommand(), a.joinTokenRevokeCommand())
	return cmd
}

// makeToken prints a token once the cluster knows of it. Its secret is made here, and the cluster is told a hash of it.
func (a *admin) makeToken(ctx context.Context, role pki.Role, uses int, ttl time.Duration, w io.Writer) error {
	return a.connectAs(ctx, func(ctx context.Context, c *metarpc.Client, self *pki.Credentials) error {
		if self == nil {
			return fmt.Errorf("%w: join tokens are for clusters with TLS: say --tls-dir", config.ErrUsage)
		}
		t, err := self.NewToken(role)
		if err != nil {
			return err
		}
		known := fs.JoinToken{ID: t.ID, Role: string(role), Expires: fs.TimeOf(time.Now().Add(ttl)), Uses: uses}
		if err := c.PutToken(ctx, known, pki.HashSecret(t.Secret())); err != nil {
			return err
		}
		_, err = fmt.Fprintln(w, t.Text())
		return err
	})
}

func (a *admin) joinTokenLsCommand() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List the tokens that have not expired; their secrets are known to nobody here",
		Args:  cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.connect(cmd.Context(), func(ctx context.Context, c *metarpc.Client) error {
				list, err := c.Tokens(ctx)
				if err != nil {
					return err
				}
				if asJSON {
					return writeJSON(cmd.OutOrStdout(), list)
				}
				return writeTokens(cmd.OutOrStdout(), list)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON for programs")
	return cmd
}

func writeTokens(w io.Writer, list []fs.JoinToken) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "TOKEN\tROLE\tUSES LEFT\tEXPIRES")
	for _, token := range list {
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\n", token.ID, token.Role, token.Uses, token.Expires.Std().Format(time.RFC3339))
	}
	return t.Flush()
}

func (a *admin) joinTokenRevokeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "revoke TOKEN",
		Short: "Take a token back, by its id; machines that it has let in stay",
		Args:  cli.Args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.connect(cmd.Context(), func(ctx context.Context, c *metarpc.Client) error {
				if err := c.RevokeToken(ctx, args[0]); err != nil {
					return err
				}
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "join token %s is revoked\n", args[0])
				return err
			})
		},
	}
}
