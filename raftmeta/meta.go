package raftmeta

import (
	"context"
	"fmt"

	"dfs/fs"
	"dfs/raftmeta/command"
	"dfs/raftmeta/state"
)

var _ fs.Meta = (*Node)(nil)

// Commit implements fs.Committer.
func (n *Node) Commit(ctx context.Context, tx *fs.Tx) (*fs.TxResult, error) {
	return n.commit(ctx, tx, command.Encode(&command.Tx{Tx: *tx}))
}

// CommitEncoded is Commit for a transaction that is encoded already (command.Encode of a *command.Tx), as it comes from an
// RPC; the result is encoded with command.EncodeResult. ErrInvalid: it is something else.
func (n *Node) CommitEncoded(ctx context.Context, tx []byte) ([]byte, error) {
	if len(tx) > fs.TxBytesMax {
		return nil, fmt.Errorf("a transaction of %d bytes, at most %d: %w", len(tx), fs.TxBytesMax, fs.ErrTooLarge)
	}
	cmd, err := command.Decode(tx) // what cannot be decoded must not get into the log: it would stop every node
	if err != nil {
		return nil, fmt.Errorf("commit: %w: %w", err, fs.ErrInvalid)
	}
	decoded, ok := cmd.(*command.Tx)
	if !ok {
		return nil, fmt.Errorf("commit a %T: %w", cmd, fs.ErrInvalid)
	}
	result, err := n.commit(ctx, &decoded.Tx, tx)
	if err != nil {
		return nil, err
	}
	return command.EncodeResult(result), nil
}

// Abort implements fs.Committer.
func (n *Node) Abort(ctx context.Context, epoch fs.Epoch, tx fs.TxID) (*fs.TxResult, error) {
	if err := n.mayUse(ctx, fs.Session{ID: tx.Session, Epoch: epoch}); err != nil {
		return nil, fmt.Errorf("abort: %w", err)
	}
	ctx, cancel := n.bound(ctx)
	defer cancel()
	answer, err := n.proposer.propose(ctx, command.Encode(&command.Abort{Tx: tx, Epoch: epoch}), 0)
	if err != nil {
		return nil, fmt.Errorf("abort: %w", err)
	}
	return decision(&answer)
}

// decision is what an answer says of a transaction.
func decision(answer *state.Answer) (*fs.TxResult, error) {
	if err := fs.FromCode(answer.Err); err != nil {
		return nil, fmt.Errorf("commit: %w", err)
	}
	if answer.Tx == nil {
		return nil, fmt.Errorf("commit: the state machine gave no result: %w", fs.ErrInternal)
	}
	return answer.Tx, nil
}

// change proposes a housekeeping command, in a fresh reign as soon as it is ready. A refusal is an error.
func (n *Node) change(ctx context.Context, cmd command.Command) (state.Answer, error) {
	ctx, cancel := n.bound(ctx)
	defer cancel()
	r, err := n.leading(ctx)
	if err != nil {
		return state.Answer{}, err
	}
	answer, err := n.proposer.propose(ctx, command.Encode(cmd), r.term)
	if err == nil {
		err = fs.FromCode(answer.Err)
	}
	return answer, err
}

// ask is a linearizable read that has a result.
func ask[T any](ctx context.Context, n *Node, fn func(*snapshot) (T, error)) (T, error) {
	var result T
	err := n.read(ctx, func(s *snapshot) (err error) {
		result, err = fn(s)
		return err
	})
	return result, err
}

// look is ask for what the caller may see.
func look[T any](ctx context.Context, n *Node, fn func(reading) (T, error)) (T, error) {
	return ask(ctx, n, func(s *snapshot) (T, error) {
		seen, err := s.seenBy(fs.CallerOf(ctx))
		if err != nil {
			var none T
			return none, err
		}
		return fn(seen)
	})
}

// Readlink implements fs.Reader.
func (n *Node) Readlink(ctx context.Context, ino fs.Ino) (string, error) {
	return look(ctx, n, func(s reading) (string, error) { return s.Readlink(ino) })
}

// Statfs adds up what the live nodes report and divides it by the number of replicas. Where there are quotas it is what they
// leave.
func (n *Node) Statfs(ctx context.Context, ino fs.Ino) (f fs.Statfs, err error) {
	err = n.read(ctx, func(s *snapshot) error {
		seen, err := s.seenBy(fs.CallerOf(ctx))
		if err != nil {
			return err
		}
		whole, err := n.space(s)
		if err == nil {
			f, err = seen.Statfs(ino, whole)
		}
		return err
	})
	return f, err
}

// space is that of the whole cluster.
func (n *Node) space(s *snapshot) (fs.Statfs, error) {
	config, _, err := s.Config()
	if err != nil {
		return fs.Statfs{}, err
	}
	stats, err := s.Stats()
	if err != nil {
		return fs.Statfs{}, err
	}
	f := fs.Statfs{Inodes: stats.Inodes}
	for _, node := range n.nodes() {
		if node.State == fs.NodeAlive || node.State == fs.NodeSuspect {
			f.TotalBytes += node.Load.DiskTotalBytes
			f.FreeBytes += node.Load.DiskFreeBytes
		}
	}
	if replicas := uint64(config.Replicas); replicas > 0 {
		f.TotalBytes /= replicas
		f.FreeBytes /= replicas
	}
	return f, nil
}
