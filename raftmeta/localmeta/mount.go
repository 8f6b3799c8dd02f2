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

// arrive is the start of every call.
func (m *Mount) arrive(ctx context.Context, call string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := m.faults.At(call); err != nil {
		return fmt.Errorf("%s: %w", call, err)
	}
	return ctx.Err()
}

// enter is arrive for calls that wait for nobody. On success the cluster is locked.
func (m *Mount) enter(ctx context.Context, call string) error {
	err := m.arrive(ctx, call)
	if err == nil {
		m.c.mu.Lock()
	}
	return err
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

// Readlink implements fs.Meta.
func (m *Mount) Readlink(ctx context.Context, ino fs.Ino) (string, error) {
	return read(ctx, m, "readlink", func(v state.View) (string, error) { return v.Readlink(ino) })
}

// Statfs implements fs.Meta.
func (m *Mount) Statfs(ctx context.Context, ino fs.Ino) (fs.Statfs, error) {
	return read(ctx, m, "statfs", func(v state.View) (fs.Statfs, error) {
		stats, err := v.Stats()
		space := m.c.cfg.Space
		space.Inodes = stats.Inodes
		if err != nil {
			return space, err
		}
		return v.Statfs(ino, space)
	})
}
