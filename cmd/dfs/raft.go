package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"dfs/cmd/internal/cli"
	"dfs/fs"
)

func (a *admin) raftCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "raft",
		Short: "Look into the replication of the metadata",
		Args:  cli.Args(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.raftStatusCommand())
	return cmd
}

func (a *admin) raftStatusCommand() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show Raft as one node sees it: term, leader, log, and every member's index and last contact",
		Long: "Only the leader knows how far the others' logs reach and when they last answered it: with --addr of another node,\n" +
			"or without a leader, these columns are question marks.",
		Args: cli.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.ask(cmd.Context(), func(ctx context.Context, node fs.Admin) error {
				s, err := node.Raft(ctx)
				if err != nil {
					return err
				}
				if asJSON {
					return writeJSON(cmd.OutOrStdout(), s)
				}
				return writeRaft(cmd.OutOrStdout(), s)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON for programs")
	return cmd
}

func writeRaft(w io.Writer, s *fs.RaftStatus) error {
	out := &strings.Builder{}
	writeNoQuorum(out, s.Quorum, s.Node)
	fmt.Fprintf(out, "node %s is %s in term %d; leader %s%s\n", s.Node, s.State, s.Term, leaderName(s.Leader), contact(s))
	fmt.Fprintf(out, "log entries %d to %d, committed %d, applied %d, snapshot up to %d\n\n", s.First, s.Last, s.Commit, s.Applied, s.Snapshot)
	t := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "NODE\tADDRESS\tROLE\tLAST ENTRY\tBEHIND\tAPPLIED\tLAST CONTACT")
	for _, m := range s.Servers {
		role := "learner"
		switch {
		case m.ID == s.Leader:
			role = "leader"
		case m.Voter:
			role = "voter"
		}
		behind := "?"
		if m.Last > 0 {
			behind = fmt.Sprint(s.Last - min(m.Last, s.Last))
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", m.ID, m.Addr, role, known(m.Last), behind, known(m.Applied), ago(m.ContactMillis))
	}
	_ = t.Flush() // a strings.Builder does not fail
	_, err := io.WriteString(w, out.String())
	return err
}

func contact(s *fs.RaftStatus) string {
	if s.Leader == s.Node || s.Leader == "" {
		return ""
	}
	return ", heard of " + ago(s.ContactMillis)
}

func known(n uint64) string {
	if n == 0 {
		return "?"
	}
	return fmt.Sprint(n)
}

func ago(millis int64) string {
	switch {
	case millis < 0:
		return "?"
	case millis == 0:
		return "now"
	}
	return fmt.Sprintf("%.1fs ago", float64(millis)/1000)
}
