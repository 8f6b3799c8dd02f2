package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"dfs/cmd/internal/cli"
	"dfs/fs"
)

func (a *admin) statusCommand() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the cluster on one screen: quorum, nodes, mounts, blobs",
		Long: "Shows the cluster as one node sees it, that node's name in the first line. Without a majority the answer is\n" +
			"what the node knows from before; the first line then says NO QUORUM. What is wrong stands below it, the worst first.",
		Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.ask(cmd.Context(), func(ctx context.Context, node fs.Admin) error {
				s, err := node.Status(ctx)
				if err != nil {
					return err
				}
				if asJSON {
					return writeJSON(cmd.OutOrStdout(), s)
				}
				return writeStatus(cmd.OutOrStdout(), s)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON for programs")
	return cmd
}

// writeStatus prints s for people.
func writeStatus(w io.Writer, s *fs.Status) error {
	out := &strings.Builder{}
	writeHead(out, s)
	fmt.Fprintln(out)
	writeNodes(out, s)
	writeSessions(out, s.Sessions)
	writeBlobs(out, s)
	_, err := io.WriteString(w, out.String())
	return err
}

func writeHead(out *strings.Builder, s *fs.Status) {
	if s.Cluster == "" {
		fmt.Fprintf(out, "node %s belongs to no cluster yet\n", s.Node)
		return
	}
	quorum := "quorum ok"
	if !s.Quorum {
		quorum = "NO QUORUM"
	}
	fmt.Fprintf(out, "cluster %s   %s   leader %s (term %d)   seen by %s\n", s.Cluster, quorum, leaderName(s.Leader), s.Term, s.Node)
	writeAlarms(out, alarms(s))
}

// alarmsShown keeps the status to one screen; dfs doctor tells all.
const alarmsShown = 6

func writeAlarms(out *strings.Builder, list []alarm) {
	for _, a := range list[:min(len(list), alarmsShown)] {
		fmt.Fprintf(out, "! %s\n", a.Cause)
	}
	switch more := len(list) - alarmsShown; {
	case more > 0:
		fmt.Fprintf(out, "! … and %d more; \"dfs doctor\" tells all, and what to do\n", more)
	case len(list) > 0:
		fmt.Fprintf(out, "  \"dfs doctor\" tells what to do\n")
	}
}

func leaderName(id fs.NodeID) string {
	if id == "" {
		return "none"
	}
	return string(id)
}

// writable counts the nodes that can take a new blob now.
func writable(s *fs.Status) (n int) {
	for i := range s.Nodes {
		x := &s.Nodes[i]
		if x.Member && (x.State == fs.NodeAlive || x.State == fs.NodeSuspect) && !x.Load.ReadOnly {
			n++
		}
	}
	return n
}

func writeNodes(out *strings.Builder, s *fs.Status) {
	t := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "NODE\tADDRESS\tZONE\tROLE\tSTATE\tAPPLIED\tFREE\tOF\tCPU\tMEM\tIN FLIGHT\tVERSION")
	for _, n := range s.Nodes {
		applied := "?"
		if n.Applied > 0 {
			applied = fmt.Sprint(n.Applied)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%.0f%%\t%.0f%%\t%d\t%s\n", n.ID, n.Addr, dash(n.Zone), role(s, &n),
			nodeState(&n), applied, humanize.IBytes(n.Load.DiskFreeBytes), humanize.IBytes(n.Load.DiskTotalBytes),
			100*n.Load.CPU, 100*n.Load.Memory, n.Load.InFlight, dash(n.Version))
	}
	_ = t.Flush() // a strings.Builder does not fail
}

func role(s *fs.Status, n *fs.NodeStatus) string {
	switch {
	case !n.Member:
		return "no member"
	case n.ID == s.Leader:
		return "leader"
	case n.Voter:
		return "voter"
	}
	return "learner"
}

func nodeState(n *fs.NodeStatus) string {
	if n.Load.ReadOnly {
		return n.State.String() + ", full"
	}
	return n.State.String()
}

// mountsShown keeps the status to one screen; dfs mount ls tells all.
const mountsShown = 8

func writeSessions(out *strings.Builder, sessions []fs.SessionStatus) {
	if len(sessions) == 0 {
		return
	}
	fmt.Fprintln(out)
	t := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "MOUNT\tON\tSESSION\tSINCE\tOPEN FILES\tHEARD OF")
	for i := range sessions[:min(len(sessions), mountsShown)] {
		writeSession(t, &sessions[i])
	}
	_ = t.Flush() // a strings.Builder does not fail
	if more := len(sessions) - mountsShown; more > 0 {
		fmt.Fprintf(out, "… and %d more, see \"dfs mount ls\"\n", more)
	}
}

func writeBlobs(out *strings.Builder, s *fs.Status) {
	b := s.Blobs
	fmt.Fprintf(out, "\n%s inodes; %s blobs of %s, %s of it in files; %d replicas, at least %s\n", humanize.Comma(int64(s.Inodes)),
		humanize.Comma(int64(b.Count)), humanize.IBytes(b.Bytes), humanize.IBytes(b.LiveBytes), s.Replicas, least(s))
	fmt.Fprintf(out, "%d blobs lack replicas; %d are garbage that waits for deletion; log applied to %d of %d\n",
		b.UnderReplicated, b.Garbage, s.Applied, s.Commit)
}

// least is how many copies a write has when it is acknowledged, and how many it should have.
func least(s *fs.Status) string {
	if s.MinReplicas == s.MinReplicasWanted {
		return fmt.Sprint(s.MinReplicas)
	}
	return fmt.Sprintf("%d (wanted: %d)", s.MinReplicas, s.MinReplicasWanted)
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
