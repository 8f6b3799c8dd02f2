package raftmeta

import (
	"context"
	"fmt"

	"dfs/fs"
	"dfs/raftmeta/command"
	"dfs/raftmeta/state"
)

// surveyInodes is how many inodes one Survey looks at.
const surveyInodes = 1024

var _ fs.Quotas = (*Node)(nil)

// SetQuota implements fs.Quotas. A state that is older than quotas begins to keep accounts with the first one.
func (n *Node) SetQuota(ctx context.Context, of fs.QuotaOf, change fs.LimitChange) error {
	err := n.setQuota(ctx, of, &command.SetQuota{Change: change})
	return aboutQuota("set", of, err)
}

// RemoveQuota implements fs.Quotas.
func (n *Node) RemoveQuota(ctx context.Context, of fs.QuotaOf) error {
	return aboutQuota("remove", of, n.setQuota(ctx, of, &command.SetQuota{Remove: true}))
}

func (n *Node) setQuota(ctx context.Context, of fs.QuotaOf, cmd *command.SetQuota) error {
	path, err := fs.ParseSubtree(of.Path)
	if err != nil {
		return err
	}
	cmd.Of = of
	cmd.Of.Path = path
	kept, err := ask(ctx, n, func(s *snapshot) (bool, error) { return s.Accounting() })
	if err == nil && !kept {
		_, err = n.change(ctx, &command.KeepAccounts{})
	}
	if err == nil {
		_, err = n.change(ctx, cmd)
	}
	return err
}

func aboutQuota(what string, of fs.QuotaOf, err error) error {
	switch {
	case err == nil:
		return nil
	case of.User:
		return fmt.Errorf("%s the quota of user %d: %w", what, of.UID, err)
	}
	return fmt.Errorf("%s the quota of /%s: %w", what, of.Path, err)
}

// Quotas implements fs.Quotas.
func (n *Node) Quotas(ctx context.Context, after fs.QuotaID, limit int, all bool) ([]fs.Quota, error) {
	return ask(ctx, n, func(s *snapshot) ([]fs.Quota, error) { return s.Quotas(after, limit, all) })
}

// survey has counted what a quota found there, or has left behind, step by step.
func (r *reign) survey() {
	for r.ctx.Err() == nil {
		busy := false
		err := r.n.local(func(s *snapshot) (err error) {
			busy, err = s.Surveying()
			return err
		})
		if err == nil && busy {
			if err = r.n.cfg.Faults.At("survey.propose"); err == nil {
				_, err = r.n.change(r.ctx, &command.Survey{Inodes: surveyInodes})
			}
		}
		if err != nil && r.ctx.Err() == nil {
			r.n.logger.Warn("cannot count what quotas are for", "err", err)
			busy = false
		}
		if !busy {
			waitFor(r.ctx, r.n.cfg.Timings.Survey)
		}
	}
}

// payers are the accounts with limits that pay for what is written into an inode, as a session may see it.
func (n *Node) payers(ctx context.Context, r *reign, s fs.Session, root fs.Ino, ino fs.Ino) (list []state.Payer, err error) {
	err = n.readIn(ctx, r, func(snap *snapshot) error {
		if root != fs.RootIno {
			record, err := snap.session(s)
			if err == nil {
				err = snap.As(record).Admit(ino)
			}
			if err != nil {
				return err
			}
		}
		list, err = snap.Payers(ino)
		return err
	})
	return list, err
}
