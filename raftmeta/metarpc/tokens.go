package metarpc

import (
	"context"

	"google.golang.org/grpc"

	"dfs/fs"
	"dfs/raftmeta/metapb"
)

// The join tokens, both sides of the wire.

var _ fs.JoinTokens = (*Client)(nil)

// PutToken implements fs.JoinTokens, at the leader, as those below do.
func (c *Client) PutToken(ctx context.Context, t fs.JoinToken, secret fs.TokenHash) error {
	req := &metapb.PutTokenRequest{Token: toJoinToken(t), Secret: secret[:]}
	return atLeader(ctx, c, "put join token", req, checkPutToken, metapb.ClusterClient.PutToken, nil)
}

// Tokens implements fs.JoinTokens.
func (c *Client) Tokens(ctx context.Context) (list []fs.JoinToken, err error) {
	err = atLeader(ctx, c, "list join tokens", &metapb.Empty{}, unchecked, metapb.ClusterClient.Tokens,
		func(rep *metapb.TokensReply) { list = each(rep.GetTokens(), fromJoinToken) })
	return list, err
}

// RevokeToken implements fs.JoinTokens.
func (c *Client) RevokeToken(ctx context.Context, id string) error {
	return atLeader(ctx, c, "revoke join token", &metapb.RevokeTokenRequest{Id: id}, checkRevokeToken, metapb.ClusterClient.RevokeToken, nil)
}

// RedeemToken implements fs.JoinTokens.
func (c *Client) RedeemToken(ctx context.Context, r fs.Redemption) error {
	req := &metapb.RedeemTokenRequest{Id: r.ID, Secret: r.Secret[:], Role: r.Role, Key: r.Key[:]}
	return atLeader(ctx, c, "redeem join token", req, checkRedeemToken, metapb.ClusterClient.RedeemToken, nil)
}

// atLeader checks a request of the cluster's service and makes it at the leader; use, if any, gets the answer.
func atLeader[Req, Rep any](ctx context.Context, c *Client, what string, req Req, check func(Req) error,
	m method[metapb.ClusterClient, Req, Rep], use func(Rep)) error {
	if err := check(req); err != nil {
		return err
	}
	return c.retry(ctx, what, func(ctx context.Context, _ view, conn grpc.ClientConnInterface) error {
		rep, err := m(metapb.NewClusterClient(conn), ctx, req, callOptions()...)
		if err == nil && use != nil {
			use(rep)
		}
		return err
	})
}

// change is a call at the server that answers with nothing.
func (s *clusterServer) change(call func() error) (*metapb.Empty, error) {
	if s.tokens == nil {
		return nil, missing("join tokens")
	}
	return &metapb.Empty{}, call()
}

// PutToken implements metapb.ClusterServer, as the methods below do.
func (s *clusterServer) PutToken(ctx context.Context, r *metapb.PutTokenRequest) (*metapb.Empty, error) {
	return serve(ctx, s.limit, r, checkPutToken, func(ctx context.Context, r *metapb.PutTokenRequest) (*metapb.Empty, error) {
		return s.change(func() error {
			return s.tokens.PutToken(ctx, fromJoinToken(r.GetToken()), fs.TokenHash(r.GetSecret()))
		})
	}, same)
}

func (s *clusterServer) Tokens(ctx context.Context, r *metapb.Empty) (*metapb.TokensReply, error) {
	return serve(ctx, s.limit, r, unchecked, func(ctx context.Context, _ *metapb.Empty) ([]fs.JoinToken, error) {
		if s.tokens == nil {
			return nil, missing("join tokens")
		}
		return s.tokens.Tokens(ctx)
	}, func(list []fs.JoinToken) *metapb.TokensReply {
		return &metapb.TokensReply{Tokens: each(list, toJoinToken)}
	})
}

func (s *clusterServer) RevokeToken(ctx context.Context, r *metapb.RevokeTokenRequest) (*metapb.Empty, error) {
	return serve(ctx, s.limit, r, checkRevokeToken, func(ctx context.Context, r *metapb.RevokeTokenRequest) (*metapb.Empty, error) {
		return s.change(func() error { return s.tokens.RevokeToken(ctx, r.GetId()) })
	}, same)
}

func (s *clusterServer) RedeemToken(ctx context.Context, r *metapb.RedeemTokenRequest) (*metapb.Empty, error) {
	return serve(ctx, s.limit, r, checkRedeemToken, func(ctx context.Context, r *metapb.RedeemTokenRequest) (*metapb.Empty, error) {
		return s.change(func() error {
			return s.tokens.RedeemToken(ctx, fs.Redemption{ID: r.GetId(), Secret: fs.TokenHash(r.GetSecret()), Role: r.GetRole(), Key: fs.TokenHash(r.GetKey())})
		})
	}, same)
}

func toJoinToken(t fs.JoinToken) *metapb.JoinToken {
	return &metapb.JoinToken{Id: t.ID, Role: t.Role, Expires: int64(t.Expires), Uses: count(t.Uses)}
}

func fromJoinToken(t *metapb.JoinToken) fs.JoinToken {
	return fs.JoinToken{ID: t.GetId(), Role: t.GetRole(), Expires: fs.Time(t.GetExpires()), Uses: int(t.GetUses())}
}

func checkPutToken(r *metapb.PutTokenRequest) error {
	t := r.GetToken()
	if t.GetUses() < 1 || t.GetUses() > fs.TokenUsesMax {
		return invalid("a join token with %d uses, want 1 … %d", t.GetUses(), fs.TokenUsesMax)
	}
	if err := checkTokenID(t.GetId()); err != nil {
		return err
	}
	return checkRedemption(t.GetRole(), r.GetSecret())
}

func checkRevokeToken(r *metapb.RevokeTokenRequest) error { return checkTokenID(r.GetId()) }

func checkRedeemToken(r *metapb.RedeemTokenRequest) error {
	if err := checkTokenID(r.GetId()); err != nil {
		return err
	}
	return checkRedemption(r.GetRole(), r.GetSecret(), r.GetKey())
}

func checkTokenID(id string) error {
	if len(id) != fs.TokenIDBytes {
		return invalid("the id of a join token has %d bytes, not %d", len(id), fs.TokenIDBytes)
	}
	return checkWord("join token", id)
}

func checkRedemption(role string, hashes ...[]byte) error {
	if role == "" || len(role) > fs.TokenWordMax {
		return invalid("a join token for a role of %d bytes", len(role))
	}
	for _, h := range hashes {
		if len(h) != fs.TokenHashSize {
			return invalid("a hash of %d bytes", len(h))
		}
	}
	return checkWord("role", role)
}
