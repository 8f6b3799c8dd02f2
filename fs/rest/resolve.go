package rest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"dfs/fs"
	"dfs/fs/vfs"
)

// Bounds of one walk.
const (
	symlinksMax = 40   // as Linux has it
	lookupsMax  = 4096 // symlinks can make a short path very long
)

// target is where a path leads.
type target struct {
	parent fs.Ino
	name   string  // in parent; empty for a directory that the walk reached by no name of its own, such as the root
	attr   fs.Attr // Ino 0: nothing is there, but parent is a directory
}

func (t *target) exists() bool { return t.attr.Ino != 0 }

// walk is the following of one path.
type walk struct {
	fs      *vfs.FS
	dirs    []fs.Ino // from the root to where the walk is: what ".." in a symlink goes back on
	pending []string
	links   int
	lookups int
	last    bool // a symlink at the end is followed, too
}

// resolve follows a path. Symlinks lead wherever they say within this tree: an absolute one starts at its root, and above the
// root there is nothing. ErrNotExist if a directory on the way is missing.
func (c *call) resolve(ctx context.Context, p path, followLast bool) (target, error) {
	w := &walk{fs: c.fs, dirs: []fs.Ino{fs.RootIno}, pending: slices.Clone(p.names), last: followLast}
	t, err := w.run(ctx)
	if err == nil && p.dir && t.exists() && !t.attr.IsDir() {
		err = fs.ErrNotDir
	}
	return t, err
}

func (w *walk) run(ctx context.Context) (target, error) {
	for len(w.pending) > 0 {
		name := w.pending[0]
		w.pending = w.pending[1:]
		switch name {
		case ".":
			continue
		case "..":
			w.dirs = w.dirs[:max(len(w.dirs)-1, 1)]
			continue
		}
		if w.lookups++; w.lookups > lookupsMax {
			return target{}, errSymlinks
		}
		if name == fs.StatusDir && w.here() == fs.RootIno { // here, and not by the path alone: symlinks lead to the root, too
			return target{}, errReserved
		}
		t, done, err := w.step(ctx, name)
		if done || err != nil {
			return t, err
		}
	}
	a, err := w.fs.Getattr(ctx, w.here())
	return target{attr: a}, err
}

func (w *walk) here() fs.Ino { return w.dirs[len(w.dirs)-1] }

// step goes on by one name; done: t is where the walk ends.
func (w *walk) step(ctx context.Context, name string) (t target, done bool, err error) {
	end := len(w.pending) == 0
	t = target{parent: w.here(), name: name}
	t.attr, err = w.fs.Lookup(ctx, t.parent, name)
	switch {
	case err != nil && end && errors.Is(err, fs.ErrNotExist):
		return target{parent: t.parent, name: name}, true, nil
	case err != nil:
		return target{}, false, err
	case t.attr.Type == fs.TypeSymlink && (!end || w.last):
		return target{}, false, w.follow(ctx, t.attr.Ino)
	case end:
		return t, true, nil
	case !t.attr.IsDir():
		return target{}, false, fs.ErrNotDir
	}
	w.dirs = append(w.dirs, t.attr.Ino)
	return target{}, false, nil
}

// follow puts a symlink's target before what is left of the path.
func (w *walk) follow(ctx context.Context, ino fs.Ino) error {
	if w.links++; w.links > symlinksMax {
		return errSymlinks
	}
	text, err := w.fs.Readlink(ctx, ino)
	if err != nil {
		return err
	}
	if strings.HasPrefix(text, "/") {
		w.dirs = w.dirs[:1]
	}
	parts := slices.DeleteFunc(strings.Split(text, "/"), func(s string) bool { return s == "" })
	w.pending = append(parts, w.pending...)
	return nil
}

var errReserved = newError(http.StatusForbidden, "reserved", fmt.Sprintf("%q in the root is where mounts show their status", fs.StatusDir))

var errSymlinks = newError(http.StatusConflict, "symlink_loop", "too many symlinks on the way")
