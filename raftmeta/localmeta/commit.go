package localmeta

import (
	"context"
	"errors"
	"fmt"

	"dfs/fs"
	"dfs/raftmeta/command"
	"dfs/raftmeta/leasedesk"
	"dfs/raftmeta/state"
)

// Commit implements fs.Meta.
func (m *Mount) Commit(ctx context.Context, tx *fs.Tx) (*fs.TxResult, error) {
	if len(command.Encode(&command.Tx{Tx: *tx})) > fs.TxBytesMax {
		return nil, fmt.Errorf("transaction %s: %w", tx.ID, fs.ErrTooLarge)
	}
	if err := m.arrive(ctx, "commit"); err != nil {
		return nil, err
	}
	answer, err := m.commit(ctx, tx)
	if err != nil {
		return nil, err
	}
	if err := m.faults.At("commit.answer"); err != nil {
		return nil, fmt.Errorf("commit: %w", err)
	}
	return copyResult(answer.Tx)
}

// commit applies a transaction when the leases of others allow it, in the term that is then.
func (m *Mount) commit(ctx context.Context, tx *fs.Tx) (state.Answer, error) {
	call := fs.LeaseCall{}
	if c := fs.LeasesOf(ctx); c != nil {
		call = *c
	}
	for {
		desk := m.c.present()
		work, err := desk.Begin(ctx, tx.ID.Session, tx, call, m.c.named)
		if errors.Is(err, errDeposed) {
			continue
		}
		if errors.Is(err, fs.ErrFenced) {
			m.c.mu.Lock()
			defer m.c.mu.Unlock()
			return m.c.apply(&command.Tx{Tx: *tx}) // the state machine says why
		}
		if err != nil {
			return state.Answer{}, fmt.Errorf("commit: %w", err)
		}
		answer, done, err := m.c.decide(desk, tx)
		work.End(done)
		if errors.Is(err, errDeposed) {
			continue
		}
		if done {
			granted(ctx, desk, work.Born())
		} else {
			granted(ctx, desk, nil)
		}
		return answer, err
	}
}

// decide applies a transaction that was let through by a desk. done: it was carried out, and not before.
func (c *Cluster) decide(desk *leasedesk.Desk, tx *fs.Tx) (answer state.Answer, done bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.desk != desk {
		return answer, false, errDeposed
	}
	newborn := c.pinNewborn(tx)
	if answer, err = c.apply(&command.Tx{Tx: *tx}); err != nil {
		return answer, false, err
	}
	done = answer.Tx.Err == fs.CodeOK && answer.Tx.Index == c.index
	c.reapAfter(tx, answer.Tx)
	if answer.Tx.Err != fs.CodeOK {
		c.unpin(tx.ID.Session, newborn)
	}
	return answer, done, nil
}
