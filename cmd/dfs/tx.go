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
	"dfs/cmd/internal/config"
	"dfs/fs"
)

func (a *admin) txCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tx",
		Short: "Watch flush transactions (two-phase commits)",
		Long:  txLong,
		Args:  cli.Args(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.txLsCommand(), a.txShowCommand())
	return cmd
}

func (a *admin) txLsCommand() *cobra.Command {
	limit, asJSON := 20, false
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List undecided transactions and the last decided ones, newest first",
		Args:  cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 1 || limit > 1000 {
				return fmt.Errorf("%w: --limit %d: want 1 to 1000", config.ErrUsage, limit)
			}
			return a.ask(cmd.Context(), func(ctx context.Context, node fs.Admin) error {
				list, err := node.Transactions(ctx, limit)
				if err != nil {
					return err
				}
				if asJSON {
					return writeJSON(cmd.OutOrStdout(), list)
				}
				return writeTxList(cmd.OutOrStdout(), list)
			})
		},
	}
	cmd.Flags().IntVar(&limit, "limit", limit, "list at most so many")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON for programs")
	return cmd
}

func (a *admin) txShowCommand() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "show SESSION.SEQ",
		Short: "Show one transaction: operations, blobs, where they are staged",
		Args:  cli.Args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := fs.ParseTxID(args[0])
			if err != nil {
				return fmt.Errorf("%w: %v", config.ErrUsage, err)
			}
			return a.ask(cmd.Context(), func(ctx context.Context, node fs.Admin) error {
				tx, err := node.Transaction(ctx, id)
				if errors.Is(err, fs.ErrNotExist) {
					return fmt.Errorf("transaction %s is not known to this node, which remembers the latest only; see \"dfs tx ls\"", id)
				}
				if err != nil {
					return err
				}
				if asJSON {
					return writeJSON(cmd.OutOrStdout(), tx)
				}
				return writeTx(cmd.OutOrStdout(), tx)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON for programs")
	return cmd
}

func writeTxList(w io.Writer, list []fs.TxStatus) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "TRANSACTION\tSTATE\tINDEX\tTIME\tOPS\tBLOBS\tSTAGED ON\tFIRST OPERATION")
	for _, tx := range list {
		first := "-"
		if len(tx.Ops) > 0 {
			first = tx.Ops[0]
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%d\t%d\t%s\t%s\n", tx.ID, txState(&tx), tx.Index, tx.Time.Std().Format("15:04:05.000"),
			len(tx.Ops), len(tx.Blobs), nodeList(tx.Staged), first)
	}
	return t.Flush()
}

func writeTx(w io.Writer, tx *fs.TxStatus) error {
	out := &strings.Builder{}
	fmt.Fprintf(out, "transaction %s: %s, log index %d, %s\n", tx.ID, txState(tx), tx.Index,
		tx.Time.Std().Format("2006-01-02 15:04:05.000"))
	for _, op := range tx.Ops {
		fmt.Fprintf(out, "  op    %s\n", op)
	}
	for _, b := range tx.Blobs {
		fmt.Fprintf(out, "  blob  %s, %s, checksum %08x, on %s\n", b.ID, humanize.IBytes(uint64(b.Length)), b.Sum, nodeList(b.Replicas))
	}
	if len(tx.Staged) > 0 {
		fmt.Fprintf(out, "  still staged on %s\n", nodeList(tx.Staged))
	}
	_, err := io.WriteString(w, out.String())
	return err
}

func txState(tx *fs.TxStatus) string {
	if tx.Err == fs.CodeOK {
		return string(tx.State)
	}
	return fmt.Sprintf("refused (%v)", fs.FromCode(tx.Err))
}

func nodeList(ids []fs.NodeID) string {
	names := make([]string, 0, len(ids))
	for _, id := range ids {
		names = append(names, string(id))
	}
	return dash(strings.Join(names, ","))
}
