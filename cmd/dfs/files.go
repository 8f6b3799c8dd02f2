package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"dfs/cmd/internal/cli"
	"dfs/cmd/internal/config"
	"dfs/fs/rest"
)

// fileCommands are those that read and write files without a mount.
func (a *admin) fileCommands() []*cobra.Command {
	return []*cobra.Command{a.lsCommand(), a.catCommand(), a.cpCommand()}
}

func (a *admin) lsCommand() *cobra.Command {
	f, long := &config.Files{}, false
	cmd := &cobra.Command{
		Use:   "ls [PATH]...",
		Short: "List files of the cluster, without a mount",
		Long:  filesLong,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client(f)
			if err != nil {
				return err
			}
			defer func() { _ = c.Close() }() // what was asked for is done, or has failed
			if len(args) == 0 {
				args = []string{"/"}
			}
			for _, arg := range args {
				if err := c.ls(cmd.Context(), remotePath(arg), long, cmd.OutOrStdout()); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVarP(&long, "long", "l", false, "show types, permissions, sizes and times as well")
	f.Register(cmd.Flags())
	return cmd
}

// ls prints a directory's entries, or a file's own line.
func (c *fileClient) ls(ctx context.Context, path string, long bool, w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	show := func(e rest.Entry) error {
		name := e.Name
		if e.Type == "directory" {
			name += "/"
		}
		if !long {
			_, err := fmt.Fprintln(t, name)
			return err
		}
		_, err := fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\n", e.Type, e.Mode, e.Size, e.Mtime.Local().Format(time.DateTime), name)
		return err
	}
	err := c.list(ctx, href(path), show)
	if hasCode(err, "not_a_directory") {
		err = c.lsFile(ctx, path, long, t)
	}
	if err != nil {
		return err
	}
	return t.Flush()
}

func (c *fileClient) lsFile(ctx context.Context, path string, long bool, w io.Writer) error {
	h, err := c.command(ctx, http.MethodHead, href(path), "")
	if err != nil {
		return err
	}
	if !long {
		_, err = fmt.Fprintln(w, path)
		return err
	}
	size, err := strconv.ParseUint(h.Get("Content-Length"), 10, 64)
	if err != nil {
		return fmt.Errorf("a file without a size: %w", err)
	}
	_, err = fmt.Fprintf(w, "file\t\t%d\t%s\t%s\n", size, h.Get("Last-Modified"), path)
	return err
}

func (a *admin) catCommand() *cobra.Command {
	f := &config.Files{}
	cmd := &cobra.Command{
		Use:   "cat PATH...",
		Short: "Print files of the cluster, without a mount",
		Long:  filesLong,
		Args:  cli.Args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client(f)
			if err != nil {
				return err
			}
			defer func() { _ = c.Close() }() // what was asked for is done, or has failed
			for _, arg := range args {
				if err := c.cat(cmd.Context(), href(remotePath(arg)), cmd.OutOrStdout()); err != nil {
					return err
				}
			}
			return nil
		},
	}
	f.Register(cmd.Flags())
	return cmd
}

// cat writes a file's content. The connection's end alone does not make it whole: net/http compares the length.
func (c *fileClient) cat(ctx context.Context, href string, w io.Writer) error {
	resp, err := c.call(ctx, http.MethodGet, href, "", nil, 0)
	if err != nil {
		return err
	}
	defer resp.Body.Close() // all of it has been read
	if _, err := io.Copy(w, resp.Body); err != nil {
		return fmt.Errorf("%s%s: %w", remotePrefix, href[len(rest.Prefix):], err)
	}
	return nil
}
