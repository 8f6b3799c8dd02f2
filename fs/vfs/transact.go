package vfs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"dfs/fs"
)

// abortPatience is how long a caller whose operation has timed out, or was interrupted, still waits to learn whether it
// was aborted.
const abortPatience = 2 * time.Second

// do decides operations at the leader, in one transaction, and returns its results or the refusal as an error. When
// ctx ends earlier the transaction is aborted: were it sent on behind the caller's back, it could come after what is
// done next, and truncate or remove what that has made durable.
func (f *FS) do(ctx context.Context, ops ...fs.Op) ([]fs.Result, error) {
	if f.ReadOnly() {
		return nil, fs.ErrReadOnly
	}
	if f.tasks.isStopped() {
		return nil, fs.ErrClosed
	}
	done, held, err := f.claim(ctx, claimed(ops), f.leases.renamed(ops))
	if err != nil {
		return nil, err
	}
	defer done()
	if !held {
		defer f.dropMoved(ops)
	}
	return f.doClaimed(ctx, ops...)
}

// dropMoved has the front forget what names mean, if one is moved while the directories are not both held. A kernel believes a name
// that it has moved for as long as it did in the old directory, and nobody recalls anything of the new one.
func (f *FS) dropMoved(ops []fs.Op) {
	f.leases.mu.Lock()
	kernel := f.leases.kernel
	f.leases.mu.Unlock()
	moves := slices.ContainsFunc(ops, func(op fs.Op) bool { _, is := op.(*fs.Rename); return is })
	if kernel != nil && moves {
		kernel.DropNames()
	}
}

// doClaimed is do for who has claimed the inodes.
func (f *FS) doClaimed(ctx context.Context, ops ...fs.Op) ([]fs.Result, error) {
	if f.ReadOnly() {
		return nil, fs.ErrReadOnly
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var results []fs.Result
	var err error
	if !f.tasks.run(func() { results, err = f.transact(ctx, ops) }) {
		return nil, fs.ErrClosed
	}
	return results, err
}

// do1 is do for one operation.
func (f *FS) do1(ctx context.Context, op fs.Op) (fs.Result, error) {
	return first(f.do(ctx, op))
}

// do1Claimed is doClaimed for one operation.
func (f *FS) do1Claimed(ctx context.Context, op fs.Op) (fs.Result, error) {
	return first(f.doClaimed(ctx, op))
}

func first(results []fs.Result, err error) (fs.Result, error) {
	if err != nil {
		return fs.Result{}, err
	}
	return results[0], nil
}

// transact decides operations within OpTimeout. One that is refused by a fenced session, and was never in doubt, cannot
// have happened, and is sent once more under the next session.
func (f *FS) transact(ctx context.Context, ops []fs.Op) ([]fs.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, f.cfg.OpTimeout)
	defer cancel()
	defer context.AfterFunc(f.life, cancel)()
	for try := 0; ; try++ {
		r, err := f.sessions.wait(ctx)
		if err != nil {
			return nil, err
		}
		if f.Root() != fs.RootIno && !r.made(ops) {
			return nil, fmt.Errorf("the inode number is of a session that is over: %w", fs.ErrFenced)
		}
		d := f.transactUnder(ctx, r, ops)
		if errors.Is(d.err, fs.ErrFenced) {
			f.fenced(r)
			if !d.doubt && try == 0 {
				continue
			}
		}
		if d.err != nil {
			return nil, d.err
		}
		if d.result.Err != fs.CodeOK {
			return nil, fs.FromCode(d.result.Err)
		}
		return d.result.Results, nil
	}
}

// transactUnder decides operations under one session. If it returns without an outcome, doubts has the transaction.
func (f *FS) transactUnder(ctx context.Context, r *registration, ops []fs.Op) decision {
	id := r.begin()
	c := fs.LeaseCall{}
	for _, op := range ops {
		if _, ok := op.(*fs.Create); ok {
			c.Want = fs.LeaseExclusive
		}
	}
	d := f.decide(ctx, r, r.tx(id, ops, nil), c, "op.decide", func(error) {})
	if d.result == nil && transient(d.err) && d.doubt {
		d = f.giveUp(r, id, d)
	}
	if d.result == nil && transient(d.err) && d.doubt {
		f.doubts.add(doubt{r, id})
		f.doubted(ops)
		return decision{err: fmt.Errorf("the outcome is unknown: %w", d.err), doubt: true}
	}
	r.end(id)
	return d
}

// giveUp aborts a transaction whose time is over. It returns what was decided if that was faster.
func (f *FS) giveUp(r *registration, id fs.TxID, d decision) decision {
	ctx, cancel := context.WithTimeout(f.life, abortPatience)
	defer cancel()
	result, err := f.meta.Abort(ctx, r.Epoch, id)
	switch {
	case errors.Is(err, fs.ErrFenced):
		return decision{err: err, doubt: true}
	case err != nil:
		return d
	case result.Err == fs.CodeAborted:
		return decision{err: fmt.Errorf("gave up and aborted: %w", d.err)}
	}
	return decided(result, true)
}
