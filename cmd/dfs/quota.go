package main

import (
	"context"
	"fmt"
	"io"
	"os/user"
	"strconv"
	"text/tabwriter"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"dfs/cmd/internal/cli"
	"dfs/cmd/internal/config"
	"dfs/fs"
	"dfs/raftmeta/metarpc"
)

const quotaLong = `A quota limits the bytes and the number of files of a directory with all that lies in it, or of a user
everywhere. What would exceed a limit is refused ("Disk quota exceeded"); df in the directory shows what is
left. Limits bind everybody, root too. Bytes are those that du counts: holes are free.

A directory that has a quota is like a filesystem of its own: mv copies directories into and out of it, and
no file has names in it and outside.`

func (a *admin) quotaCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "quota",
		Short:   "Limit what directories and users may use",
		Long:    quotaLong,
		Example: "  dfs quota set /projects/a --bytes 10GiB --inodes 100000\n  dfs quota set --user alice --bytes 50GiB\n  dfs quota rm /projects/a\n  dfs quota ls",
		Args:    cli.Args(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.quotaSetCommand(), a.quotaRmCommand(), a.quotaLsCommand())
	return cmd
}

// quotaOf is whom a command is about: the one path in args, or --user.
func quotaOf(args []string, name string) (fs.QuotaOf, error) {
	switch {
	case len(args) == 1 && name == "":
		return fs.QuotaOf{Path: args[0]}, nil
	case len(args) > 0 || name == "":
		return fs.QuotaOf{}, fmt.Errorf("%w: want either a path or --user", config.ErrUsage)
	}
	uid, err := strconv.ParseUint(name, 10, 32)
	if err != nil {
		u, unknown := user.Lookup(name)
		if unknown != nil {
			return fs.QuotaOf{}, fmt.Errorf("%w: --user: %v on this machine; a number will do", config.ErrUsage, unknown)
		}
		if uid, err = strconv.ParseUint(u.Uid, 10, 32); err != nil {
			return fs.QuotaOf{}, fmt.Errorf("%w: --user: the uid of %s is %q", config.ErrUsage, name, u.Uid)
		}
	}
	return fs.QuotaOf{User: true, UID: uint32(uid)}, nil
}

func quotaName(of fs.QuotaOf) string {
	if of.User {
		return fmt.Sprintf("user %d", of.UID)
	}
	return of.Path
}

func (a *admin) quotaSetCommand() *cobra.Command {
	name, bytes, inodes := "", config.Bytes(0), uint64(0)
	cmd := &cobra.Command{
		Use:   "set {PATH | --user USER}",
		Short: "Set limits; those that are not named stay as they are",
		Long: `Sets limits; those that are not named stay as they are, and 0 is no limit. The directory must be there. What lies
in it already is counted in the background, and "dfs quota ls" tells when that is done. A limit below what is
used removes nothing: it only refuses more. The command returns when every mount has heard that there are limits,
after two seconds or so.`,
		Args: cli.Args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			of, err := quotaOf(args, name)
			if err != nil {
				return err
			}
			change := fs.LimitChange{SetBytes: cmd.Flags().Changed("bytes"), SetInodes: cmd.Flags().Changed("inodes"),
				Limits: fs.Limits{Bytes: uint64(bytes), Inodes: inodes}}
			if !change.SetBytes && !change.SetInodes {
				return fmt.Errorf("%w: want --bytes or --inodes", config.ErrUsage)
			}
			err = a.connect(cmd.Context(), func(ctx context.Context, c *metarpc.Client) error {
				return c.SetQuota(ctx, of, change)
			})
			if err != nil {
				return err
			}
			news := ""
			if silent, err := a.heard(cmd.Context()); err != nil || silent > 0 {
				news = ", but some mounts have not heard of it yet: what is written there may be refused only by fsync and close"
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "the quota of %s is set%s\n", quotaName(of), news)
			return err
		},
	}
	cmd.Flags().StringVar(&name, "user", "", "the quota of a user, by name or number, instead of a directory's")
	cmd.Flags().Var(&bytes, "bytes", "how many bytes may be used, 0: any")
	cmd.Flags().Uint64Var(&inodes, "inodes", 0, "how many files, directories and so on there may be, 0: any")
	return cmd
}

func (a *admin) quotaRmCommand() *cobra.Command {
	name := ""
	cmd := &cobra.Command{
		Use:   "rm {PATH | --user USER}",
		Short: "Remove a quota; files stay as they are",
		Args:  cli.Args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			of, err := quotaOf(args, name)
			if err != nil {
				return err
			}
			return a.connect(cmd.Context(), func(ctx context.Context, c *metarpc.Client) error {
				if err := c.RemoveQuota(ctx, of); err != nil {
					return err
				}
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "the quota of %s is removed\n", quotaName(of))
				return err
			})
		},
	}
	cmd.Flags().StringVar(&name, "user", "", "the quota of a user, by name or number, instead of a directory's")
	return cmd
}

func (a *admin) quotaLsCommand() *cobra.Command {
	asJSON, all := false, false
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List limits and what is used of them",
		Args:  cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.connect(cmd.Context(), func(ctx context.Context, c *metarpc.Client) error {
				list, err := allQuotas(ctx, c, all)
				if err != nil {
					return err
				}
				if asJSON {
					return writeJSON(cmd.OutOrStdout(), list)
				}
				return writeQuotas(cmd.OutOrStdout(), list)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON for programs")
	cmd.Flags().BoolVar(&all, "all", false, "also users without a limit")
	return cmd
}

// allQuotas asks for one page after the other.
func allQuotas(ctx context.Context, c fs.Quotas, all bool) (list []fs.Quota, err error) {
	for after := (fs.QuotaID{}); ; after = list[len(list)-1].ID {
		page, err := c.Quotas(ctx, after, fs.QuotasMax, all)
		list = append(list, page...)
		if err != nil || len(page) < fs.QuotasMax {
			return list, err
		}
	}
}

func writeQuotas(w io.Writer, list []fs.Quota) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "QUOTA OF\tUSED\tLIMIT\t%\tINODES\tLIMIT\t%\tSTATE")
	for _, q := range list {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\n", ownerOf(&q), humanize.IBytes(q.Used.Bytes), limit(q.Limits.Bytes, humanize.IBytes),
			percent(q.Used.Bytes, q.Limits.Bytes), q.Used.Inodes, limit(q.Limits.Inodes, func(n uint64) string { return strconv.FormatUint(n, 10) }),
			percent(q.Used.Inodes, q.Limits.Inodes), q.State)
	}
	return t.Flush()
}

// ownerOf names a quota. A user whose name this machine knows has it beside his number.
func ownerOf(q *fs.Quota) string {
	switch {
	case !q.ID.User && q.Path == "":
		return fmt.Sprintf("removed directory, inode %d", q.ID.Number)
	case !q.ID.User:
		return q.Path
	}
	uid := strconv.FormatUint(q.ID.Number, 10)
	if u, err := user.LookupId(uid); err == nil {
		return fmt.Sprintf("user %s (%s)", uid, u.Username)
	}
	return "user " + uid
}

func limit(n uint64, format func(uint64) string) string {
	if n == 0 {
		return "-"
	}
	return format(n)
}

func percent(used, limit uint64) string {
	if limit == 0 {
		return "-"
	}
	return strconv.FormatFloat(100*float64(used)/float64(limit), 'f', 1, 64)
}
