package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"dfs/cluster/pki"
	"dfs/cmd/internal/cli"
	"dfs/fs"
	"dfs/raftmeta/metarpc"
)

const watchLong = `Prints what is done to PATH and below it, by whichever mount, until it is interrupted: a line a change, in the order in
which the cluster has decided them. What is written to a file is one line for each time that a mount flushes: about a second's worth.

PATH begins at the root of the filesystem. A path on this machine that lies in a mount is meant when it begins with the mount
point. Symlinks are not followed. What PATH names at the beginning is watched also when it is renamed. A file's name is "?" where
it could not be found quickly: in very large directories, soon after the beginning.

A mount tells the cluster what it did within about a second, at fsync, or when another mount looks. Changes that were committed
before the first line on standard error, "watching", may be missing; what is committed later is printed, once. Two nodes are
listened to where there are two, so that one may fail. Where something is lost all the same (two nodes fail, or this command
is too slow) a line says so: "some changes are missing". What matters should then be looked at anew.`

func (a *admin) watchCommand() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:     "watch PATH",
		Short:   "Print what is changed below a path, and by which mount, as it happens",
		Long:    watchLong,
		Example: "  dfs watch /d\n  dfs watch /mnt/x/d --json",
		Args:    cli.Args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			mounts, err := localMounts()
			if err != nil {
				return err
			}
			print := changePrinter(cmd.OutOrStdout(), asJSON)
			return a.talk(func(c *metarpc.Client, _ *pki.Credentials, renew func(context.Context)) error {
				renew(cmd.Context())
				return watchPath(cmd.Context(), c, withinMount(args[0], mounts), cmd.ErrOrStderr(), print)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a line of JSON for programs for each change")
	return cmd
}

// watchPath prints changes until ctx ends, which is no error: the user has seen enough.
func watchPath(ctx context.Context, w fs.Watcher, path string, note io.Writer, print func(fs.Changes) error) (err error) {
	stream, err := w.Watch(ctx, fs.WatchRequest{Path: path})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stream.Close()) }()
	if _, err := fmt.Fprintf(note, "watching %s\n", shown(path)); err != nil {
		return err
	}
	for {
		c, err := stream.Recv(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err == nil {
			err = print(c)
		}
		if err != nil {
			return err
		}
	}
}

// missingLine is what JSON has in the place of changes that are lost.
type missingLine struct{ Missing bool }

func changePrinter(w io.Writer, asJSON bool) func(fs.Changes) error {
	return func(c fs.Changes) error {
		if asJSON {
			return writeChangesJSON(w, c)
		}
		out := &strings.Builder{}
		if c.Missing {
			out.WriteString("! some changes are missing\n")
		}
		for i := range c.List {
			writeChange(out, &c.List[i])
		}
		_, err := io.WriteString(w, out.String())
		return err
	}
}

func writeChangesJSON(w io.Writer, c fs.Changes) error {
	if c.Missing {
		if err := writeJSONLine(w, missingLine{true}); err != nil {
			return err
		}
	}
	for i := range c.List {
		if err := writeJSONLine(w, c.List[i]); err != nil {
			return err
		}
	}
	return nil
}

func writeChange(w *strings.Builder, c *fs.Change) {
	fmt.Fprintf(w, "%s  %-10s  %s", c.Time.Std().Format("15:04:05.000"), c.Kind, shown(c.Path))
	if c.Kind == fs.ChangeRename {
		fmt.Fprintf(w, " → %s", shown(c.To))
	}
	if c.Xattr != "" {
		fmt.Fprintf(w, "  %s", shown(c.Xattr))
	}
	fmt.Fprintf(w, "  (inode %d, session %d", c.Ino, c.Session)
	if c.Mount != "" {
		fmt.Fprintf(w, " on %s:%s", shown(c.Host), shown(c.Mount))
	}
	w.WriteString(")\n")
}

// shown is a name as it can stand in a line: quoted if it holds what cannot. What may not be seen is empty.
func shown(name string) string {
	if name == "" {
		return "(elsewhere)"
	}
	if quoted := strconv.Quote(name); quoted != `"`+name+`"` {
		return quoted
	}
	return name
}
