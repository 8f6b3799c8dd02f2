package statetest

import (
	"fmt"
	"maps"
	"slices"

	"dfs/fs"
	"dfs/raftmeta/command"
	"dfs/raftmeta/state"
)

// token is a join token as it was put, and who has used it.
type token struct {
	command.PutToken
	users map[fs.TokenHash]bool
}

func (m *Model) putToken(c *command.PutToken) fs.Code {
	if len(c.Token.ID) != fs.TokenIDBytes || c.Token.Role == "" || c.Token.Uses < 1 || c.Token.Uses > fs.TokenUsesMax ||
		c.Token.Expires <= c.Now || c.Token.Expires > c.Now+fs.TokenLifeMax {
		return fs.CodeInvalid
	}
	alive := m.unexpired(c.Now)
	if old := alive[c.Token.ID]; old != nil && (old.Token != c.Token || old.Secret != c.Secret) {
		return fs.CodeExist
	} else if old == nil && len(alive) >= fs.TokensMax {
		return fs.CodeBusy
	} else if old == nil {
		alive[c.Token.ID] = &token{*c, map[fs.TokenHash]bool{}}
	}
	m.tokens = alive
	return fs.CodeOK
}

func (m *Model) unexpired(now fs.Time) map[string]*token {
	alive := maps.Clone(m.tokens)
	maps.DeleteFunc(alive, func(_ string, t *token) bool { return now >= t.Token.Expires })
	return alive
}

func (m *Model) redeemToken(c *command.RedeemToken) fs.Code {
	alive := m.unexpired(c.Now)
	t := alive[c.ID]
	switch {
	case t == nil:
		return fs.CodeNotExist
	case t.Secret != c.Secret, t.Token.Role != c.Role:
		return fs.CodePermission
	case !t.users[c.Key] && len(t.users) == t.Token.Uses:
		return fs.CodeQuota
	}
	t.users[c.Key] = true
	m.tokens = alive
	return fs.CodeOK
}

func (m *Model) compareTokens(v state.View) error {
	got, err := v.Tokens()
	if err != nil {
		return err
	}
	var want []fs.JoinToken
	for _, id := range slices.Sorted(maps.Keys(m.tokens)) {
		t := m.tokens[id].Token
		t.Uses -= len(m.tokens[id].users)
		want = append(want, t)
	}
	if !slices.Equal(got, want) {
		return fmt.Errorf("join tokens %+v, in the model %+v", got, want)
	}
	return nil
}

// token makes a command about one of a few join tokens.
func (g *Generator) token() command.Command {
	id := fmt.Sprintf("%016d", g.choose(3))
	secret, role := fs.TokenHash{byte(g.choose(6) / 5)}, []string{"a", "a", "a", "a", "b"}[g.choose(5)]
	switch g.choose(6) {
	case 0:
		return &command.RevokeToken{ID: id}
	case 1, 2:
		return &command.PutToken{Token: fs.JoinToken{ID: id, Role: role, Expires: g.now + fs.Time(g.choose(60)), Uses: g.choose(3)},
			Secret: secret, Now: g.tick()}
	}
	return &command.RedeemToken{Redemption: fs.Redemption{ID: id, Secret: secret, Role: role, Key: fs.TokenHash{byte(g.choose(4))}}, Now: g.tick()}
}
