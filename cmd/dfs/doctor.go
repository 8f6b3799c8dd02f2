package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"dfs/cmd/internal/cli"
	"dfs/cmd/internal/config"
	"dfs/fs"
	"dfs/raftmeta/metarpc"
)

const doctorLong = `Looks at this machine and at the cluster, and says of everything that is wrong what causes it and what to do about it.
It changes nothing. It exits with 0 when all is well, with 1 when there is something to say.

The cluster: quorum and how many voters can be spared, redundancy, dead, silent and lagging nodes, full disks, blobs that
lack replicas or were found damaged, versions that differ, clocks that differ, mounts not heard of, traffic without TLS.
This machine: /dev/fuse, the limit of open files, dead mounts, and, where a node's data directory is, its filesystem.`

// errFindings ends a doctor's visit that has found something, after it has been printed.
var errFindings = errors.New("not all is well")

func (a *admin) doctorCommand() *cobra.Command {
	asJSON, dir := false, ""
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say what is wrong with this machine or the cluster, and what to do",
		Long:  doctorLong,
		Args:  cli.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			x, err := a.examine(cmd.Context(), dir)
			if err != nil {
				return err
			}
			list := diagnose(x)
			if asJSON {
				err = writeJSON(cmd.OutOrStdout(), list)
			} else {
				err = writeFindings(cmd.OutOrStdout(), x, list)
			}
			if err == nil && len(list) > 0 {
				err = fmt.Errorf("%w: %s", errFindings, plural(len(list), "finding"))
			}
			return err
		},
	}
	cmd.Flags().StringVar(&dir, "dir", config.DefaultDir(), "data directory of the node on this machine, if there is one")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON for programs")
	return cmd
}

// examine looks at this machine and asks every member.
func (a *admin) examine(ctx context.Context, dir string) (*examination, error) {
	m, err := examineMachine(dir)
	if err != nil {
		return nil, err
	}
	x := &examination{Machine: m, Insecure: a.Insecure}
	x.Unreachable = a.connect(ctx, func(ctx context.Context, c *metarpc.Client) error {
		s, err := c.Status(ctx)
		if err != nil {
			return err
		}
		x.Nodes = askMembers(ctx, c, s)
		x.Status = bestStatus(s, x.Nodes)
		return nil
	})
	if x.Status != nil {
		x.Unreachable = nil // what failed after the answer, closing a connection, says nothing of the cluster
	}
	if errors.Is(x.Unreachable, config.ErrUsage) {
		return nil, x.Unreachable
	}
	return x, nil
}

// askMembers asks every member that s names, all at once, for half of the time that is left: one that hangs must not
// take the rest of it from others.
func askMembers(ctx context.Context, c *metarpc.Client, s *fs.Status) []nodeAnswer {
	ctx, cancel := half(ctx)
	defer cancel()
	var list []nodeAnswer
	for i := range s.Nodes {
		if n := &s.Nodes[i]; n.Member && n.Addr != "" {
			list = append(list, nodeAnswer{ID: n.ID, Addr: n.Addr})
		}
	}
	var asked sync.WaitGroup
	for i := range list {
		asked.Go(func() {
			n := &list[i]
			sent := time.Now()
			n.Status, n.Err = c.Admin(n.Addr).Status(ctx)
			if n.Took = time.Since(sent); n.Err == nil {
				n.Offset = n.Status.Time.Std().Sub(sent.Add(n.Took / 2))
			}
		})
	}
	asked.Wait()
	return list
}

// half is ctx with half of the time that it has left.
func half(ctx context.Context) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(end)/2)
}

// bestStatus is the view of the cluster that says most: a leader's with a quorum, of the newest term; else that of a node that
// sees one; else first. A node that is cut off would say of all the others that they are dead.
func bestStatus(first *fs.Status, nodes []nodeAnswer) *fs.Status {
	best := first
	for i := range nodes {
		n := &nodes[i]
		if n.Err != nil || n.Status.Cluster != first.Cluster {
			continue
		}
		if a, b := rank(n.Status), rank(best); a > b || a == b && n.Status.Term > best.Term {
			best = n.Status
		}
	}
	return best
}

func rank(s *fs.Status) int {
	switch {
	case s.Quorum && s.Leader == s.Node:
		return 2
	case s.Quorum:
		return 1
	}
	return 0
}

func writeFindings(w io.Writer, x *examination, list []finding) error {
	out := &strings.Builder{}
	for i := range list {
		out.WriteString(list[i].String())
	}
	if len(list) == 0 {
		fmt.Fprintf(out, "all is well with this machine and with cluster %s, %s\n", x.Status.Cluster, plural(len(x.Nodes), "node"))
	}
	_, err := io.WriteString(w, out.String())
	return err
}
