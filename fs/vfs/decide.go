package vfs

import (
	"context"
	"errors"
	"fmt"

	"dfs/fs"
)

// decision is what became of a transaction.
type decision struct {
	result *fs.TxResult // nil: err says why there is none
	err    error
	// doubt: an attempt may have reached the leader and was not answered, so without a result the outcome is unknown.
	doubt bool
}

// decide sends tx, again and again with the same id, until it has an outcome, the session is over or ctx ends. c says what leases
// are wanted; what the answer says is noted under those that are held. step names its failpoints, and note is told why it is not decided yet. Outcomes besides a result: ErrFenced, ErrAborted, and
// ErrTooLarge and the like, which mean that the transaction was not even proposed.
func (f *FS) decide(ctx context.Context, r *registration, tx *fs.Tx, c fs.LeaseCall, step string, note func(error)) decision {
	var d decision
	var wait backoff
	for {
		result, sent, err := f.sendOnce(ctx, r, tx, c, step)
		if err == nil {
			return decided(result, d.doubt)
		}
		d.doubt = d.doubt || sent && (transient(err) || errors.Is(err, fs.ErrUnavailable))
		d.err = fmt.Errorf("commit %s: %w", tx.ID, err)
		switch {
		case !transient(err):
			return d
		case r.ended():
			d.err = fmt.Errorf("commit %s: %w", tx.ID, fs.ErrFenced)
			return d
		case errors.Is(ctx.Err(), context.Canceled): // which is what the caller is told, whatever the last attempt met
			d.err = fmt.Errorf("commit %s (%v): %w", tx.ID, err, ctx.Err())
			return d
		case ctx.Err() != nil:
			d.err = unavailable(d.err)
			return d
		}
		note(d.err)
		wait.sleep(ctx, r.over)
	}
}

// sendOnce is one attempt; sent reports whether the transaction may have left.
func (f *FS) sendOnce(ctx context.Context, r *registration, tx *fs.Tx, c fs.LeaseCall, step string) (result *fs.TxResult, sent bool, err error) {
	if err := f.cfg.Faults.At(step + ".before"); err != nil {
		return nil, false, err
	}
	ctx, cancel := context.WithTimeout(ctx, f.cfg.OpTimeout)
	defer cancel()
	result, _, err = under(ctx, f, r, c, func(ctx context.Context) (*fs.TxResult, error) { return f.meta.Commit(ctx, tx) },
		func(result *fs.TxResult, err error) {
			if err == nil && result.Err == fs.CodeOK {
				f.leases.applied(tx.Ops, result.Results, false)
			}
		})
	if err == nil {
		err = f.cfg.Faults.At(step + ".after")
	}
	return result, true, err
}

// decided turns the two refusals that concern the whole session or transaction into errors.
func decided(result *fs.TxResult, doubt bool) decision {
	if result.Err == fs.CodeFenced || result.Err == fs.CodeAborted {
		return decision{err: fs.FromCode(result.Err), doubt: doubt}
	}
	return decision{result: result, doubt: doubt}
}
