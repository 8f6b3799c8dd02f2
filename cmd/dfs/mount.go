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

func (a *admin) mountCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "mount",
		Short: "List the mounts",
		Long:  "To mount a filesystem use dfsmount.",
		Args:  cli.Args(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.mountLsCommand())
	return cmd
}

func (a *admin) mountLsCommand() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List the mounts: where, since when, what they have open, when they were heard of",
		Long: "Only the leader hears of mounts. Where there is none the list is what the answering node knows from the log, without\n" +
			"open files and last contact.",
		Args: cli.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.askLeader(cmd.Context(), func(_ context.Context, s *fs.Status) error {
				if asJSON {
					return writeJSON(cmd.OutOrStdout(), s.Sessions)
				}
				return writeMountList(cmd.OutOrStdout(), s)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON for programs")
	return cmd
}

func writeMountList(w io.Writer, s *fs.Status) error {
	out := &strings.Builder{}
	writeNoQuorum(out, s.Quorum, s.Node)
	t := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "MOUNT\tON\tSESSION\tSINCE\tOPEN FILES\tHEARD OF\tLEASES\tVERSION")
	for i := range s.Sessions {
		writeSession(t, &s.Sessions[i], leases(&s.Sessions[i]), dash(s.Sessions[i].Mount.Version))
	}
	_ = t.Flush() // a strings.Builder does not fail
	_, err := io.WriteString(w, out.String())
	return err
}

// writeSession writes a mount's line. What only the leader knows is a question mark elsewhere.
func writeSession(t io.Writer, m *fs.SessionStatus, more ...string) {
	pins, heard := "?", "?"
	if m.IdleMillis >= 0 {
		pins, heard = fmt.Sprint(m.Pins), fmt.Sprintf("%.1fs ago", float64(m.IdleMillis)/1000)
	}
	cells := append([]string{m.Mount.Path, fmt.Sprintf("%s, pid %d", m.Mount.Host, m.Mount.PID), fmt.Sprint(m.ID),
		m.Mount.Opened.Std().Format("2006-01-02 15:04:05"), pins, heard}, more...)
	fmt.Fprintln(t, strings.Join(cells, "\t"))
}

// leases says how many a mount has, and how many of them it was asked to give back and has not.
func leases(m *fs.SessionStatus) string {
	switch {
	case m.IdleMillis < 0:
		return "?"
	case m.Recalls > 0:
		return fmt.Sprintf("%d, %d asked back", m.Leases, m.Recalls)
	}
	return fmt.Sprint(m.Leases)
}

// writeNoQuorum says what an answer is worth that was given without a quorum.
func writeNoQuorum(out *strings.Builder, quorum bool, node fs.NodeID) {
	if !quorum {
		fmt.Fprintf(out, "! NO QUORUM: this is what node %s knows from before, and may be out of date\n", node)
	}
}
