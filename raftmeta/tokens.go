package raftmeta

import (
	"context"
	"fmt"
	"slices"
	"time"

	"dfs/fs"
	"dfs/raftmeta/command"
)

var _ fs.JoinTokens = (*Node)(nil)

// PutToken implements fs.JoinTokens.
func (n *Node) PutToken(ctx context.Context, t fs.JoinToken, secret fs.TokenHash) error {
	_, err := n.change(ctx, &command.PutToken{Token: t, Secret: secret, Now: fs.TimeOf(time.Now())})
	return aboutToken("record", t.ID, err)
}

// RevokeToken implements fs.JoinTokens.
func (n *Node) RevokeToken(ctx context.Context, id string) error {
	_, err := n.change(ctx, &command.RevokeToken{ID: id})
	return aboutToken("revoke", id, err)
}

// RedeemToken implements fs.JoinTokens.
func (n *Node) RedeemToken(ctx context.Context, r fs.Redemption) error {
	_, err := n.change(ctx, &command.RedeemToken{Redemption: r, Now: fs.TimeOf(time.Now())})
	return aboutToken("redeem", r.ID, err)
}

func aboutToken(what, id string, err error) error {
	if err != nil {
		return fmt.Errorf("%s join token %q: %w", what, id, err)
	}
	return nil
}

// Tokens implements fs.JoinTokens.
func (n *Node) Tokens(ctx context.Context) ([]fs.JoinToken, error) {
	ctx, cancel := n.bound(ctx)
	defer cancel()
	list, err := ask(ctx, n, func(s *snapshot) ([]fs.JoinToken, error) { return s.Tokens() })
	now := fs.TimeOf(time.Now())
	return slices.DeleteFunc(list, func(t fs.JoinToken) bool { return t.Expires <= now }), err
}
