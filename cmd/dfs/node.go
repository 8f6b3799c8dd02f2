package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"dfs/cmd/internal/cli"
	"dfs/fs"
	"dfs/raftmeta/metarpc"
)

func (a *admin) nodeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "node",
		Short: "List and remove nodes",
		Long:  nodeLong,
		Args:  cli.Args(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.nodeLsCommand(), a.nodeRemoveCommand())
	return cmd
}

func (a *admin) nodeLsCommand() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List the nodes as one of them sees them",
		Args:  cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.ask(cmd.Context(), func(ctx context.Context, node fs.Admin) error {
				s, err := node.Status(ctx)
				if err != nil {
					return err
				}
				if asJSON {
					return writeJSON(cmd.OutOrStdout(), s.Nodes)
				}
				return writeNodeList(cmd.OutOrStdout(), s)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON for programs")
	return cmd
}

func writeNodeList(w io.Writer, s *fs.Status) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "NODE\tADDRESS\tZONE\tROLE\tSTATE\tSTORES\tFREE\tOF\tVERSION")
	for _, n := range s.Nodes {
		stores := "not yet"
		if n.Storing {
			stores = "yes"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", n.ID, n.Addr, dash(n.Zone), role(s, &n), nodeState(&n), stores,
			humanize.IBytes(n.Load.DiskFreeBytes), humanize.IBytes(n.Load.DiskTotalBytes), dash(n.Version))
	}
	return t.Flush()
}

// errRefused ends a removal that was refused here, after the reasons have been printed.
var errRefused = errors.New("not removed")

func (a *admin) nodeRemoveCommand() *cobra.Command {
	force := false
	cmd := &cobra.Command{
		Use:   "remove NODE",
		Short: "Remove a node for good",
		Long:  nodeRemoveLong,
		Args:  cli.Args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.connect(cmd.Context(), func(ctx context.Context, c *metarpc.Client) error {
				return removeNode(ctx, c, fs.NodeID(args[0]), force, cmd.OutOrStdout())
			})
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "remove it although it is alive, or has the last replica of a blob, which is lost then")
	return cmd
}

// removeNode prints what a removal does and does it, or says why not. The leader looks again when it is asked to do it.
func removeNode(ctx context.Context, c fs.Membership, id fs.NodeID, force bool, w io.Writer) error {
	plan, err := c.Removal(ctx, id)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no node %q, see \"dfs node ls\"", id)
	}
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, describeRemoval(plan)); err != nil || plan.Removed {
		return err
	}
	switch why := plan.Objections(); {
	case !plan.Quorum():
		return fmt.Errorf("%w: there would be no quorum without it: %d of the %d voters left answer", errRefused, plan.VotersAlive, plan.VotersLeft)
	case len(why) > 0 && !force:
		return fmt.Errorf("%w: %s; --force removes it all the same", errRefused, strings.Join(why, "; "))
	}
	if err := c.RemoveNode(ctx, id, force); err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "node %s is removed\n", id)
	return err
}

func describeRemoval(r *fs.Removal) string {
	if r.Removed {
		return fmt.Sprintf("node %s has been removed already\n", r.Node)
	}
	out := &strings.Builder{}
	fmt.Fprintf(out, "removing node %s:\n", r.Node)
	fmt.Fprintf(out, "  %d blobs have a replica on it and will be copied to other nodes\n", r.Blobs-r.Last)
	if r.Last > 0 {
		fmt.Fprintf(out, "  %d blobs have no replica on any other node that is alive\n", r.Last)
	}
	if r.Voter {
		fmt.Fprintf(out, "  %d voters are left, %d of them answer\n", r.VotersLeft, r.VotersAlive)
	}
	if r.MinReplicas < r.MinReplicasNow {
		fmt.Fprintf(out, "  fsync will return with %d copies instead of %d, since no more nodes store blobs\n", r.MinReplicas, r.MinReplicasNow)
	}
	return out.String()
}
