package vfs

import (
	"context"

	"dfs/fs"
)

// Getxattr returns an extended attribute; ErrNoXattr if there is none.
func (f *FS) Getxattr(ctx context.Context, ino fs.Ino, name string) ([]byte, error) {
	return reading(ctx, f, func(ctx context.Context) ([]byte, error) { return f.meta.Getxattr(ctx, ino, name) })
}

// Listxattr returns the names of the extended attributes, in order.
func (f *FS) Listxattr(ctx context.Context, ino fs.Ino) ([]string, error) {
	return reading(ctx, f, func(ctx context.Context) ([]string, error) { return f.meta.Listxattr(ctx, ino) })
}

// Setxattr sets an extended attribute.
func (f *FS) Setxattr(ctx context.Context, ino fs.Ino, name string, value []byte, flags fs.XattrFlags) error {
	r, err := f.do1(ctx, &fs.Setxattr{Ino: ino, Name: name, Value: value, Flags: flags, Time: f.now()})
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

// Statfs is the space of the whole cluster.
func (f *FS) Statfs(ctx context.Context) (fs.Statfs, error) {
	return reading(ctx, f, f.meta.Statfs)
}
