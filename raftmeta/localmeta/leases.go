package localmeta

import (
	"context"
	"errors"
	"fmt"

	"dfs/fs"
	"dfs/raftmeta/leasedesk"
	"dfs/raftmeta/state"
)

// errDeposed is why a desk of an earlier term lets nobody through. The call goes to the present one, as a client goes to another
// leader.
var errDeposed = fmt.Errorf("another leader: %w", fs.ErrUnavailable)

// present is the desk of the present term.
func (c *Cluster) present() *leasedesk.Desk {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.desk
}

// named is what a name means now; 0: nothing.
func (c *Cluster) named(dir fs.Ino, name string) (fs.Ino, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a, err := state.NewView(c.kv).Lookup(dir, name)
	if err != nil {
		return 0, nil // there is none; a map of ours does not fail
	}
	return a.Ino, nil
}

// wish is under which session a call is made, and what leases are wanted.
func (c *Cluster) wish(ctx context.Context) (fs.LeaseCall, error) {
	w := fs.LeasesOf(ctx)
	if w == nil || w.Session == 0 {
		return fs.LeaseCall{}, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return *w, c.live(fs.Session{ID: w.Session, Epoch: w.Epoch})
}

// granted tells the caller what comes with the answer.
func granted(ctx context.Context, desk *leasedesk.Desk, leases []fs.Lease) {
	if c := fs.LeasesOf(ctx); c != nil {
		c.Term, c.Got = desk.Term(), leases
	}
}

// leased runs a read: ask waits at the desk, with the state as it is to find out for what, and fn answers from the state as it is
// afterwards. It is repeated in another term, and if fn says so.
func leased[T any](ctx context.Context, m *Mount, ask func(*leasedesk.Desk, fs.LeaseCall) ([]fs.Lease, error),
	fn func(state.View) (result T, again bool, err error)) (T, error) {
	for {
		var none T
		desk := m.c.present()
		w, err := m.c.wish(ctx)
		if err != nil {
			return none, err
		}
		leases, err := ask(desk, w)
		if errors.Is(err, errDeposed) {
			continue
		}
		if err != nil {
			return none, err
		}
		m.c.mu.Lock()
		deposed := m.c.desk != desk
		result, again, err := fn(state.NewView(m.c.kv))
		m.c.mu.Unlock()
		if deposed || again {
			continue
		}
		if err == nil {
			granted(ctx, desk, leases)
		}
		return result, err
	}
}

// ofInode reads one inode.
func ofInode[T any](ctx context.Context, m *Mount, ino fs.Ino, fn func(state.View) (T, error)) (T, error) {
	there := false
	return leased(ctx, m, func(d *leasedesk.Desk, w fs.LeaseCall) ([]fs.Lease, error) {
		if there = m.c.exists(ino); !there {
			return nil, nil
		}
		return d.ReadAs(ctx, w, ino)
	}, func(v state.View) (T, bool, error) {
		result, err := fn(v)
		return result, err == nil && !there, err
	})
}

func (c *Cluster) exists(ino fs.Ino) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err := state.NewView(c.kv).Getattr(ino)
	return err == nil
}

// Lookup implements fs.Meta.
func (m *Mount) Lookup(ctx context.Context, dir fs.Ino, name string) (fs.Attr, error) {
	if err := m.arrive(ctx, "lookup"); err != nil {
		return fs.Attr{}, err
	}
	child := fs.Ino(0)
	return leased(ctx, m, func(d *leasedesk.Desk, w fs.LeaseCall) (leases []fs.Lease, err error) {
		child, leases, err = m.c.lookup(ctx, d, w, dir, name)
		return leases, err
	}, func(v state.View) (fs.Attr, bool, error) {
		a, err := v.Lookup(dir, name)
		return a, err == nil && a.Ino != child, err
	})
}

// lookup has a name's directory let through, and what the name means; 0 if it means nothing.
func (c *Cluster) lookup(ctx context.Context, d *leasedesk.Desk, w fs.LeaseCall, dir fs.Ino, name string) (fs.Ino, []fs.Lease, error) {
	want := w.Want
	if child, _ := c.named(dir, name); child == 0 {
		if !c.exists(dir) {
			return 0, nil, nil
		}
		want = fs.LeaseNone
	}
	leases, err := d.Read(ctx, w.Session, want, dir)
	if err != nil {
		return 0, nil, err
	}
	child, _ := c.named(dir, name)
	if child == 0 {
		return 0, nil, nil
	}
	more, err := d.Read(ctx, w.Session, w.Want, child)
	return child, append(leases, more...), err
}

// Getattr implements fs.Meta.
func (m *Mount) Getattr(ctx context.Context, ino fs.Ino) (fs.Attr, error) {
	return readInode(ctx, m, "getattr", ino, func(v state.View) (fs.Attr, error) { return v.Getattr(ino) })
}

// Layout implements fs.Meta.
func (m *Mount) Layout(ctx context.Context, ino fs.Ino, off, length uint64) (*fs.Layout, error) {
	return readInode(ctx, m, "layout", ino, func(v state.View) (*fs.Layout, error) { return v.Layout(ino, off, length) })
}

// Getxattr implements fs.Meta.
func (m *Mount) Getxattr(ctx context.Context, ino fs.Ino, name string) ([]byte, error) {
	return readInode(ctx, m, "getxattr", ino, func(v state.View) ([]byte, error) { return v.Getxattr(ino, name) })
}

// Listxattr implements fs.Meta.
func (m *Mount) Listxattr(ctx context.Context, ino fs.Ino) ([]string, error) {
	return readInode(ctx, m, "listxattr", ino, func(v state.View) ([]string, error) { return v.Listxattr(ino) })
}

func readInode[T any](ctx context.Context, m *Mount, call string, ino fs.Ino, fn func(state.View) (T, error)) (T, error) {
	if err := m.arrive(ctx, call); err != nil {
		var none T
		return none, err
	}
	return ofInode(ctx, m, ino, fn)
}

// Readdir implements fs.Meta.
func (m *Mount) Readdir(ctx context.Context, dir fs.Ino, after fs.Cookie, limit int) (fs.Listing, error) {
	if err := m.arrive(ctx, "readdir"); err != nil {
		return fs.Listing{}, err
	}
	there := false
	return leased(ctx, m, func(d *leasedesk.Desk, w fs.LeaseCall) ([]fs.Lease, error) {
		if there = m.c.exists(dir); !there {
			return nil, nil
		}
		leases, err := d.Read(ctx, w.Session, w.Want, dir)
		if err != nil {
			return nil, err
		}
		more, err := d.List(ctx, w.Session, w.Want, m.c.children(dir, after, limit))
		return append(leases, more...), err
	}, func(v state.View) (fs.Listing, bool, error) {
		list, err := v.Readdir(dir, after, limit)
		return list, err == nil && !there, err
	})
}

// children are the inodes that a listing names; none where there is no such directory.
func (c *Cluster) children(dir fs.Ino, after fs.Cookie, limit int) (inos []fs.Ino) {
	c.mu.Lock()
	defer c.mu.Unlock()
	list, err := state.NewView(c.kv).Readdir(dir, after, limit)
	if err != nil {
		return nil
	}
	seen := map[fs.Ino]bool{dir: true}
	for _, e := range list.Entries {
		if !seen[e.Attr.Ino] {
			seen[e.Attr.Ino] = true
			inos = append(inos, e.Attr.Ino)
		}
	}
	return inos
}
