package vfs

import (
	"bytes"
	"context"
	"slices"

	"dfs/fs"
)

// Getxattr returns an extended attribute; ErrNoXattr if there is none.
func (f *FS) Getxattr(ctx context.Context, ino fs.Ino, name string) ([]byte, error) {
	if value, err, ok := f.leases.xattr(ino, name); ok {
		return bytes.Clone(value), err
	}
	// Programs ask for attributes that few files have. Once the names are known, most answers are.
	if _, ok := f.leases.xattrNames(ino); !ok && f.leases.holds(ino, fs.LeaseShared) {
		if _, err := f.Listxattr(ctx, ino); err != nil {
			return nil, err
		}
		if value, err, ok := f.leases.xattr(ino, name); ok {
			return bytes.Clone(value), err
		}
	}
	at := f.leases.before(ino)
	return asking(ctx, f, fs.LeaseShared, func(ctx context.Context) ([]byte, error) { return f.meta.Getxattr(ctx, ino, name) },
		func(value []byte, err error) {
			if k := f.leases.still(ino, at); k != nil && err == nil {
				k.xattrIs(name, value)
			}
		})
}

// Listxattr returns the names of the extended attributes, in order.
func (f *FS) Listxattr(ctx context.Context, ino fs.Ino) ([]string, error) {
	if names, ok := f.leases.xattrNames(ino); ok {
		return slices.Clone(names), nil
	}
	at := f.leases.before(ino)
	return asking(ctx, f, fs.LeaseShared, func(ctx context.Context) ([]string, error) { return f.meta.Listxattr(ctx, ino) },
		func(names []string, err error) {
			if k := f.leases.still(ino, at); k != nil && err == nil {
				k.xattrsAre(names)
			}
		})
}

// Setxattr sets an extended attribute.
func (f *FS) Setxattr(ctx context.Context, ino fs.Ino, name string, value []byte, flags fs.XattrFlags) error {
	return f.SetxattrOp(ctx, fs.Setxattr{Ino: ino, Name: name, Value: value, Flags: flags})
}

// SetxattrOp is Setxattr with all that the operation may say; Time is set here.
func (f *FS) SetxattrOp(ctx context.Context, op fs.Setxattr) error {
	op.Time = f.now()
	r, err := f.do1(ctx, &op)
	if err == nil {
		f.merge(r.Attr)
	}
	return err
}

// Removexattr removes an extended attribute; ErrNoXattr if there is none.
func (f *FS) Removexattr(ctx context.Context, ino fs.Ino, name string) error {
	r, err := f.do1(ctx, &fs.Removexattr{Ino: ino, Name: name, Time: f.now()})
	if err == nil {
		f.merge(r.Attr)
	}
	return err
}

// Statfs is the space of the cluster or, in a tree with a quota, what that leaves of it.
func (f *FS) Statfs(ctx context.Context, ino fs.Ino) (fs.Statfs, error) {
	return reading(ctx, f, func(ctx context.Context) (fs.Statfs, error) { return f.meta.Statfs(ctx, ino) })
}
