package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"dfs/cmd/internal/cli"
	"dfs/fs"
)

const explainLong = `Shows what the metadata knows of a file or directory: inode, attributes, extents, the blobs that these lie in,
where the blobs' replicas are, and the transaction and log entry that each blob came with.

PATH begins at the root of the filesystem. A path on this machine that lies in a mount is meant when it begins with the
mount point. Symlinks are not followed. The answer is the state of the node that answers (--addr), as far as it has applied
the log.

The nodes of a blob were chosen by the mount that wrote it: zones are spread first, then its --write-policy decides among
the nodes that gossip called alive and not full. Neither the policy nor the load of that moment is recorded. Repair adds
replicas, and takes those of removed nodes off the list, by the same rules.`

func (a *admin) explainCommand() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:     "explain PATH",
		Short:   "Explain a file: inode, extents, blobs, replicas, and where they come from",
		Long:    explainLong,
		Example: "  dfs explain /d/f\n  dfs explain /mnt/x/d/f --json",
		Args:    cli.Args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			mounts, err := localMounts()
			if err != nil {
				return err
			}
			path := withinMount(args[0], mounts)
			return a.ask(cmd.Context(), func(ctx context.Context, node fs.Admin) error {
				e, err := node.Explain(ctx, path)
				if err != nil {
					return err
				}
				if asJSON {
					return writeJSON(cmd.OutOrStdout(), e)
				}
				return writeExplanation(cmd.OutOrStdout(), e)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON for programs")
	return cmd
}

// withinMount turns a path on this machine into one from the filesystem's root, if it lies in a mount.
func withinMount(path string, mounts []string) string {
	clean := filepath.Clean(path)
	best := ""
	for _, m := range mounts {
		if (clean == m || strings.HasPrefix(clean, m+"/")) && len(m) > len(best) {
			best = m
		}
	}
	if best == "" {
		return path
	}
	return "/" + strings.TrimPrefix(clean[len(best):], "/")
}

func writeExplanation(w io.Writer, e *fs.Explanation) error {
	out := &strings.Builder{}
	writeNoQuorum(out, e.Quorum, e.Node)
	a := &e.Attr
	fmt.Fprintf(out, "%s: %s, inode %d, as node %s has it at log entry %d\n", e.Path, typeName(a.Type), a.Ino, e.Node, e.Index)
	fmt.Fprintf(out, "  mode %04o, owner %d:%d, %d links, %d bytes, version %d\n", a.Mode, a.UID, a.GID, a.Nlink, a.Size, a.Version)
	fmt.Fprintf(out, "  modified %s, changed %s, born %s\n", stamp(a.Mtime), stamp(a.Ctime), stamp(a.Btime))
	if e.Target != "" {
		fmt.Fprintf(out, "  leads to %q\n", e.Target)
	}
	writeExtents(out, e)
	for i := range e.Blobs {
		writeOrigin(out, &e.Blobs[i], e.Nodes)
	}
	_, err := io.WriteString(w, out.String())
	return err
}

func typeName(t fs.FileType) string {
	names := map[fs.FileType]string{fs.TypeFIFO: "fifo", fs.TypeChar: "character device", fs.TypeDir: "directory",
		fs.TypeBlock: "block device", fs.TypeRegular: "file", fs.TypeSymlink: "symlink", fs.TypeSocket: "socket"}
	if name, ok := names[t]; ok {
		return name
	}
	return fmt.Sprintf("type %d", t)
}

func stamp(t fs.Time) string { return t.Std().Format("2006-01-02 15:04:05.000") }

func writeExtents(out *strings.Builder, e *fs.Explanation) {
	if len(e.Extents) == 0 {
		return
	}
	t := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "\nEXTENT\tBYTES\tIN")
	for i := range e.Extents {
		x := &e.Extents[i]
		where := "the metadata (inline)"
		if !x.Inline() {
			where = fmt.Sprintf("blob %s from %d", x.Blob, x.BlobOff)
		}
		fmt.Fprintf(t, "%d\t%d\t%s\n", x.Off, x.Len, where)
	}
	_ = t.Flush() // a strings.Builder does not fail
	if e.More > 0 {
		fmt.Fprintf(out, "… and more from %d on\n", e.More)
	}
}

func writeOrigin(out *strings.Builder, b *fs.BlobOrigin, nodes []fs.NodeInfo) {
	fmt.Fprintf(out, "\nblob %s: %s, checksum %08x, %s of it in files; came with transaction %s, log entry %d\n", b.ID,
		humanize.IBytes(uint64(b.Length)), b.Sum, humanize.IBytes(b.LiveBytes), b.Tx, b.Index)
	zones := map[string]bool{}
	for _, id := range b.Replicas {
		n := fs.NodeInfo{ID: id}
		if i := slices.IndexFunc(nodes, func(n fs.NodeInfo) bool { return n.ID == id }); i >= 0 {
			n = nodes[i]
		}
		zones[n.Zone] = true
		free := ""
		if n.Load.DiskTotalBytes > 0 {
			free = fmt.Sprintf(", %s free now", humanize.IBytes(n.Load.DiskFreeBytes))
		}
		fmt.Fprintf(out, "  on %s at %s, zone %s, %s%s\n", id, dash(n.Addr), dash(n.Zone), n.State, free)
	}
	fmt.Fprintf(out, "  %d of %d replicas, in %s", len(b.Replicas), b.Wanted, plural(len(zones), "zone"))
	if zones[""] {
		fmt.Fprint(out, " (nodes without --zone count as one)")
	}
	fmt.Fprintf(out, "; chosen by session %d, or by repair since (why: see dfs explain --help)\n", b.ID.Session)
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
