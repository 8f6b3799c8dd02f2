package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"dfs/cmd/internal/cli"
	"dfs/cmd/internal/config"
	"dfs/fs"
	"dfs/raftmeta/metarpc"
)

const lockLong = `File locks, by flock(2) and fcntl(2), hold across all mounts. The leader keeps them; they end with the
process, or when its mount has been silent for the session's time-out.`

const lockLsLong = `Lists who holds and who waits for file locks: those on PATH, or all. PATH begins at the root of the filesystem;
a path on this machine that lies in a mount is meant when it begins with the mount point.

The process (PID) is on the mount's machine, as the mount's PID namespace counts. The age is since the lock was asked
for, or since a new leader was told of it.`

func (a *admin) lockCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lock",
		Short: "See who holds and who waits for file locks",
		Long:  lockLong,
		Args:  cli.Args(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.lockLsCommand())
	return cmd
}

func (a *admin) lockLsCommand() *cobra.Command {
	limit, asJSON := 1000, false
	cmd := &cobra.Command{
		Use:     "ls [PATH]",
		Short:   "List file locks: holders, and those who wait",
		Long:    lockLsLong,
		Example: "  dfs lock ls\n  dfs lock ls /d/f\n  dfs lock ls /mnt/x/d/f --json",
		Args:    cli.Args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if limit < 1 || limit > fs.LocksListedMax {
				return fmt.Errorf("%w: --limit %d: want 1 to %d", config.ErrUsage, limit, fs.LocksListedMax)
			}
			return a.connect(cmd.Context(), func(ctx context.Context, c *metarpc.Client) error {
				ino, err := inodeOf(ctx, c, args)
				if err != nil {
					return err
				}
				list, err := c.Locks(ctx, ino, limit)
				if err != nil {
					return err
				}
				if asJSON {
					return writeJSON(cmd.OutOrStdout(), list)
				}
				return writeLocks(cmd.OutOrStdout(), list)
			})
		},
	}
	cmd.Flags().IntVar(&limit, "limit", limit, "list at most so many")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON for programs")
	return cmd
}

// inodeOf is the inode that an argument names; 0 without one.
func inodeOf(ctx context.Context, c *metarpc.Client, args []string) (fs.Ino, error) {
	if len(args) == 0 {
		return 0, nil
	}
	mounts, err := localMounts()
	if err != nil {
		return 0, err
	}
	e, err := c.Explain(ctx, withinMount(args[0], mounts))
	if err != nil {
		return 0, err
	}
	return e.Attr.Ino, nil
}

func writeLocks(w io.Writer, list *fs.LockList) error {
	out := &strings.Builder{}
	t := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "INODE\tKIND\tTYPE\tBYTES\tSTATE\tAGE\tPID\tSESSION\tMOUNT")
	for i := range list.Locks {
		l := &list.Locks[i]
		fmt.Fprintf(t, "%d\t%v\t%v\t%s\t%s\t%s\t%s\t%d\t%s\n", l.Ino, l.Kind, l.Type, lockBytes(l), lockState(l), lockAge(l, list.Time),
			known(uint64(l.PID)), l.Session, l.Host+":"+l.Path)
	}
	_ = t.Flush() // a strings.Builder does not fail
	if list.More > 0 {
		fmt.Fprintf(out, "… and %d more; see --limit\n", list.More)
	}
	if list.Owing > 0 {
		fmt.Fprintf(out, "the leader is new: %d sessions have not told it their locks yet\n", list.Owing)
	}
	_, err := io.WriteString(w, out.String())
	return err
}

func lockBytes(l *fs.LockStatus) string {
	switch {
	case l.Start == 0 && l.End == fs.LockEnd:
		return "all"
	case l.End == fs.LockEnd:
		return fmt.Sprintf("%d-", l.Start)
	}
	return fmt.Sprintf("%d-%d", l.Start, l.End)
}

func lockState(l *fs.LockStatus) string {
	if l.Waiting {
		return "waiting"
	}
	return "held"
}

func lockAge(l *fs.LockStatus, now fs.Time) string {
	return max(time.Duration(now-l.Since), 0).Truncate(100 * time.Millisecond).String()
}
