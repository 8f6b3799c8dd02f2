package rest

import (
	"errors"
	"fmt"
	"net/http"

	"dfs/fs"
	"dfs/fs/vfs"
)

var errRoot = newError(http.StatusForbidden, "forbidden", "the root directory cannot be removed, moved or replaced")

// named is what the path names itself: a symlink at its end is not followed.
func (c *call) named(p path) (target, error) {
	if p.isRoot() {
		return target{}, errRoot
	}
	return c.resolve(c.ctx, p, false)
}

// changed repeats a change that was decided on what has changed meanwhile. change gets what is there now, and the guard that
// the preconditions ask for.
func (c *call) changed(change func(target, vfs.Guard) error) error {
	for range changeTries {
		t, err := c.named(c.path)
		if err != nil {
			return err
		}
		if err := c.pre.check(&t.attr, false); err != nil {
			return err
		}
		if !t.exists() {
			return fs.ErrNotExist
		}
		g := vfs.Guard{}
		if c.pre.any() {
			g = guard(&t.attr)
		}
		if err = change(t, g); !errors.Is(err, errTryAgain) && !errors.Is(err, fs.ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("others keep changing it: %w", fs.ErrBusy)
}

// errTryAgain says that a name meant something else when it was changed than when it was looked at.
var errTryAgain = errors.New("it has changed")

// remove removes a file or an empty directory.
func (c *call) remove() error {
	err := c.changed(func(t target, g vfs.Guard) error {
		if t.attr.IsDir() {
			return tryAgainOn(c.fs.RmdirIf(c.ctx, g, t.parent, t.name), fs.ErrNotDir)
		}
		return tryAgainOn(c.fs.UnlinkIf(c.ctx, g, t.parent, t.name), fs.ErrIsDir)
	})
	return c.noContent(err)
}

func tryAgainOn(err, sign error) error {
	if errors.Is(err, sign) {
		return errTryAgain
	}
	return err
}

// noContent ends an answer that has nothing more to say.
func (c *call) noContent(err error) error {
	if err == nil {
		c.w.WriteHeader(http.StatusNoContent)
	}
	return err
}

// mkdir makes a directory.
func (c *call) mkdir() error {
	if c.path.isRoot() {
		return fs.ErrExist
	}
	t, err := c.named(c.path)
	if err != nil {
		return err
	}
	if err := c.pre.check(&t.attr, false); err != nil {
		return err
	}
	a, err := c.fs.Mkdir(c.ctx, c.s.cfg.Owner, t.parent, t.name, dirMode)
	if errors.Is(err, fs.ErrExist) && c.pre.noneMatch != nil && c.pre.noneMatch.star {
		return preconditionFailed("If-None-Match") // it came since we looked
	}
	if err != nil {
		return err
	}
	c.w.Header().Set("Etag", etag(&a))
	c.w.WriteHeader(http.StatusCreated)
	return nil
}

// rename moves a name, replacing what the new one meant as rename(2) does.
func (c *call) rename() error {
	to, err := cleanPlain(c.r.URL.Query().Get("rename"))
	if err != nil {
		return err
	}
	err = c.changed(func(t target, g vfs.Guard) error {
		dst, err := c.named(to)
		if err != nil {
			return err
		}
		if to.dir && !t.attr.IsDir() {
			return fs.ErrNotDir
		}
		return c.fs.RenameIf(c.ctx, g, t.parent, t.name, dst.parent, dst.name, 0)
	})
	return c.noContent(err)
}
