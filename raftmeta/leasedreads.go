package raftmeta

import (
	"context"

	"dfs/fs"
)

// Reads under the protocol of leases: each waits for those of others on all that it reads, before the snapshot that answers it is
// taken. What is not there, or not for the caller to see, nobody holds anything of, and nothing of it is granted.

// leasedRead is a read's surroundings.
type leasedRead struct {
	n    *Node
	ctx  context.Context
	r    *reign
	wish fs.LeaseCall
}

// leased runs a read with ctx bounded, in the present reign.
func leased[T any](ctx context.Context, n *Node, fn func(leasedRead) (T, error)) (T, error) {
	var none T
	ctx, cancel := n.bound(ctx)
	defer cancel()
	r, err := n.leading(ctx)
	if err != nil {
		return none, err
	}
	w, err := n.wish(ctx, r)
	if err != nil {
		return none, err
	}
	return fn(leasedRead{n, ctx, r, w})
}

// peek reads the state as it is applied here, as the caller sees it. An error means that there is nothing to wait for.
func (l leasedRead) peek(fn func(reading) error) error {
	return l.n.local(func(s *snapshot) error {
		seen, err := s.seenBy(fs.CallerOf(l.ctx))
		if err != nil {
			return err
		}
		return fn(seen)
	})
}

func (l leasedRead) exists(ino fs.Ino) bool {
	return l.peek(func(s reading) error {
		_, err := s.Getattr(ino)
		return err
	}) == nil
}

// answer is the linearizable read.
func answer[T any](l leasedRead, fn func(reading, *snapshot) (T, error)) (result T, err error) {
	err = l.n.readIn(l.ctx, l.r, func(s *snapshot) error {
		seen, err := s.seenBy(fs.CallerOf(l.ctx))
		if err == nil {
			result, err = fn(seen, s)
		}
		return err
	})
	return result, err
}

// ofInode reads one inode.
func ofInode[T any](ctx context.Context, n *Node, ino fs.Ino, fn func(reading, *snapshot) (T, error)) (T, error) {
	return leased(ctx, n, func(l leasedRead) (result T, err error) {
		for {
			var leases []fs.Lease
			there := l.exists(ino)
			if there {
				if leases, err = n.letThroughAs(l.ctx, l.r, l.wish, ino); err != nil {
					return result, err
				}
			}
			result, err = answer(l, fn)
			if err == nil && there {
				l.r.granted(l.ctx, leases)
			}
			if err != nil || there { // else it was made a moment ago
				return result, err
			}
		}
	})
}

// Lookup implements fs.Reader. The directory is let through first, then what the name means in it, until that is the same
// before and after.
func (n *Node) Lookup(ctx context.Context, dir fs.Ino, name string) (fs.Attr, error) {
	return leased(ctx, n, func(l leasedRead) (fs.Attr, error) {
		for {
			child, leases, err := l.lookup(dir, name)
			if err != nil {
				return fs.Attr{}, err
			}
			a, err := answer(l, func(s reading, _ *snapshot) (fs.Attr, error) { return s.Lookup(dir, name) })
			if err != nil {
				return fs.Attr{}, err
			}
			if a.Ino == child {
				l.r.granted(l.ctx, leases)
				return a, nil
			}
		}
	})
}

// lookup has a name's directory let through, and what the name means; 0 if it means nothing.
func (l leasedRead) lookup(dir fs.Ino, name string) (child fs.Ino, leases []fs.Lease, err error) {
	find := func() bool {
		err := l.peek(func(s reading) (err error) {
			child, err = named(s, dir, name)
			return err
		})
		return err == nil && child != 0
	}
	w := l.wish
	switch {
	case find():
	case l.exists(dir):
		w.Want = fs.LeaseNone
	default:
		return 0, nil, nil
	}
	if leases, err = l.n.letThroughAs(l.ctx, l.r, w, dir); err != nil {
		return 0, nil, err
	}
	if !find() {
		return 0, nil, nil
	}
	more, err := l.n.letThroughAs(l.ctx, l.r, l.wish, child)
	return child, append(leases, more...), err
}

// Getattr implements fs.Reader.
func (n *Node) Getattr(ctx context.Context, ino fs.Ino) (fs.Attr, error) {
	return ofInode(ctx, n, ino, func(s reading, _ *snapshot) (fs.Attr, error) { return s.Getattr(ino) })
}

// Layout implements fs.Reader.
func (n *Node) Layout(ctx context.Context, ino fs.Ino, off, length uint64) (*fs.Layout, error) {
	return ofInode(ctx, n, ino, func(s reading, snap *snapshot) (*fs.Layout, error) {
		l, err := s.Layout(ino, off, length)
		if err == nil {
			l.Index = snap.index
		}
		return l, err
	})
}

// Getxattr implements fs.Reader.
func (n *Node) Getxattr(ctx context.Context, ino fs.Ino, name string) ([]byte, error) {
	return ofInode(ctx, n, ino, func(s reading, _ *snapshot) ([]byte, error) { return s.Getxattr(ino, name) })
}

// Listxattr implements fs.Reader.
func (n *Node) Listxattr(ctx context.Context, ino fs.Ino) ([]string, error) {
	return ofInode(ctx, n, ino, func(s reading, _ *snapshot) ([]string, error) { return s.Listxattr(ino) })
}

// Readdir implements fs.Reader. What the directory lists once it was let through is let through in its turn, as far as that
// takes a moment only; the rest, and what has come to it since, comes without leases.
func (n *Node) Readdir(ctx context.Context, dir fs.Ino, after fs.Cookie, limit int) (fs.Listing, error) {
	return leased(ctx, n, func(l leasedRead) (list fs.Listing, err error) {
		for {
			var leases []fs.Lease
			there := l.exists(dir)
			if there {
				if leases, err = l.readdir(dir, after, limit); err != nil {
					return list, err
				}
			}
			list, err = answer(l, func(s reading, _ *snapshot) (fs.Listing, error) { return s.Readdir(dir, after, limit) })
			if err == nil && there {
				l.r.granted(l.ctx, listed(leases, dir, list.Entries))
			}
			if err != nil || there {
				return list, err
			}
		}
	})
}

// readdir has a directory and what it lists let through.
func (l leasedRead) readdir(dir fs.Ino, after fs.Cookie, limit int) ([]fs.Lease, error) {
	leases, err := l.n.letThroughAs(l.ctx, l.r, l.wish, dir)
	if err != nil {
		return nil, err
	}
	var inos []fs.Ino
	seen := map[fs.Ino]bool{dir: true}
	err = l.peek(func(s reading) error {
		list, err := s.Readdir(dir, after, limit)
		for _, e := range list.Entries {
			if !seen[e.Attr.Ino] {
				seen[e.Attr.Ino] = true
				inos = append(inos, e.Attr.Ino)
			}
		}
		return err
	})
	if err != nil {
		return leases, nil // the read that follows tells
	}
	more, err := l.r.sessions.desk.List(l.ctx, l.wish.Session, l.wish.Want, inos)
	return append(leases, more...), err
}

// listed are the leases on a directory and on what it lists.
func listed(leases []fs.Lease, dir fs.Ino, entries []fs.Dirent) (list []fs.Lease) {
	there := map[fs.Ino]bool{dir: true}
	for _, e := range entries {
		there[e.Attr.Ino] = true
	}
	for _, one := range leases {
		if there[one.Ino] {
			list = append(list, one)
		}
	}
	return list
}
