package localmeta

import (
	"context"
	"fmt"

	"dfs/fs"
	"dfs/raftmeta/command"
	"dfs/raftmeta/state"
)

// Mount is one mount's line to the cluster. Before each call its faults are asked at the call's name ("commit",
// "lookup", "pin", "attach", "beat", …), and once more after a commit was decided ("commit.answer"), where an error
// means that the answer is lost.
type Mount struct {
	c      *Cluster
	faults fs.Faults
}

var _ fs.Meta = (*Mount)(nil)

// Mount returns a line to the cluster with its own faults, which may be nil.
func (c *Cluster) Mount(faults fs.Faults) *Mount { return &Mount{c, faults} }

// enter is the start of every call. On success the cluster is locked.
func (m *Mount) enter(ctx context.Context, call string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := m.faults.At(call); err != nil {
		return fmt.Errorf("%s: %w", call, err)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	m.c.mu.Lock()
	return nil
}

// Commit implements fs.Meta.
func (m *Mount) Commit(ctx context.Context, tx *fs.Tx) (*fs.TxResult, error) {
	if len(command.Encode(&command.Tx{Tx: *tx})) > fs.TxBytesMax {
		return nil, fmt.Errorf("transaction %s: %w", tx.ID, fs.ErrTooLarge)
	}
	if err := m.enter(ctx, "commit"); err != nil {
		return nil, err
	}
	newborn := m.c.pinNewborn(tx)
	answer, err := m.c.apply(&command.Tx{Tx: *tx})
	if err == nil {
		m.c.reapAfter(tx, answer.Tx)
		if answer.Tx.Err != fs.CodeOK {
			m.c.unpin(tx.ID.Session, newborn)
		}
	}
	m.c.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if err := m.faults.At("commit.answer"); err != nil {
		return nil, fmt.Errorf("commit: %w", err)
	}
	return copyResult(answer.Tx)
}

// Abort implements fs.Meta.
func (m *Mount) Abort(ctx context.Context, epoch fs.Epoch, tx fs.TxID) (*fs.TxResult, error) {
	if err := m.enter(ctx, "abort"); err != nil {
		return nil, err
	}
	answer, err := m.c.apply(&command.Abort{Tx: tx, Epoch: epoch})
	m.c.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return copyResult(answer.Tx)
}

func copyResult(r *fs.TxResult) (*fs.TxResult, error) {
	return command.DecodeResult(command.EncodeResult(r))
}

// read runs fn on the current state.
func read[T any](ctx context.Context, m *Mount, call string, fn func(state.View) (T, error)) (T, error) {
	if err := m.enter(ctx, call); err != nil {
		var zero T
		return zero, err
	}
	defer m.c.mu.Unlock()
	return fn(state.NewView(m.c.kv))
}

// Lookup implements fs.Meta.
func (m *Mount) Lookup(ctx context.Context, dir fs.Ino, name string) (fs.Attr, error) {
	return read(ctx, m, "lookup", func(v state.View) (fs.Attr, error) { return v.Lookup(dir, name) })
}

// Getattr implements fs.Meta.
func (m *Mount) Getattr(ctx context.Context, ino fs.Ino) (fs.Attr, error) {
	return read(ctx, m, "getattr", func(v state.View) (fs.Attr, error) { return v.Getattr(ino) })
}

// Readdir implements fs.Meta.
func (m *Mount) Readdir(ctx context.Context, dir fs.Ino, after fs.Cookie, limit int) (fs.Listing, error) {
	return read(ctx, m, "readdir", func(v state.View) (fs.Listing, error) { return v.Readdir(dir, after, limit) })
}

// Readlink implements fs.Meta.
func (m *Mount) Readlink(ctx context.Context, ino fs.Ino) (string, error) {
	return read(ctx, m, "readlink", func(v state.View) (string, error) { return v.Readlink(ino) })
}

// Layout implements fs.Meta.
func (m *Mount) Layout(ctx context.Context, ino fs.Ino, off, length uint64) (*fs.Layout, error) {
	return read(ctx, m, "layout", func(v state.View) (*fs.Layout, error) { return v.Layout(ino, off, length) })
}

// Getxattr implements fs.Meta.
func (m *Mount) Getxattr(ctx context.Context, ino fs.Ino, name string) ([]byte, error) {
	return read(ctx, m, "getxattr", func(v state.View) ([]byte, error) { return v.Getxattr(ino, name) })
}

// Listxattr implements fs.Meta.
func (m *Mount) Listxattr(ctx context.Context, ino fs.Ino) ([]string, error) {
	return read(ctx, m, "listxattr", func(v state.View) ([]string, error) { return v.Listxattr(ino) })
}

// Statfs implements fs.Meta.
func (m *Mount) Statfs(ctx context.Context) (fs.Statfs, error) {
	return read(ctx, m, "statfs", func(v state.View) (fs.Statfs, error) {
		stats, err := v.Stats()
		space := m.c.cfg.Space
		space.Inodes = stats.Inodes
		return space, err
	})
}
