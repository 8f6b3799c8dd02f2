package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"dfs/cmd/internal/cli"
	"dfs/cmd/internal/config"
	"dfs/fs/rest"
)

// copier is one invocation of cp.
type copier struct {
	*fileClient
	recursive bool
	stdin     io.Reader
	stdout    io.Writer
	stderr    io.Writer
}

func (a *admin) cpCommand() *cobra.Command {
	f, recursive := &config.Files{}, false
	cmd := &cobra.Command{
		Use:     "cp SOURCE TARGET",
		Short:   "Copy between this machine and the cluster, without a mount",
		Long:    filesLong,
		Example: "  dfs cp report.pdf dfs:/docs/\n  dfs cp -r dfs:/docs ./docs\n  tar c . | dfs cp - dfs:/backup.tar",
		Args:    cli.Args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client(f)
			if err != nil {
				return err
			}
			defer func() { _ = c.Close() }() // what was asked for is done, or has failed
			cp := &copier{c, recursive, cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr()}
			return cp.run(cmd.Context(), args[0], args[1])
		},
	}
	cmd.Flags().BoolVarP(&recursive, "recursive", "r", false, "copy directories with all that is in them; what is neither a file nor a directory is left out, with a warning")
	f.Register(cmd.Flags())
	return cmd
}

func (c *copier) run(ctx context.Context, src, dst string) error {
	fromRemote, toRemote := strings.HasPrefix(src, remotePrefix), strings.HasPrefix(dst, remotePrefix)
	switch {
	case fromRemote == toRemote:
		return fmt.Errorf("%w: one of SOURCE and TARGET starts with %q, the other does not", config.ErrUsage, remotePrefix)
	case toRemote:
		return c.upload(ctx, src, remotePath(dst))
	}
	return c.download(ctx, remotePath(src), dst)
}

// upload copies a file, a directory or, for "-", standard input.
func (c *copier) upload(ctx context.Context, src, dst string) error {
	if src == "-" {
		return c.put(ctx, dst, c.stdin, -1, "standard input")
	}
	into := strings.HasSuffix(dst, "/")
	if !into {
		var err error
		if into, err = c.isDir(ctx, dst); err != nil {
			return err
		}
	}
	if into {
		abs, err := filepath.Abs(src)
		if err != nil {
			return err
		}
		dst = path.Join(dst, filepath.Base(abs))
	}
	info, err := os.Stat(src)
	switch {
	case err != nil:
		return err
	case !info.IsDir():
		return c.putFile(ctx, src, dst)
	case !c.recursive:
		return fmt.Errorf("%w: %s is a directory: use -r", config.ErrUsage, src)
	}
	return c.uploadTree(ctx, src, dst)
}

func (c *copier) uploadTree(ctx context.Context, src, dst string) error {
	src, err := filepath.EvalSymlinks(src) // WalkDir does not follow a link that it starts at
	if err != nil {
		return err
	}
	return filepath.WalkDir(src, func(name string, d iofs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		within, err := filepath.Rel(src, name)
		if err != nil {
			return err
		}
		to := path.Join(dst, filepath.ToSlash(within))
		switch {
		case d.IsDir():
			_, err := c.command(ctx, http.MethodPut, href(to), "mkdir")
			if hasCode(err, "already_exists") {
				err = nil // if it is a file, what goes into it will say so
			}
			return err
		case d.Type().IsRegular():
			return c.putFile(ctx, name, to)
		}
		return c.leftOut(name)
	})
}

func (c *copier) leftOut(name string) error {
	_, err := fmt.Fprintf(c.stderr, "%s is left out: neither a file nor a directory\n", name)
	return err
}

func (c *copier) putFile(ctx context.Context, name, dst string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close() // nothing is written to it
	info, err := f.Stat()
	if err != nil {
		return err
	}
	size := info.Size()
	if !info.Mode().IsRegular() || size == 0 {
		size = -1 // a pipe, a device, or a file that is made as it is read, as in /proc: its end tells
	}
	return c.put(ctx, dst, f, size, name)
}

// put uploads size bytes, or, if that is -1, all there are.
func (c *copier) put(ctx context.Context, dst string, r io.Reader, size int64, what string) error {
	p := newProgress(c.stderr, what, size)
	defer p.end()
	resp, err := c.call(ctx, http.MethodPut, href(dst), "", p.reader(r), size)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// download copies a file or a directory.
func (c *copier) download(ctx context.Context, src, dst string) error {
	dir, err := c.isDir(ctx, src)
	switch {
	case err != nil:
		return err
	case dir && !c.recursive:
		return fmt.Errorf("%w: %s%s is a directory: use -r", config.ErrUsage, remotePrefix, src)
	case !dir && dst == "-":
		return c.cat(ctx, href(src), c.stdout)
	}
	if info, err := os.Stat(dst); err == nil && info.IsDir() && path.Clean(src) != "/" {
		dst = filepath.Join(dst, path.Base(src))
	}
	if dir {
		return c.downloadTree(ctx, href(src), dst)
	}
	return c.getFile(ctx, href(src), dst)
}

func (c *copier) downloadTree(ctx context.Context, href, dst string) error {
	if err := os.Mkdir(dst, 0o777); err != nil && !errors.Is(err, iofs.ErrExist) {
		return err
	}
	return c.list(ctx, href, func(e rest.Entry) error {
		name, err := localName(e.Href)
		if err != nil {
			return err
		}
		to := filepath.Join(dst, name)
		switch e.Type {
		case "directory":
			return c.downloadTree(ctx, e.Href, to)
		case "file":
			return c.getFile(ctx, e.Href, to)
		}
		return c.leftOut(remotePrefix + strings.TrimPrefix(e.Href, rest.Prefix))
	})
}

// localName is the last component of an entry's URL path. It comes from somebody else, and must not lead out of the
// directory that is being filled.
func localName(href string) (string, error) {
	name, err := url.PathUnescape(href[strings.LastIndexByte(href, '/')+1:])
	within := err == nil && strings.HasPrefix(href, rest.Prefix+"/") && filepath.IsLocal(name) && name != "."
	if !within || strings.ContainsRune(name, filepath.Separator) {
		return "", fmt.Errorf("the node lists %q, which is no entry of a directory", href)
	}
	return name, nil
}

// getFile downloads into a file beside dst first: dst is the old file or the new one, never a part. It keeps the old one's
// permissions. What is there and no file, such as a device or a pipe, is written to.
func (c *copier) getFile(ctx context.Context, href, dst string) (err error) {
	old := os.FileMode(0)
	switch info, err := os.Stat(dst); {
	case err == nil && !info.Mode().IsRegular():
		return c.getInto(ctx, href, dst)
	case err == nil:
		old = info.Mode()
		if dst, err = filepath.EvalSymlinks(dst); err != nil {
			return err
		}
	}
	f, err := os.OpenFile(filepath.Join(filepath.Dir(dst), fmt.Sprintf(".dfs-cp-%016x", rand.Uint64())), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if old != 0 {
		err = f.Chmod(old.Perm())
	}
	if err = errors.Join(err, c.get(ctx, href, f), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), dst)
}

// getInto downloads into what dst is.
func (c *copier) getInto(ctx context.Context, href, dst string) error {
	f, err := os.OpenFile(dst, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(c.get(ctx, href, f), f.Close())
}

// get downloads into w, and shows how far it is.
func (c *copier) get(ctx context.Context, href string, w io.Writer) error {
	resp, err := c.call(ctx, http.MethodGet, href, "", nil, 0)
	if err != nil {
		return err
	}
	defer resp.Body.Close() // all of it has been read, or an error says otherwise
	p := newProgress(c.stderr, remotePrefix+strings.TrimPrefix(href, rest.Prefix), resp.ContentLength)
	defer p.end()
	_, err = io.Copy(w, p.reader(resp.Body))
	return err
}
